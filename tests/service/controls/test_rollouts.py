"""Rollout and audience: which row counts, what runs unasked, and what nothing lets pass."""

import asyncio
import itertools

import anyio
import pytest
from mcp import Client

from approvals.errors import (
    Frozen,
    Invalid,
    NotFound,
    NotInAudience,
    NotPossible,
)
from approvals.policy.model import Action, DefaultPolicy, Judgement
from approvals.protocol.registration import Verdict
from approvals.service.controls import audiences, rollouts
from approvals.service.identity import servers
from approvals.service.identity.admins import Operator
from approvals.service.storage.statements import Row
from support.answer_table import told
from support.counting_server import create


def rows(*given):
    return [Row(tool=tool, audience=whom, mode=mode) for tool, whom, mode in given]


@pytest.mark.parametrize(
    ("set_to", "is_now"),
    [
        ([], "enforce"),
        ([("", "", "off")], "off"),
        ([("refund", "", "observe"), ("", "agent:scout", "off")], "observe"),
        ([("", "", "enforce"), ("", "group:pilots", "observe")], "observe"),
        ([("", "group:pilots", "observe"), ("", "agent:scout", "enforce")], "enforce"),
        ([("", "group:pilots", "off"), ("", "group:staff", "observe")], "observe"),
        ([("", "group:pilots", "enforce"), ("", "group:staff", "off")], "enforce"),
        ([("", "group:others", "off"), ("other", "", "off"), ("", "agent:other", "off")], "enforce"),
        ([("refund", "", "off"), ("refund", "group:pilots", "enforce")], "enforce"),
    ],
)
def test_p1_the_most_specific_rollout_counts_and_of_equals_the_strictest(set_to, is_now):
    for order in itertools.permutations(rows(*set_to)):
        assert rollouts.mode(order, "refund", "scout", ("pilots", "staff")) == is_now


def test_p1_an_unidentified_caller_has_nobodys_rollout_but_everybodys():
    some = rows(
        ("", "agent:scout", "off"), ("", "group:pilots", "off"), ("", "agent:", "off"), ("", "agent:None", "off")
    )
    assert rollouts.mode(some, "refund", None, ()) == "enforce"
    assert rollouts.mode(rows(("", "", "observe")), "refund", None, ()) == "observe"


@pytest.mark.parametrize(
    ("of", "agent", "groups", "is_in"),
    [
        ("", None, (), True),
        ("agent:scout", "scout", (), True),
        ("agent:scout", None, (), False),
        ("agent:scout", "scout2", ("scout",), False),
        ("agent:a group:b", "x", ("b",), True),
        ("group:b", "b", (), False),
        ("group:b", None, ("b",), False),
    ],
)
def test_p1_an_audience_is_exactly_who_it_names(of, agent, groups, is_in):
    assert audiences.includes(of, agent, groups) is is_in


class DenyAll(DefaultPolicy):
    text = "everything is denied"

    def verdict(self, tool):
        return Verdict.REFUSE

    def judge(self, call):
        return Judgement(Action.DENY, "never", reason="not here")


def put(scenario, mode, tool="", whom=""):
    scenario.write(lambda tx: rollouts.set_rollout(tx, Operator("ops"), "shop", tool, whom, mode))


def only(scenario, *entries):
    scenario.write(lambda tx: audiences.set_audience(tx, Operator("ops"), "shop", entries))


def sources(scenario):
    return [source for (source,) in scenario.rows("SELECT source FROM permission")]


def order(n):
    return {"order_id": n, "amount_cents": 5}


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_p1_a_call_runs_unasked_on_record_and_claimed(scenario, mode):
    put(scenario, mode, whom="agent:scout")
    filed = scenario.file()
    row = scenario.row(filed.request_id)
    assert (row.state, row.rollout, row.action, row.decided_by) == (
        "approved",
        mode,
        "require_approval",
        f"rollout {mode}",
    )
    assert sources(scenario) == ["rollout"]
    assert scenario.claim(filed.request_id) is None
    assert scenario.events(filed.request_id) == ["request.filed", "request.approved", "request.executing"]
    assert scenario.status(scenario.file(scenario.filing(order(2), assertion=None)).request_id).state == "pending"


def test_p1_in_observe_a_denial_runs_too_is_counted_and_the_gate_is_told_to_file(scenario):
    scenario.service.policy.present = DenyAll()
    assert scenario.register().tools["refund_order"].verdict is Verdict.REFUSE
    put(scenario, "observe", "refund_order")
    assert scenario.register().tools["refund_order"].verdict is Verdict.DEPENDS
    denied = scenario.file()
    assert scenario.claim(denied.request_id) is None
    scenario.service.policy.present = DefaultPolicy()
    scenario.file(scenario.filing(order(2)))
    found = scenario.read(lambda reader: rollouts.observed(reader, "shop"))
    assert found == [rollouts.Observed("refund_order", 2, 1, 1)]


def test_p1_a_new_server_is_enforced_and_only_admins_levers_change_it(scenario):
    scenario.add_server("bank")
    assert scenario.read(rollouts.listed) == []
    assert scenario.status(scenario.file().request_id).state == "pending"


def test_p1_what_a_pattern_hid_is_asked_about_whatever_the_rollout(scenario):
    put(scenario, "off")
    row = scenario.row(scenario.file(scenario.filing(hidden=12)).request_id)
    assert (row.state, row.rollout) == ("pending", "enforce")


def test_p1_the_claim_asks_the_rollout_again(scenario):
    put(scenario, "observe")
    filed = scenario.file()
    put(scenario, "enforce", whom="agent:scout")
    refused = scenario.claim(filed.request_id)
    assert isinstance(refused, NotPossible)
    assert "its rollout was changed" in refused.detail
    assert scenario.status(filed.request_id).state == "revoked"
    assert scenario.status(scenario.file().request_id).state == "pending"


def test_p1_the_claim_does_not_let_the_rollout_pass_what_a_pattern_hid(scenario):
    put(scenario, "observe")
    filed = scenario.file()
    scenario.run("UPDATE request SET hidden = 3 WHERE id = :id", id=filed.request_id)
    assert isinstance(scenario.claim(filed.request_id), NotPossible)


def test_p1_a_freeze_wins_over_the_rollout(scenario):
    put(scenario, "off")
    filed = scenario.file()
    scenario.write(lambda tx: scenario.service.freezes.make(tx, Operator("ops"), "all", "", "refuse", ""))
    assert scenario.status(filed.request_id).state == "revoked"
    with pytest.raises(Frozen):
        scenario.file(scenario.filing(order(2)))


@pytest.mark.parametrize("entry", ["agent:nobody", "group:", "scout", "agent:scout group:x", "everyone:x", ""])
def test_an_audience_that_means_nobody_is_refused(scenario, entry):
    with pytest.raises((Invalid, NotFound)):
        only(scenario, entry)


@pytest.mark.parametrize(
    ("tool", "whom", "mode"), [("no_tool", "", "off"), ("", "agent:nobody", "off"), ("", "", "on"), ("", "x", "off")]
)
def test_a_rollout_for_what_there_is_not_is_refused(scenario, tool, whom, mode):
    with pytest.raises((Invalid, NotFound)):
        put(scenario, mode, tool, whom)


def test_a_rollout_that_is_forgotten_is_enforced_again_and_all_is_audited(scenario):
    put(scenario, "off")
    put(scenario, "observe")
    scenario.write(lambda tx: rollouts.clear_rollout(tx, Operator("ops"), "shop", "", ""))
    assert scenario.status(scenario.file().request_id).state == "pending"
    assert scenario.events("shop")[-3:] == ["rollout.set", "rollout.set", "rollout.cleared"]
    with pytest.raises(NotFound):
        scenario.write(lambda tx: rollouts.clear_rollout(tx, Operator("ops"), "shop", "", ""))


def test_p1_whoever_is_left_out_is_refused_at_the_door_and_at_the_claim(scenario):
    put(scenario, "off")
    filed, filing, loose = scenario.file(), scenario.filing(order(2)), scenario.filing(order(3), assertion=None)
    only(scenario, "group:pilots")
    assert isinstance(scenario.claim(filed.request_id), NotInAudience)
    assert scenario.status(filed.request_id).state == "revoked"
    for act in (lambda: scenario.file(filing), lambda: scenario.file(loose), scenario.assertion):
        with pytest.raises(NotInAudience):
            act()
    scenario.run("UPDATE agent SET groups = 'staff pilots'")
    assert scenario.file(filing).created
    only(scenario)
    assert scenario.file(loose).created
    assert scenario.events("shop")[-2:] == ["server.audience_set"] * 2


@pytest.fixture
def log(tmp_path):
    return tmp_path / "effects.log"


async def narrowed(served, *entries):
    service = served.scenario.service
    await service.write(lambda tx: audiences.set_audience(tx, Operator("ops"), "shop", entries))


async def test_p1_a_gate_refuses_reads_too_for_whom_the_server_is_not(served, log, until):
    served.scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "other"))
    gate = served.gate()
    async with Client(create(log, gate=gate)) as client:
        assert not (await client.call_tool("look", {"order_id": 7})).is_error
        await until(lambda: served.scenario.service.gates.number() == 1)
        await narrowed(served, "agent:other")
        await until(lambda: bool(gate.session._lease.audience))
        for tool in ("look", "async_write"):
            told(await client.call_tool(tool, {"order_id": 7}), "not-in-audience")
        await narrowed(served, "agent:scout")
        await until(lambda: gate.session._lease.audience == audiences.name_of("agent:scout"))
        assert not (await client.call_tool("look", {"order_id": 7})).is_error
    async with Client(create(log, gate=served.gate(agent=None))) as client:
        for tool in ("look", "async_write"):
            told(await client.call_tool(tool, {"order_id": 7}), "not-in-audience")


async def test_in_observe_an_agents_write_just_runs(served, log):
    service = served.scenario.service
    await service.write(lambda tx: rollouts.set_rollout(tx, Operator("ops"), "shop", "", "", "observe"))
    async with Client(create(log, gate=served.gate())) as client, asyncio.timeout(10):
        with anyio.fail_after(5):
            assert not (await client.call_tool("async_write", {"order_id": 7})).is_error
