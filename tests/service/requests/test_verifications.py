"""A tool's own check settles what a crash left unknown, and never what it must not."""

import asyncio
import json

import pytest
from mcp import Client

from approvals import Approval, GatedServer
from approvals.errors import NotFound, NotPossible
from approvals.gate import client, verifier
from approvals.gate.seal import Seal
from approvals.protocol.states import State

ANOTHER = "session-0002"


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "not_executed"])
def test_p3_what_the_tool_found_settles_unknown_as_one_transition(scenario, outcome):
    request_id = scenario.lose()
    before = len(scenario.events(request_id))
    for _ in range(3):
        scenario.verify(request_id, outcome, "the row is there")
    assert scenario.status(request_id).state == outcome
    assert scenario.events(request_id)[before:] == [f"request.{outcome}"]
    row = scenario.status(request_id)
    assert "the tool's own check" in row.ended_because


def test_p3_several_gates_that_find_different_things_settle_once(scenario):
    request_id = scenario.lose()
    scenario.register(session=ANOTHER)
    scenario.verify(request_id, "succeeded")
    with pytest.raises(NotPossible, match="nothing to verify"):
        scenario.verify(request_id, "not_executed", session=ANOTHER)
    assert scenario.status(request_id).state == "succeeded"


def test_p3_that_it_did_not_run_can_be_found_only_after_the_margin(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.clock.forward(31)
    with pytest.raises(NotPossible, match="may still be running"):
        scenario.verify(filed.request_id, "not_executed")
    scenario.clock.forward(59.5)
    scenario.verify(filed.request_id, "not_executed")
    assert scenario.status(filed.request_id).state == "not_executed"


def test_p3_another_process_finds_nothing_while_the_one_that_claimed_is_there(scenario):
    request_id = scenario.lose()
    scenario.register(session=ANOTHER)
    scenario.write(lambda tx: scenario.service.expiry.heard(tx, [scenario.session]))
    assert unsettled(scenario, ANOTHER) == []
    assert unsettled(scenario) == [request_id]
    with pytest.raises(NotPossible, match="still there"):
        scenario.verify(request_id, "not_executed", session=ANOTHER)
    scenario.clock.forward(61)
    assert unsettled(scenario, ANOTHER) == [request_id]
    scenario.verify(request_id, "not_executed", session=ANOTHER)


def unsettled(scenario, session="session-0001", tool="refund_order", after=""):
    at = scenario.installation()
    found = scenario.read(lambda reader: scenario.service.verifications.unsettled(reader, at, session, tool, after))
    return [one.id for one in found]


def test_only_unknown_requests_of_the_same_installation_and_tool_past_their_margin_are_told(scenario):
    filed = scenario.file(scenario.filing({"order_id": 1, "amount_cents": 1}))
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.clock.forward(31)
    scenario.sweep()
    assert unsettled(scenario) == []
    scenario.clock.forward(60)
    assert unsettled(scenario) == [filed.request_id]
    assert unsettled(scenario, tool="get_order") == []
    assert unsettled(scenario, after=filed.request_id) == []
    scenario.add_server("shop", "other")
    other = scenario.installation("shop", "other")
    assert (
        scenario.read(lambda r: scenario.service.verifications.unsettled(r, other, ANOTHER, "refund_order", "")) == ()
    )
    scenario.register(session="session-0009", installation=other)
    with pytest.raises(NotFound):
        scenario.verify(filed.request_id, session="session-0009", installation=other)
    with pytest.raises(NotFound):
        scenario.verify(filed.request_id, session="session-0009")


@pytest.mark.parametrize("state", ["pending", "approved", "executing", "succeeded"])
def test_p3_a_check_settles_nothing_but_unknown(scenario, state):
    filed = scenario.file()
    if state != "pending":
        scenario.decide(filed.request_id)
    if state in {"executing", "succeeded"}:
        scenario.claim(filed.request_id)
    if state == "succeeded":
        scenario.report(filed.request_id)
    with pytest.raises(NotPossible):
        scenario.verify(filed.request_id, "failed")
    assert scenario.status(filed.request_id).state == state


def test_a_check_that_cannot_tell_is_on_record_once_and_changes_no_state(scenario):
    request_id = scenario.lose()
    for _ in range(3):
        scenario.verify(request_id, "unclear", "the ledger is down")
    assert scenario.status(request_id).state is State.UNKNOWN
    assert scenario.events(request_id).count("execution.checked") == 1
    scenario.settle(request_id, "failed")
    assert scenario.status(request_id).state == "failed"


def test_p4_a_late_outcome_that_agrees_brings_its_result(scenario):
    request_id = scenario.lose()
    scenario.verify(request_id, "succeeded")
    scenario.report(request_id, "succeeded", f"claim-{request_id}"[:60], result="refunded", sealed_result="c2VhbGVk")
    status = scenario.status(request_id)
    assert (status.result, status.sealed_result) == ("refunded", "c2VhbGVk")
    assert scenario.events(request_id).count("incident.contradiction") == 0


class Ledger:
    """A tool that pays, and can say whether it did."""

    def __init__(self, served, verify) -> None:
        self.scenario = served.scenario
        self.asked: list[tuple[str, dict]] = []
        self.mcp = GatedServer("shop", gate=served.gate())

        async def look(request_id, arguments):
            self.asked.append((request_id, arguments))
            return await verify(request_id)

        @self.mcp.tool(approval=Approval(verify=look, idempotency="key"))
        async def pay(cents: int, key: str) -> str:
            return f"paid {cents}"

    def lose(self, cents: int = 500) -> str:
        """A call of `pay` whose gate died."""
        scenario = self.scenario
        (definition,) = self.mcp.gate.definitions()
        scenario.register(definition, session=scenario.session)
        filing = scenario.filing({"cents": cents}, tool="pay")
        filed = scenario.file(filing)
        digest = scenario.row(filed.request_id).digest
        sealed = Seal(scenario.keys["shop"]).seal(
            json.dumps({"shown": {"cents": cents}}).encode(), f"arguments {digest}"
        )
        scenario.run("UPDATE request SET sealed_arguments = :sealed WHERE id = :id", sealed=sealed, id=filed.request_id)
        scenario.decide(filed.request_id)
        scenario.claim(filed.request_id, f"claim-{cents:08}")
        scenario.clock.forward(91)
        scenario.sweep()
        return filed.request_id


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(verifier, "EVERY_SECONDS", 0.05)


async def test_p3_a_gate_that_starts_settles_what_its_predecessor_left_unknown(served, until):
    async def verify(_):
        return "succeeded", "receipt sk_live_0123456789abcdefghij"

    ledger = Ledger(served, verify)
    request_id = ledger.lose()
    async with Client(ledger.mcp) as client:
        await until(lambda: served.scenario.status(request_id).state == "succeeded")
        assert ledger.asked[0] == (request_id, {"cents": 500})
        row = served.scenario.row(request_id)
        assert "characters hidden" in row.ended_because
        assert "sk_live" not in row.ended_because
        answer = await client.call_tool("pay", {"cents": 500})
        assert answer.content[0].text.startswith(f"ALREADY EXECUTED: request {request_id} succeeded")
    assert served.scenario.row(request_id).sealed_arguments is None


async def raises(_):
    raise RuntimeError("the ledger is down")


async def hangs(_):
    await asyncio.Event().wait()


async def hangs_on(_):
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling() > 1:
                raise


async def nonsense(_):
    return {"it": "ran"}


async def yes(_):
    return True


async def tells_a_key(_):
    return ("maybe", "x" * 60 + f" ghp_{'a1' * 18} y")


async def cannot_tell(_):
    return None


@pytest.mark.parametrize(
    ("verify", "note"),
    [
        (raises, "raised RuntimeError: the ledger is down"),
        (hangs, "took longer"),
        (hangs_on, "took longer"),
        (nonsense, "is none of"),
        (yes, "is none of"),
        (tells_a_key, "xx [40 characters hidden] y"),
        (cannot_tell, ""),
    ],
)
async def test_p3_a_check_that_does_not_clearly_say_settles_nothing_and_the_reviewer_reads_why(
    served, until, monkeypatch, verify, note
):
    monkeypatch.setattr(verifier, "PATIENCE_SECONDS", 0.05)
    ledger = Ledger(served, verify)
    first, second = ledger.lose(1), ledger.lose(2)
    async with Client(ledger.mcp):
        await until(lambda: {request_id for request_id, _ in ledger.asked} == {first, second})
        await until(lambda: served.scenario.events(second).count("execution.checked") == 1)
        await until(lambda: verify is hangs_on or len(ledger.asked) >= 4)
    assert {served.scenario.row(one).state for one in (first, second)} == {"unknown"}
    assert served.scenario.events(first).count("execution.checked") == 1
    assert note in checked_note(served.scenario, first)


def checked_note(scenario, request_id):
    ((note,),) = scenario.rows("SELECT checked_note FROM execution WHERE request_id = :id", id=request_id)
    return note


async def test_p3_several_gates_that_verify_at_once_are_harmless(served, until):
    async def verify(_):
        return "not_executed"

    ledgers = [Ledger(served, verify) for _ in range(3)]
    request_id = ledgers[0].lose()
    async with Client(ledgers[0].mcp), Client(ledgers[1].mcp), Client(ledgers[2].mcp):
        await until(lambda: served.scenario.status(request_id).state == "not_executed")
    assert served.scenario.events(request_id).count("request.not_executed") == 1


async def test_p3_a_process_verifies_nothing_that_it_still_runs_itself(served, until, monkeypatch):
    looked, told, proceed = [], [], asyncio.Event()
    original = client.ServiceClient.unsettled

    async def unsettled(self, *arguments):
        page = await original(self, *arguments)
        told.extend(one.id for one in page.requests)
        return page

    monkeypatch.setattr(client.ServiceClient, "unsettled", unsettled)
    mcp = GatedServer("shop", gate=served.gate())

    async def verify(request_id, arguments):
        looked.append(request_id)
        return "not_executed"

    @mcp.tool(approval=Approval(verify=verify))
    async def slow(order_id: int) -> str:
        await proceed.wait()
        return "done"

    async with Client(mcp) as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("slow", {"order_id": 1}))
        row = await served.decide()
        await until(lambda: served.scenario.row(row.id).state == "executing")
        served.scenario.clock.forward(200)
        served.scenario.sweep()
        await until(lambda: told.count(row.id) >= 2)
        assert served.scenario.row(row.id).state == "unknown"
        proceed.set()
        assert not (await call).is_error
    assert looked == []
    assert served.scenario.status(row.id).state == "succeeded"


def test_a_verify_that_cannot_be_awaited_is_refused_at_registration():
    server = GatedServer("shop")
    with pytest.raises(ValueError, match="no async function"):

        @server.tool(approval=Approval(verify=lambda request_id, arguments: "succeeded"))
        async def pay(cents: int) -> str:
            return ""
