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


def put(house, mode, tool="", whom=""):
    house.write(lambda tx: house.service.rollouts.set(tx, "cli:ops", "shop", tool, whom, mode))


def only(house, *entries):
    house.write(lambda tx: house.service.audiences.set(tx, "cli:ops", "shop", entries))


def sources(house):
    return [source for (source,) in house.rows("SELECT source FROM permission")]


def order(n):
    return {"order_id": n, "amount_cents": 5}


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_p1_a_call_runs_unasked_on_record_and_claimed(house, mode):
    put(house, mode, whom="agent:scout")
    filed = house.file()
    row = house.row(filed.request_id)
    assert (row.state, row.rollout, row.action, row.decided_by) == (
        "approved",
        mode,
        "require_approval",
        f"rollout {mode}",
    )
    assert sources(house) == ["rollout"]
    assert house.claim(filed.request_id) is None
    assert house.events(filed.request_id) == ["request.filed", "request.approved", "request.executing"]
    assert house.status(house.file(house.filing(order(2), assertion=None)).request_id).state == "pending"


def test_p1_in_observe_a_denial_runs_too_is_counted_and_the_gate_is_told_to_file(house):
    house.service.policy.present = DenyAll()
    assert house.register().tools["refund_order"].verdict is Verdict.REFUSE
    put(house, "observe", "refund_order")
    assert house.register().tools["refund_order"].verdict is Verdict.DEPENDS
    denied = house.file()
    assert house.claim(denied.request_id) is None
    house.service.policy.present = DefaultPolicy()
    house.file(house.filing(order(2)))
    found = house.read(lambda reader: rollouts.observed(reader, "shop"))
    assert found == [rollouts.Observed("refund_order", 2, 1, 1)]


def test_p1_a_new_server_is_enforced_and_only_admins_levers_change_it(house):
    house.add_server("bank")
    assert house.read(rollouts.listed) == []
    assert house.status(house.file().request_id).state == "pending"


def test_p1_what_a_pattern_hid_is_asked_about_whatever_the_rollout(house):
    put(house, "off")
    row = house.row(house.file(house.filing(hidden=12)).request_id)
    assert (row.state, row.rollout) == ("pending", "enforce")


def test_p1_the_claim_asks_the_rollout_again(house):
    put(house, "observe")
    filed = house.file()
    put(house, "enforce", whom="agent:scout")
    refused = house.claim(filed.request_id)
    assert isinstance(refused, NotPossible)
    assert "its rollout was changed" in refused.detail
    assert house.status(filed.request_id).state == "revoked"
    assert house.status(house.file().request_id).state == "pending"


def test_p1_the_claim_does_not_let_the_rollout_pass_what_a_pattern_hid(house):
    put(house, "observe")
    filed = house.file()
    house.run("UPDATE request SET hidden = 3 WHERE id = :id", id=filed.request_id)
    assert isinstance(house.claim(filed.request_id), NotPossible)


def test_p1_a_freeze_wins_over_the_rollout(house):
    put(house, "off")
    filed = house.file()
    house.write(lambda tx: house.service.freezes.make(tx, "cli:ops", "all", "", "refuse", ""))
    assert house.status(filed.request_id).state == "revoked"
    with pytest.raises(Frozen):
        house.file(house.filing(order(2)))


@pytest.mark.parametrize("entry", ["agent:nobody", "group:", "scout", "agent:scout group:x", "everyone:x", ""])
def test_an_audience_that_means_nobody_is_refused(house, entry):
    with pytest.raises((Invalid, NotFound)):
        only(house, entry)


@pytest.mark.parametrize(
    ("tool", "whom", "mode"), [("no_tool", "", "off"), ("", "agent:nobody", "off"), ("", "", "on"), ("", "x", "off")]
)
def test_a_rollout_for_what_there_is_not_is_refused(house, tool, whom, mode):
    with pytest.raises((Invalid, NotFound)):
        put(house, mode, tool, whom)


def test_a_rollout_that_is_forgotten_is_enforced_again_and_all_is_audited(house):
    put(house, "off")
    put(house, "observe")
    house.write(lambda tx: house.service.rollouts.clear(tx, "cli:ops", "shop", "", ""))
    assert house.status(house.file().request_id).state == "pending"
    assert house.events("shop")[-3:] == ["rollout.set", "rollout.set", "rollout.cleared"]
    with pytest.raises(NotFound):
        house.write(lambda tx: house.service.rollouts.clear(tx, "cli:ops", "shop", "", ""))


def test_p1_whoever_is_left_out_is_refused_at_the_door_and_at_the_claim(house):
    put(house, "off")
    filed, filing, loose = house.file(), house.filing(order(2)), house.filing(order(3), assertion=None)
    only(house, "group:pilots")
    assert isinstance(house.claim(filed.request_id), NotInAudience)
    assert house.status(filed.request_id).state == "revoked"
    for act in (lambda: house.file(filing), lambda: house.file(loose), house.assertion):
        with pytest.raises(NotInAudience):
            act()
    house.run("UPDATE agent SET groups = 'staff pilots'")
    assert house.file(filing).created
    only(house)
    assert house.file(loose).created
    assert house.events("shop")[-2:] == ["server.audience_set"] * 2


@pytest.fixture
def log(tmp_path):
    return tmp_path / "effects.log"


async def narrowed(served, *entries):
    service = served.house.service
    await service.write(lambda tx: service.audiences.set(tx, "cli:ops", "shop", entries))


async def test_p1_a_gate_refuses_reads_too_for_whom_the_server_is_not(served, log, until):
    served.house.write(lambda tx: served.house.service.principals.add_agent(tx, "test", "other"))
    gate = served.gate()
    async with Client(create(log, gate=gate)) as client:
        assert not (await client.call_tool("look", {"order_id": 7})).is_error
        await until(lambda: served.house.service.gates.number() == 1)
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
    service = served.house.service
    await service.write(lambda tx: service.rollouts.set(tx, "cli:ops", "shop", "", "", "observe"))
    async with Client(create(log, gate=served.gate())) as client, asyncio.timeout(10):
        with anyio.fail_after(5):
            assert not (await client.call_tool("async_write", {"order_id": 7})).is_error
