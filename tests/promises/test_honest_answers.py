"""Whatever becomes of a call, its agent is told that, and nothing else: through a real gate, by the table (P7)."""

import asyncio

import anyio
import pytest
from mcp import Client

from approvals import Budgets, GatedServer
from approvals.errors import ApprovalsError
from approvals.gate import answers, runner
from approvals.policy.model import DefaultPolicy
from approvals.protocol.registration import Verdict
from approvals.protocol.states import State
from approvals.service.identity import roles
from approvals.service.identity.admins import Operator
from support import counting_server
from support.answer_table import facts as facts_of
from support.answer_table import rows, told

pytestmark = pytest.mark.databases("one")

CALL = {"order_id": 7}


@pytest.fixture
def log(tmp_path):
    return tmp_path / "effects.log"


@pytest.fixture
async def agent(served, log):
    """A client of the older protocol: what it is told comes at once."""
    async with Client(
        counting_server.create(log, gate=served.gate(budgets=Budgets(plain=0.05))), mode="legacy"
    ) as client:
        yield client


@pytest.fixture
async def patient(served, log):
    """One that is held until something happens."""
    async with Client(counting_server.create(log, gate=served.gate()), mode="legacy") as client:
        yield client


def text(result):
    return "\n".join(block.text for block in result.content)


async def approved(served, agent, tool="async_write"):
    """A request that was approved while nobody waited."""
    told(await agent.call_tool(tool, CALL), "pending")
    return await served.decide()


async def while_waiting(served, patient, act):
    """What a waiting call is told when this happens."""
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(patient.call_tool("async_write", CALL))
        row = await served.pending()
        await act(row)
        with anyio.fail_after(10):
            return await call


async def test_p7_pending(served, agent, log):
    facts = told(await agent.call_tool("async_write", CALL), "pending")
    row = await served.pending()
    assert facts["request_id"] == row.id
    assert facts["review_url"].endswith(row.id)
    assert facts["expires_in_seconds"] == 3600
    assert facts["retry_after_seconds"] == answers.RETRY_SECONDS
    assert not log.exists()


async def test_p7_denied(served, patient, log):
    async def deny(_):
        await served.decide("deny", comment="use store credit")

    result = await while_waiting(served, patient, deny)
    facts = told(result, "denied")
    assert (facts["reason"], facts["decided_by"], facts["ask_again_in_seconds"]) == ("use store credit", "Ann", 600)
    assert "use store credit" in text(result)
    told(await patient.call_tool("async_write", CALL), "denied")
    assert not log.exists()


async def test_p7_expired(served, patient, log):
    async def expire(_):
        served.scenario.clock.forward(3601)
        await served.scenario.service.write(served.scenario.service.expiry.sweep)

    assert "reason" not in told(await while_waiting(served, patient, expire), "expired")
    assert not log.exists()


async def test_p7_withdrawn(served, patient, log):
    async def withdraw(row):
        ann = served.scenario.person()
        await served.scenario.service.write(
            lambda tx: served.scenario.service.withdrawals.by_admin(tx, row.id, ann, "")
        )

    told(await while_waiting(served, patient, withdraw), "withdrawn")
    assert not log.exists()


async def test_p7_lapsed(served, agent, log):
    row = await approved(served, agent)
    served.scenario.clock.forward(3601)
    looked = await agent.call_tool("get_approval", {"request_id": row.id})
    told(looked.model_copy(update={"is_error": True}), "lapsed")
    assert not log.exists()


async def test_p7_revoked(served, agent, log):
    row = await approved(served, agent)
    scenario = served.scenario
    scenario.write(lambda tx: roles.disable(tx, scenario.person().id, Operator("test")))
    facts = told(await agent.call_tool("async_write", CALL), "revoked")
    assert facts["request_id"] == row.id
    assert not log.exists()


async def test_p7_approved_when_its_caller_looks_and_when_it_runs_elsewhere(served, agent):
    row = await approved(served, agent)
    looked = await agent.call_tool("get_approval", {"request_id": row.id})
    assert looked.is_error is False
    told(looked.model_copy(update={"is_error": True}), "approved")
    assert served.scenario.claim(row.id, session=row.session_id) is None
    told(await agent.call_tool("async_write", CALL), "executing")


async def test_p7_unknown(served, agent, log):
    row = await approved(served, agent)
    assert served.scenario.claim(row.id, session=row.session_id) is None
    served.scenario.clock.forward(120)
    facts = told(await agent.call_tool("async_write", CALL), "unknown")
    assert facts["request_id"] == row.id
    assert facts["review_url"] in facts["next"]
    assert not log.exists()


async def test_p7_not_executed(served, agent, log, monkeypatch):
    await approved(served, agent)
    now = iter(range(0, 10_000, 100))
    monkeypatch.setattr(runner, "boot_clock", lambda: float(next(now)))
    told(await agent.call_tool("async_write", CALL), "not_executed")
    assert not log.exists()


async def test_p7_replayed(served, patient, log):
    async def approve(_):
        await served.decide()

    first = await while_waiting(served, patient, approve)
    served.scenario.clock.forward(12)
    again = await patient.call_tool("async_write", CALL)
    assert not again.is_error
    assert text(again).startswith("[replayed] This exact call already ran 12 seconds ago")
    assert again.content[1:] == first.content
    assert facts_of(again)["ran_seconds_ago"] == 12
    assert log.read_text() == "async 7\n"


async def test_p7_a_tools_failure_is_its_own_words_and_says_that_it_ran(served, agent, log):
    row = await approved(served, agent, "failing_write")
    result = await agent.call_tool("failing_write", CALL)
    assert result.content[0].text.endswith("the carrier is closed")
    assert told(result, "failed")["request_id"] == row.id
    again = await agent.call_tool("failing_write", CALL)
    assert facts_of(again)["replayed"] == again.content[0].text
    assert again.content[1:] == result.content[:-1]
    assert facts_of(result)["next"] == result.content[-1].text
    assert log.read_text() == "failing 7\n"


async def test_p7_a_crash_inside_a_tool_shows_nothing_of_it(served):
    server = GatedServer("shop", gate=served.gate(budgets=Budgets(plain=0.05)))

    @server.tool()
    async def crash(order_id: int) -> str:
        raise RuntimeError("the password is hunter2")

    async with Client(server, mode="legacy") as client:
        await approved(served, client, "crash")
        result = await client.call_tool("crash", CALL)
    told(result, "failed")
    assert "hunter2" not in result.model_dump_json()


async def test_p7_refused(served, log, monkeypatch):
    monkeypatch.setattr(DefaultPolicy, "verdict", lambda *_: Verdict.REFUSE)
    async with Client(counting_server.create(log, gate=served.gate()), mode="legacy") as client:
        told(await client.call_tool("async_write", CALL), "refused")
    assert not log.exists()


async def test_p7_invalid(agent, log):
    told(await agent.call_tool("async_write", {"order_id": "seven"}), "invalid")
    assert not log.exists()


async def test_p7_too_large(served):
    server = GatedServer("shop", gate=served.gate())

    @server.tool()
    async def write(words: str) -> str:
        return words

    async with Client(server, mode="legacy") as client:
        told(await client.call_tool("write", {"words": "x" * 300_000}), "too-large")


async def test_p7_unavailable(scenario, serve, log):
    async with serve() as served:
        gate = served.gate()
    async with Client(counting_server.create(log, gate=gate), mode="legacy") as client:
        told(await client.call_tool("async_write", CALL), "unavailable")
    assert not log.exists()


async def test_p7_unauthenticated(served, log):
    scenario = served.scenario
    scenario.revoke_agent()
    async with Client(counting_server.create(log, gate=served.gate()), mode="legacy") as client:
        told(await client.call_tool("async_write", CALL), "unauthenticated")
    assert not log.exists()


def test_p7_the_table_has_every_state_and_every_failure_to_ask():
    told_of = {facts_of(answers.of_error(kind("x")))["status"] for kind in kinds(ApprovalsError)}
    never = {"bad-request", "not-found", "conflict", "duplicate"}  # what a gate of the same version never meets
    assert {state.value for state in State} | {"refused"} | (told_of - never) == set(rows())


def kinds(kind):
    """Of the tree of errors; what is raised elsewhere (of a policy's text) meets no gate."""
    here = [child for child in kind.__subclasses__() if child.__module__ == kind.__module__]
    return [kind, *(deeper for child in here for deeper in kinds(child))]
