"""Every message of a call's life, lost on the way to the service or on the way back: never two effects (P3), and every
answer on the way is true (P7)."""

import asyncio
import contextlib
import re

import anyio
import pytest
from mcp import Client

from approvals.clock import boot_clock
from approvals.errors import Unreachable
from approvals.gate import agents, client, lease, recorder, reporter
from approvals.service.history import queries
from approvals_web.api import executions
from support import counting_server
from support.answer_table import facts

pytestmark = pytest.mark.databases("one")

CALL = {"order_id": 7}
MESSAGES = {
    "register": r"PUT /servers/",
    "verify agent": r"POST /agents/verify",
    "file": r"POST /requests$",
    "events": r"POST /requests/events",
    "read": r"GET /requests/[^/]+\?wait",
    "claim": r"PUT /requests/[^/]+/claim",
    "lease": r"PUT /requests/[^/]+/lease",
    "outcome": r"PUT /requests/[^/]+/outcome",
    "calls": r"POST /calls",
}


class Line:
    """The network between the gate and the service. It loses the first `times` messages of one kind."""

    def __init__(self, monkeypatch, kind, way, times):
        self.lost = 0
        self.passed = 0
        self._kind, self._way, self._times = re.compile(MESSAGES[kind]), way, times
        send, events = client.ServiceClient._send, client.ServiceClient.events

        async def lossy_send(own, method, path, body, **options):
            hit = self._hits(f"{method} {path}")
            if hit and way == "there":
                raise Unreachable("lost on the way there")
            answer = await send(own, method, path, body, **options)
            if hit:
                raise Unreachable("lost on the way back")
            return answer

        async def lossy_events(own, waiting):
            if kind == "read":  # it is only read where nothing is streamed
                raise Unreachable("nothing is streamed here")
            if way == "there" and self._hits("POST /requests/events"):
                raise Unreachable("lost on the way there")
            async with contextlib.aclosing(events(own, waiting)) as stream:
                async for name, data in stream:
                    decided = name == "request" and '"approved"' in data
                    if way == "back" and decided and self._hits("POST /requests/events"):
                        raise Unreachable("broke off at the decision")
                    yield name, data

        monkeypatch.setattr(client.ServiceClient, "_send", lossy_send)
        monkeypatch.setattr(client.ServiceClient, "events", lossy_events)

    def _hits(self, message):
        if not self._kind.match(message):
            return False
        if self.lost < self._times:
            self.lost += 1
            return True
        self.passed += 1
        return False


@pytest.fixture
def log(tmp_path):
    return tmp_path / "effects.log"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(reporter, "REPORT_PAUSE", 0.01)
    monkeypatch.setattr(recorder, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(recorder, "RETRY_SECONDS", 0.01)


def lines(log):
    return log.read_text().splitlines() if log.exists() else []


def text(result):
    return "\n".join(block.text for block in result.content)


@contextlib.asynccontextmanager
async def willing_reviewer(served, gate, until, when=lambda: True):
    """Approves whatever is pending, once a call of this gate waits for it."""

    async def review():
        while True:
            with contextlib.suppress(TimeoutError):
                row = await served.pending()
                await until(lambda row=row: row.id in gate.session._stream._waiters and when())
                served.scenario.clock.forward(1)  # so that the next request is a later one
                await served.decide()

    task = asyncio.create_task(review())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def call_until_it_ran(agent, tool, log):
    """As an agent does: the identical call again, until it has a result. Every answer on the way must be true."""
    with anyio.fail_after(30):
        while True:
            result = await agent.call_tool(tool, CALL)
            if not result.is_error:
                return result
            assert text(result).startswith("NOT EXECUTED")
            away = facts(result)["status"] == "unavailable"  # then it cannot say what came of an earlier attempt
            assert facts(result)["executed"] is (None if away else False)
            assert lines(log) == []


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", ["there", "back"])
@pytest.mark.parametrize("kind", [kind for kind in MESSAGES if kind != "lease"])
async def test_p3_p7_a_lost_message_leads_to_one_effect_and_true_answers(
    served, log, monkeypatch, until, kind, way, times
):
    line = Line(monkeypatch, kind, way, times)
    gate = served.gate()
    patient = willing_reviewer(served, gate, until, lambda: (kind, way) != ("read", "there") or line.lost == times)
    async with Client(counting_server.create(log, gate=gate)) as agent, patient:
        if kind == "calls":
            await agent.call_tool("look", CALL)
            await until(lambda: line.passed > 0)
        result = await call_until_it_ran(agent, "async_write", log)
        assert text(result).endswith("wrote 7")
        await until(lambda: served.scenario.read(lambda reader: queries.page(reader, state="succeeded")) != [])
        again = await agent.call_tool("async_write", CALL)
        assert "wrote 7" in text(again)
    assert line.lost == times or (line.lost > 0 and kind == "events")  # fewer are needed
    assert lines(log) == ["async 7"]
    rows = served.scenario.read(lambda reader: queries.page(reader))
    kinds = [kind for row in rows for kind in served.scenario.events(row.id)]
    assert kinds.count("request.succeeded") == 1
    assert kinds.count("request.executing") == kinds.count("request.succeeded") + kinds.count("request.not_executed")
    assert "request.unknown" not in kinds


@pytest.mark.parametrize("way", ["there", "back"])
async def test_p3_a_lost_lease_renewal_is_made_up_for_and_the_tool_runs_on(served, log, monkeypatch, until, way):
    monkeypatch.setattr(executions, "LEASE_SECONDS", 0.03)  # as the gate is told; it renews three times as often
    line = Line(monkeypatch, "lease", way, 2)
    hold = log.with_name("hold-before")
    hold.touch()
    gate = served.gate()
    async with Client(counting_server.create(log, gate=gate)) as agent, willing_reviewer(served, gate, until):
        call = asyncio.create_task(agent.call_tool("slow_write", CALL))
        await until(lambda: line.lost == 2 and line.passed >= 2)
        hold.unlink()
        assert text(await call) == "wrote 7"
    assert lines(log) == ["slow 7"]


@pytest.mark.parametrize("settled", [None, "succeeded", "not_executed"])
async def test_p3_a_gate_that_slept_longer_than_its_lease_ends_honestly(served, log, until, settled):
    """A suspended laptop: the tool was running, its lease ran out, people may have settled it; then it goes on."""
    scenario = served.scenario
    hold = log.with_name("hold-before")
    hold.touch()
    async with Client(counting_server.create(log, gate=served.gate())) as agent:
        call = asyncio.create_task(agent.call_tool("slow_write", CALL))
        row = await served.decide()
        await until(lambda: scenario.row(row.id).state == "executing")
        scenario.clock.forward(3600)
        scenario.sweep()
        meanwhile = await agent.call_tool("slow_write", CALL)
        assert text(meanwhile).startswith("OUTCOME UNKNOWN")
        assert facts(meanwhile)["executed"] is None
        if settled is not None:
            scenario.settle(row.id, settled)
        hold.unlink()
        assert text(await call) == "wrote 7"
    assert lines(log) == ["slow 7"]
    assert scenario.status(row.id).state == (settled or "succeeded")
    assert scenario.events(row.id).count("incident.contradiction") == (settled == "not_executed")


async def test_p5_a_gate_that_slept_asks_again_before_it_believes_what_it_knew(served, log, monkeypatch, until):
    asleep = [0.0]
    for module in (lease, agents):
        monkeypatch.setattr(module, "boot_clock", lambda: boot_clock() + asleep[0])
    registered, verified = [], []
    original, originally = client.ServiceClient.register, client.ServiceClient.verify_agent

    async def register(self, *arguments):
        registered.append(arguments)
        return await original(self, *arguments)

    async def verify_agent(self, key):
        verified.append(key)
        return await originally(self, key)

    monkeypatch.setattr(client.ServiceClient, "register", register)
    monkeypatch.setattr(client.ServiceClient, "verify_agent", verify_agent)
    gate = served.gate()
    async with Client(counting_server.create(log, gate=gate)) as agent, willing_reviewer(served, gate, until):
        await agent.call_tool("async_write", CALL)
        before = len(registered), len(verified)
        await agent.call_tool("async_write", {"order_id": 8})
        assert (len(registered), len(verified)) == before
        asleep[0] = 3600.0
        await agent.call_tool("async_write", {"order_id": 9})
        assert (len(registered), len(verified)) == (before[0] + 1, before[1] + 1)
