"""Freezes: what they stop, what goes on, who hears, and that no claim slips past one."""

import asyncio
import threading

import anyio
import pytest
from mcp import Client

from approvals import Budgets
from approvals.errors import Frozen, NotFound
from approvals.policy.model import Action, DefaultPolicy, Judgement
from approvals.service.controls import audiences, freezes, state
from approvals.service.identity import servers
from approvals.service.identity.admins import Operator
from approvals.service.identity.servers import agent_named
from approvals.service.requests import freeze_messages, freezing
from support.answer_table import told
from support.counting_server import create

BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
ONE, TWO = ({"order_id": n, "amount_cents": 5} for n in (1, 2))


class AllowAll(DefaultPolicy):
    text = "everything is allowed"

    def judge(self, call):
        return Judgement(Action.ALLOW, "all")


def freeze(scenario, scope="all", of="", mode="refuse", reason="bad deploy", actor=None):
    return scenario.write(
        lambda tx: scenario.service.freezes.make(tx, actor or scenario.person(), scope, of, mode, reason)
    )


def lift(scenario, scope="all", of=""):
    scenario.write(lambda tx: scenario.service.freezes.lift(tx, Operator("ops"), scope, of))


def scout(scenario):
    return scenario.read(lambda reader: agent_named(reader, "scout")).id


def test_p1_a_freeze_takes_unclaimed_approvals_back_and_refuses_new_writes_with_who_and_why(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    made = freeze(scenario)
    assert (made.new, made.revoked) == (True, 1)
    status = scenario.status(filed.request_id)
    assert (status.state, status.ended_because) == (
        "revoked",
        "All writes are frozen since just now, by Ann: bad deploy",
    )
    assert isinstance(refusal(lambda: scenario.claim(filed.request_id)), Exception)
    with pytest.raises(Frozen, match="All writes are frozen since just now, by Ann: bad deploy"):
        scenario.file(scenario.filing(TWO))
    assert scenario.events("freeze:all") == ["freeze.made"]
    lift(scenario)
    assert scenario.status(scenario.file(scenario.filing(TWO)).request_id).state == "pending"
    assert scenario.events("freeze:all") == ["freeze.made", "freeze.lifted"]


def refusal(act):
    try:
        return act()
    except Frozen as error:
        return error


@pytest.mark.parametrize(
    ("scope", "of", "stops"),
    [("all", "", True), ("server", "shop", True), ("server", "bank", False), ("agent", "scout", True)],
)
def test_p1_a_freeze_stops_what_it_is_over_and_nothing_else(scenario, scope, of, stops):
    scenario.add_server("bank")
    waiting, approved = scenario.file(), scenario.file(scenario.filing(ONE))
    scenario.decide(approved.request_id)
    freeze(scenario, scope, scout(scenario) if scope == "agent" else of)
    assert (scenario.status(approved.request_id).state == "revoked") is stops
    for act in (lambda: scenario.file(scenario.filing(TWO)), lambda: scenario.decide(waiting.request_id)):
        assert isinstance(refusal(act), Frozen) is stops


def test_p1_a_freeze_of_one_agent_leaves_unidentified_callers_and_other_agents_alone(scenario):
    freeze(scenario, "agent", scout(scenario))
    assert scenario.file(scenario.filing(assertion=None)).created
    scenario.keys["other"] = scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "other"))
    assert scenario.file(scenario.filing(assertion=scenario.assertion(scenario.keys["other"]))).created


def test_p1_the_claim_looks_itself_and_takes_the_approval_back(scenario):
    """As if the batches had not come round yet."""
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.run(
        'INSERT INTO "freeze" (id, scope, "of", mode, reason, made_at, made_by)'
        " VALUES ('f', 'all', '', 'hold', '', 1, 'x')"
    )
    assert isinstance(scenario.claim(filed.request_id), Frozen)
    assert scenario.status(filed.request_id).state == "revoked"


def test_p1_while_frozen_nobody_approves_a_denial_counts_and_expiry_goes_on(scenario):
    denied, expires = scenario.file(), scenario.file(scenario.filing(ONE))
    freeze(scenario, mode="hold")
    with pytest.raises(Frozen):
        scenario.decide(denied.request_id)
    scenario.decide(denied.request_id, "deny", comment="no")
    scenario.clock.forward(4000)
    scenario.sweep()
    assert [scenario.status(one.request_id).state for one in (denied, expires)] == ["denied", "expired"]


def test_what_runs_goes_on_is_listed_and_reports(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    freeze(scenario)
    assert [row.id for row in scenario.read(freezes.running)] == [filed.request_id]
    assert scenario.file().request_id == filed.request_id, "an identical call gets its answer"
    scenario.report(filed.request_id)
    assert scenario.status(filed.request_id).state == "succeeded"
    assert scenario.file().replayed


def test_the_same_freeze_again_says_since_when_and_another_mode_takes_its_place(scenario):
    first = freeze(scenario)
    scenario.clock.forward(600)
    again = freeze(scenario, reason="")
    assert (again.new, again.freeze.id, again.freeze.made_at) == (False, first.freeze.id, first.freeze.made_at)
    assert "for 10 minutes" in scenario.read(lambda reader: freezes.sentence(reader, again.freeze))
    assert freeze(scenario, reason="worse").freeze.reason == "worse"
    other = freeze(scenario, mode="hold", reason="")
    assert (other.new, other.freeze.reason) == (True, "worse")
    assert [row.mode for row in scenario.read(freezes.in_force)] == ["hold"]


def test_p1_lifting_one_freeze_lifts_only_that_one(scenario):
    freeze(scenario)
    freeze(scenario, "server", "shop", "hold")
    lift(scenario)
    scenario.service.policy.present = AllowAll()
    assert scenario.status(scenario.file(scenario.filing(TWO)).request_id).state == "pending"
    with pytest.raises(NotFound):
        lift(scenario)
    assert len(scenario.write(lambda tx: scenario.service.freezes.lift_all(tx, Operator("ops")))) == 1
    assert scenario.read(freezes.in_force) == []


def test_p1_hold_files_what_its_rule_allows_and_lets_it_go_on_after_the_last_freeze(scenario):
    scenario.service.policy.present = AllowAll()
    freeze(scenario, mode="hold")
    freeze(scenario, "agent", scout(scenario), "hold")
    filed = scenario.file()
    assert scenario.status(filed.request_id).state == "pending"
    lift(scenario)
    assert scenario.write(scenario.service.releases.sweep) == 0
    lift(scenario, "agent", scout(scenario))
    assert scenario.write(scenario.service.releases.sweep) == 1
    assert scenario.status(filed.request_id).state == "approved"
    assert scenario.claim(filed.request_id) is None


@pytest.mark.parametrize("meanwhile", ["policy", "agent", "audience", "definition"])
def test_p1_what_a_hold_kept_back_is_judged_again(scenario, meanwhile):
    scenario.service.policy.present = AllowAll()
    freeze(scenario, mode="hold")
    filed = scenario.file()
    if meanwhile == "policy":
        scenario.service.policy.present = DefaultPolicy()
    elif meanwhile == "agent":
        scenario.revoke_agent()
    elif meanwhile == "audience":
        scenario.write(lambda tx: audiences.set_audience(tx, Operator("test"), "shop", ["group:nobody"]))
    else:
        scenario.register(scenario.tool(description="Another."))
    lift(scenario)
    scenario.write(scenario.service.releases.sweep)
    status = scenario.status(filed.request_id)
    assert status.state == "withdrawn"
    assert status.ended_because.startswith("a freeze held it, and meanwhile ")
    assert scenario.rows("SELECT count(*) FROM permission") == [(0,)]


def test_p4_thousands_of_approvals_go_in_batches_and_none_is_claimed_meanwhile(scenario, monkeypatch):
    ids = [scenario.file(scenario.filing({"order_id": n, "amount_cents": 1})).request_id for n in range(5)]
    for request_id in ids:
        scenario.decide(request_id)
    first = freezing.Statement(freezing._UNCLAIMED.statement.limit(2), freezing._UNCLAIMED.row)
    monkeypatch.setattr(freezing, "_UNCLAIMED", first)
    assert freeze(scenario).revoked == 2
    assert isinstance(scenario.claim(max(ids)), Frozen)
    assert [scenario.write(scenario.service.freezes.sweep) for _ in range(3)] == [2, 0, 0]
    assert {scenario.status(request_id).state for request_id in ids} == {"revoked"}


def test_messages_of_what_waits_are_brought_up_to_date_in_batches_and_of_what_a_freeze_concerns(scenario, monkeypatch):
    scenario.service.outbox.notifiers = {"slack": None}
    ids = [scenario.file(scenario.filing({"order_id": n, "amount_cents": 1})).request_id for n in range(5)]
    scenario.decide(ids[0], "deny", comment="no")
    scenario.run("UPDATE delivery SET done_at = created_at")
    few = freeze_messages.Statement(freeze_messages._CONCERNED.statement.limit(2), freeze_messages._CONCERNED.row)
    monkeypatch.setattr(freeze_messages, "_CONCERNED", few)
    monkeypatch.setattr(freeze_messages, "BATCH", 2)
    told = "SELECT request_id FROM delivery WHERE verb = 'update' AND done_at IS NULL ORDER BY request_id"
    for move, of in (
        (freeze, ("agent", scout(scenario))),
        (lift, ("agent", scout(scenario))),
        (freeze, ("server", "shop")),
    ):
        move(scenario, *of)
        assert [scenario.write(freeze_messages.sweep) for _ in range(4)] == [2, 2, 0, 0]
        assert scenario.rows(told) == [(one,) for one in sorted(ids[1:])]
        scenario.run("UPDATE delivery SET done_at = created_at")
    scenario.add_server("other")
    freeze(scenario, "server", "other")
    assert scenario.read(freeze_messages.left)
    assert scenario.write(freeze_messages.sweep) == 0 and not scenario.read(freeze_messages.left)


def test_p1_a_freeze_stands_after_a_restart(scenario, open_scenario):
    freeze(scenario)
    scenario.service.database.stop()
    again = open_scenario(scenario.url, scenario.clock, scenario.keys)
    with pytest.raises(Frozen):
        again.file(again.filing(TWO))
    again.service.database.stop()


@pytest.mark.parametrize("step", ["claim", "approve", "file"])
def test_p1_nothing_that_commits_after_a_freeze_has_missed_it(scenario, step):
    """It read the levers before the freeze was made, and is still at work: the freeze waits for it."""
    filed, other = scenario.file(), scenario.filing(TWO)
    if step == "claim":
        scenario.decide(filed.request_id)
    if not scenario.service.database.shared:
        pytest.skip("one writer: BEGIN IMMEDIATE lets nobody else write meanwhile")
    paused, go_on, order = threading.Event(), threading.Event(), []
    standing = state.load

    def slow(reader, server):
        found = standing(reader, server)
        if threading.current_thread() is worker:
            paused.set()
            assert go_on.wait(10)
        return found

    def work():
        acts = {"claim": lambda: scenario.claim(filed.request_id), "approve": lambda: scenario.decide(filed.request_id)}
        acts.get(step, lambda: scenario.file(other))()
        order.append(step)

    def stop():
        freeze(scenario)
        order.append("freeze")

    worker, freezer = threading.Thread(target=work), threading.Thread(target=stop)
    patch = pytest.MonkeyPatch()
    patch.setattr(state, "load", slow)
    worker.start()
    assert paused.wait(10)
    freezer.start()
    while scenario.rows(BLOCKED) != [(1,)] and freezer.is_alive():
        pass
    waits = freezer.is_alive()
    go_on.set()
    worker.join()
    freezer.join()
    patch.undo()
    assert waits
    assert sorted(order) == sorted([step, "freeze"]), "neither was refused"
    ended = {"claim": "executing", "approve": "revoked", "file": "pending"}
    assert scenario.status(filed.request_id).state == ended[step]


def test_p1_a_claim_that_begins_while_a_freeze_is_made_waits_and_sees_it(scenario):
    if not scenario.service.database.shared:
        pytest.skip("one writer")
    filed = scenario.file()
    scenario.decide(filed.request_id)
    made, go_on, found = threading.Event(), threading.Event(), []

    def stop(tx):
        scenario.service.freezes.make(tx, Operator("ops"), "all", "", "refuse", "")
        tx.one(freezes._COUNT)
        made.set()
        assert go_on.wait(10)

    freezer = threading.Thread(target=lambda: scenario.write(stop))
    freezer.start()
    assert made.wait(10)
    claimer = threading.Thread(target=lambda: found.append(scenario.claim(filed.request_id)))
    claimer.start()
    while scenario.rows(BLOCKED) != [(1,)] and claimer.is_alive():
        pass
    go_on.set()
    freezer.join()
    claimer.join()
    assert len(found) == 1
    assert found[0] is not None
    assert scenario.status(filed.request_id).state == "revoked"


@pytest.fixture
def log(tmp_path):
    return tmp_path / "effects.log"


async def made(served, scope="all", of="", mode="refuse"):
    service = served.scenario.service
    ann = served.scenario.person()
    return await service.write(lambda tx: service.freezes.make(tx, ann, scope, of, mode, "bad deploy"))


async def lifted(served):
    service = served.scenario.service
    await service.write(lambda tx: service.freezes.lift_all(tx, Operator("ops")))


@pytest.mark.parametrize("scope", ["all", "agent"])
async def test_p7_a_waiting_agent_hears_of_a_freeze_at_once_and_joins_its_request_afterwards(served, log, scope, until):
    async with Client(create(log, gate=served.gate())) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("async_write", {"order_id": 7}))
        row = await served.pending()
        await until(lambda: served.scenario.waiting(row.id) == 1)
        await made(served, scope, scout(served.scenario) if scope == "agent" else "")
        with anyio.fail_after(3):
            facts = told(await call, "frozen")
        assert (facts["request_id"], facts["retry_after_seconds"]) == (row.id, 60)
        assert "by Ann: bad deploy" in facts["reason"]
        facts = told(await client.call_tool("async_write", {"order_id": 8}), "frozen")
        assert "request_id" not in facts
        assert not (await client.call_tool("look", {"order_id": 7})).is_error, "reads go on"
        await lifted(served)
        again = tasks.create_task(client.call_tool("async_write", {"order_id": 7}))
        await until(lambda: served.scenario.waiting(row.id) == 1)
        await served.decide()
        with anyio.fail_after(5):
            assert not (await again).is_error


async def test_p7_a_gate_that_has_not_heard_of_the_end_of_a_freeze_does_not_call_writes_frozen(
    served, log, until, monkeypatch
):
    async with Client(create(log, gate=served.gate())) as client, asyncio.TaskGroup() as tasks:
        await made(served)
        await until(lambda: confirmed(served) == 1)
        told(await client.call_tool("async_write", {"order_id": 7}), "frozen")
        monkeypatch.setattr(served.scenario.service.gates, "renew", lambda: None)
        await lifted(served)
        call = tasks.create_task(client.call_tool("async_write", {"order_id": 7}))
        row = await served.pending()
        await until(lambda: served.scenario.waiting(row.id) == 1 or call.done())
        await served.decide()
        with anyio.fail_after(5):
            assert not (await call).is_error


async def test_p7_under_a_hold_calls_wait_and_say_why_nobody_approves_them(served, log, until):
    served.scenario.service.policy.present = AllowAll()
    async with Client(create(log, gate=served.gate(budgets=Budgets(plain=0.05))), mode="legacy") as client:
        await made(served, mode="hold")
        await until(lambda: confirmed(served) == 1)
        facts = told(await client.call_tool("async_write", {"order_id": 7}), "pending")
        assert "All writes are frozen" in facts["frozen"]
        await lifted(served)
        await served.scenario.service.apply_controls()
        assert not (await client.call_tool("async_write", {"order_id": 7})).is_error


async def test_a_held_call_that_still_waits_runs_by_itself_after_the_freeze(served, log):
    served.scenario.service.policy.present = AllowAll()
    await made(served, mode="hold")
    async with Client(create(log, gate=served.gate())) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("async_write", {"order_id": 7}))
        await served.pending()
        await lifted(served)
        with anyio.fail_after(5):
            assert not (await call).is_error


def confirmed(served):
    rows = served.scenario.rows("SELECT count(*) FROM freeze_confirmation")
    return rows[0][0]


async def test_a_gate_confirms_each_freeze_and_is_listed_until_it_has(served, log, until):
    async with Client(create(log, gate=served.gate())) as client:
        await client.call_tool("look", {"order_id": 7})
        await until(lambda: served.scenario.service.gates.number() == 1)
        one = (await made(served)).freeze
        await until(lambda: confirmed(served) == 1)
        gates = served.scenario.read(lambda reader: freezes.gates(reader, one))
        live = [gate for gate in gates if gate.confirmed_at is not None]
        silent = [gate for gate in gates if gate.confirmed_at is None]
        assert (len(live), [gate.id for gate in silent]) == (1, [served.scenario.session])
        await made(served, "server", "shop")
        await until(lambda: confirmed(served) == 2)


async def test_p1_a_gate_that_hears_of_a_freeze_after_its_claim_does_not_start(served, log, monkeypatch):
    gate = served.gate()
    async with Client(create(log, gate=gate)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("async_write", {"order_id": 7}))
        await served.pending()
        claim = gate.session._client.claim

        async def slow(*args):
            claimed = await claim(*args)
            await made(served)
            with anyio.fail_after(5):
                while not gate.session._lease.freezes:
                    await anyio.lowlevel.checkpoint()
            return claimed

        monkeypatch.setattr(gate.session._client, "claim", slow)
        row = await served.decide()
        with anyio.fail_after(10):
            told(await call, "not_executed")
    assert served.scenario.status(row.id).state == "not_executed"
    assert not log.exists() or not log.read_text()


async def test_only_a_gates_own_session_can_confirm(served):
    one = (await made(served)).freeze
    served.scenario.add_server("bank")
    async with served.client("bank") as http:
        answer = await http.put(f"/gates/{served.scenario.session}/freezes", json={"freezes": [one.id]})
        assert answer.status_code == 404
    async with served.client() as http:
        path = f"/gates/{served.scenario.session}/freezes"
        assert (await http.put(path, json={"freezes": [one.id, "no-such-freeze"]})).status_code == 204
    assert confirmed(served) == 1
