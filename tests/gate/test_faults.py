"""What the gate does when the service, the network or the clock lets it down: it fails closed, and never runs twice."""

import asyncio
from dataclasses import replace

import anyio
import pytest
from mcp import Client
from mcp_types import CallToolResult, TextContent

from approvals import Budgets
from approvals.errors import Unreachable
from approvals.gate import client, recorder, reporter, runner, wait
from approvals.gate.arguments import Effective
from approvals.gate.budgets import Budget
from approvals.gate.call import Call, Caller
from approvals.protocol.registration import Annotations, ToolDefinition
from approvals.service.history import queries
from support import counting_server
from support.answer_table import facts

pytestmark = pytest.mark.databases("one")

CALL = {"order_id": 7}
WRITE = ToolDefinition(name="write", input_schema={"type": "object"}, annotations=Annotations())


@pytest.fixture
def log(tmp_path):
    return tmp_path / "effects.log"


@pytest.fixture
def lose(monkeypatch):
    """Lets the service act, and loses its answer, the first `times` times."""

    def arrange(name, times):
        original = getattr(client.ServiceClient, name)
        left = [times]

        async def lossy(self, *arguments):
            answer = await original(self, *arguments)
            if left[0] > 0:
                left[0] -= 1
                raise Unreachable("the answer was lost")
            return answer

        monkeypatch.setattr(client.ServiceClient, name, lossy)

    return arrange


def text(result):
    return "\n".join(block.text for block in result.content)


async def decided(served, log, verdict="approve", budgets=None):
    """One call, decided; its result."""
    mcp = counting_server.create(log, gate=served.gate(budgets=budgets))
    async with Client(mcp) as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("async_write", CALL))
        row = await served.decide(verdict)
        with anyio.fail_after(10):
            result = await call
    return row, result


def lines(log):
    return log.read_text().splitlines() if log.exists() else []


async def test_p3_a_lost_claim_answer_is_asked_for_again_and_runs_once(served, log, lose):
    lose("claim", 1)
    row, result = await decided(served, log)
    assert text(result) == "wrote 7"
    assert lines(log) == ["async 7"]
    assert served.scenario.status(row.id).state == "succeeded"


async def test_p3_when_the_claims_answer_stays_lost_nothing_starts_and_the_service_is_told(served, log, lose, until):
    lose("claim", runner.CLAIM_TRIES)
    row, result = await decided(served, log)
    assert result.is_error
    assert "Nothing was started" in text(result)
    assert lines(log) == []
    await until(lambda: served.scenario.status(row.id).state == "not_executed")


async def two_calls(served, until, is_there=None):
    """The same call twice in one process, both waiting when it is approved; its request and both answers."""
    ran, waiting = [], []

    async def run(arguments):
        ran.append(arguments)
        return CallToolResult(content=[TextContent(type="text", text="wrote 7")])

    async def progress(seconds, words):
        waiting.append(words)

    gate = served.gate()
    gate.definitions = lambda: (WRITE,)
    call = Call(
        tool="write",
        arguments=CALL,
        effective=lambda: Effective(dict(CALL)),
        run=run,
        caller=Caller(served.scenario.keys["agent"]),
        budget=Budget(20, beat=20),
        is_there=is_there,
        progress=progress,
    )
    async with gate.running(), asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(gate.call(call)) for _ in range(2)]
        row = await served.pending()
        await until(lambda: len(waiting) == 2)
        await served.decide()
        with anyio.fail_after(10):
            answers = [await call for call in calls]
    assert ran == [CALL]
    assert served.scenario.status(row.id).state == "succeeded"
    return answers


async def test_p3_when_one_calls_claim_never_arrives_the_same_call_beside_it_runs(served, monkeypatch, until):
    monkeypatch.setattr(runner, "CLAIM_TRIES", 1)
    original, claims = client.ServiceClient.claim, []

    async def claim(self, *arguments):
        claims.append(arguments)
        if len(claims) == 1:
            raise Unreachable("the claim never arrived")
        return await original(self, *arguments)

    async def unheard(self, *arguments):
        raise Unreachable("that the caller left never arrived either")

    monkeypatch.setattr(client.ServiceClient, "claim", claim)
    monkeypatch.setattr(client.ServiceClient, "left", unheard)
    assert sorted(answer.is_error for answer in await two_calls(served, until)) == [False, True]


async def test_p4_two_equal_calls_of_one_process_claim_once_however_slowly_they_look(served, monkeypatch, until):
    """Else the loser's end would let a check of the outcome begin while the winner's tool still runs."""
    original, claims = client.ServiceClient.claim, []

    async def claim(self, *arguments):
        claims.append(arguments)
        return await original(self, *arguments)

    async def is_there():
        await asyncio.sleep(0)
        return True

    monkeypatch.setattr(client.ServiceClient, "claim", claim)
    assert not any(answer.is_error for answer in await two_calls(served, until, is_there))
    assert len(claims) == 1


async def test_p4_an_outcome_whose_answer_is_lost_is_reported_again(served, log, lose, monkeypatch, until):
    monkeypatch.setattr(reporter, "REPORT_PAUSE", 0.01)
    lose("report", 2)
    row, result = await decided(served, log)
    assert text(result) == "wrote 7"
    await until(lambda: served.scenario.status(row.id).state == "succeeded")
    assert lines(log) == ["async 7"]
    assert served.scenario.events(row.id).count("request.succeeded") == 1


async def test_p3_a_permission_that_comes_too_late_is_not_used(served, log, monkeypatch):
    now = [0.0]

    def clock():
        now[0] += 3.0
        return now[0]

    monkeypatch.setattr(runner, "boot_clock", clock)
    monkeypatch.setattr(runner.Runner, "_renew", lambda *_: asyncio.sleep(0))
    start = client.ServiceClient.claim

    async def slow(self, *arguments):
        answer = await start(self, *arguments)
        now[0] += 3.0
        return answer

    monkeypatch.setattr(client.ServiceClient, "claim", slow)
    row, result = await decided(served, log)
    assert "too late" in text(result)
    assert lines(log) == []
    assert served.scenario.status(row.id).state == "not_executed"


async def test_p2_a_service_that_shows_other_arguments_is_refused(served, log, monkeypatch):
    original = client.ServiceClient.file

    async def lying(self, filing):
        status = await original(self, filing)
        return status.model_copy(update={"digest": "0" * 64})

    monkeypatch.setattr(client.ServiceClient, "file", lying)
    async with Client(counting_server.create(log, gate=served.gate())) as agent:
        result = await agent.call_tool("async_write", CALL)
    assert "other content" in text(result)
    assert lines(log) == []


async def test_p2_a_claim_for_other_content_than_was_asked_is_not_used(served, log, monkeypatch):
    original = client.ServiceClient.claim

    async def lying(self, *arguments):
        claimed = await original(self, *arguments)
        return claimed.model_copy(update={"request": claimed.request.model_copy(update={"digest": "0" * 64})})

    monkeypatch.setattr(client.ServiceClient, "claim", lying)
    _, result = await decided(served, log)
    assert result.is_error
    assert lines(log) == []


async def test_p2_an_approval_that_meets_a_changed_definition_does_not_run(served, log):
    scenario = served.scenario
    mcp = counting_server.create(log, gate=served.gate(budgets=Budgets(plain=0.05)))
    async with Client(mcp) as agent:
        assert facts(await agent.call_tool("async_write", CALL))["status"] == "pending"
        row = await served.decide()

        @mcp.tool(name="another")
        async def another() -> str:
            return ""

        mcp.remove_tool("async_write")

        @mcp.tool(name="async_write", description="Now it deletes everything.")
        async def async_write(order_id: int) -> str:
            log.write_text("the wrong thing")
            return "done"

        result = await agent.call_tool("async_write", CALL)
    assert facts(result)["status"] == "pending"
    assert facts(result)["request_id"] != row.id or scenario.status(row.id).content_version == 2
    assert lines(log) == []


async def test_p1_a_call_whose_agent_is_revoked_while_it_waits_never_runs(served, log):
    mcp = counting_server.create(log, gate=served.gate(budgets=Budgets(plain=0.05)))
    async with Client(mcp) as agent:
        assert facts(await agent.call_tool("async_write", CALL))["status"] == "pending"
        row = await served.decide()
        served.scenario.revoke_agent()
        result = await agent.call_tool("async_write", CALL)
    assert result.is_error
    assert lines(log) == []
    assert served.scenario.status(row.id).state in {"approved", "revoked"}


async def test_p5_a_waiting_call_outlives_a_restart_of_the_service(scenario, serve, log):
    async with serve() as served:
        url = served.url
        mcp = counting_server.create(log, gate=served.gate())
        agent = Client(mcp)
        await agent.__aenter__()
        call = asyncio.create_task(agent.call_tool("async_write", CALL))
        row = await served.pending()
    async with serve(url) as again:
        await again.decide()
        with anyio.fail_after(15):
            assert text(await call) == "wrote 7"
        assert scenario.status(row.id).state == "succeeded"
        await agent.__aexit__(None, None, None)
    assert lines(log) == ["async 7"]


@pytest.mark.parametrize("answer", [b"<html>a proxy</html>", b"{}", b'{"state": "approved"}', b"\xff", b"null"])
async def test_p5_an_answer_that_makes_no_sense_runs_nothing(served, log, monkeypatch, answer):
    original = client.ServiceClient._send

    async def garbled(self, method, path, body, **options):
        response = await original(self, method, path, body, **options)
        return replace(response, content=answer) if path == "/requests" else response

    monkeypatch.setattr(client.ServiceClient, "_send", garbled)
    async with Client(counting_server.create(log, gate=served.gate())) as agent:
        result = await agent.call_tool("async_write", CALL)
    assert result.is_error
    assert text(result).startswith("NOT EXECUTED")
    assert lines(log) == []


async def test_p3_an_approval_whose_caller_just_left_is_not_claimed(served, log, monkeypatch, until):
    """The last look, between the approval and the claim."""
    monkeypatch.setattr(wait, "PRESENCE_SECONDS", 60)  # no look before
    ran, waiting = [], []

    async def run(arguments):
        ran.append(arguments)

    async def progress(seconds, words):
        waiting.append(words)

    async def is_there():
        return not served.scenario.read(lambda reader: queries.page(reader, state="approved"))

    gate = served.gate()
    gate.definitions = lambda: (WRITE,)
    call = Call(
        tool="write",
        arguments=CALL,
        effective=lambda: Effective(dict(CALL)),
        run=run,
        caller=Caller(served.scenario.keys["agent"]),
        budget=Budget(20, beat=20),
        is_there=is_there,
        progress=progress,
    )
    async with gate.running(), asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(gate.call(call))
        await until(lambda: waiting)
        row = await served.decide()
        with anyio.fail_after(10):
            assert facts(await answer)["status"] == "approved"
    assert ran == []
    assert served.scenario.row(row.id).state == "approved"


async def test_p8_reads_stop_when_they_cannot_be_recorded_and_go_on_when_they_can(served, log, monkeypatch):
    monkeypatch.setattr(recorder, "MAX_UNREPORTED", 4)
    monkeypatch.setattr(recorder, "FLUSH_SECONDS", 60)
    down = [True]
    original = client.ServiceClient.record

    async def record(self, *batch):
        if down[0]:
            raise Unreachable("the service is away")
        return await original(self, *batch)

    monkeypatch.setattr(client.ServiceClient, "record", record)
    async with Client(counting_server.create(log, gate=served.gate())) as agent:
        answers = [await agent.call_tool("look", {"order_id": number}) for number in range(6)]
        assert text(answers[0]) == "order 0"
        refused = answers[-1]
        assert refused.is_error
        assert "could not be recorded" in text(refused)
        down[0] = False
        assert text(await agent.call_tool("look", {"order_id": 3})) == "order 3"
