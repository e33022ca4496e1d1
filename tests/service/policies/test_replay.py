"""Stored requests judged again: exactly as they were judged, or as another policy would have it."""

import dataclasses
import random

import pytest

from approvals.ids import first, new
from approvals.instant import SECOND
from approvals.policy.loader import read
from approvals.policy.model import CallFacts, ToolFacts
from approvals.protocol.canonical import encode
from approvals.protocol.registration import Annotations
from approvals.service.identity.admins import Operator
from approvals.service.policies import replay, snapshot
from approvals.service.storage.statements import Row

RULES = """
version: 1
rules:
  - {id: none, match: {server: shop, tool: refund_order}, when: args.amount_cents <= 0, action: deny, reason: nothing}
  - {id: tiny, match: {server: shop, tool: refund_order, agent: scout}, when: args.amount_cents < 500, action: allow}
  - id: odd
    match: {server: shop, tool: refund_order}
    when: args.order_id % 7 == 0 && args.amount_cents < 20000
    action: require_approval
    risk: low
  - id: big
    match: {server: shop, tool: refund_order}
    when: args.amount_cents >= 50000
    action: require_approval
    risk: critical
    reviewers: {quorum: 2}
"""
OTHER = RULES.replace("< 500", "< 900").replace("quorum: 2", "quorum: 3")


def replayed(scenario, text, since=3600, limit=None):
    """{request: Again}"""
    database = scenario.service.database
    policy = read(text, scenario.read(scenario.service.registry.known_tools))
    since = scenario.clock.now() - since * SECOND
    found = replay.replay(database.read_now, scenario.service.registry, policy, since, limit)
    return {again.row.id: again for again in found}


@pytest.fixture
def ruled(scenario):
    scenario.service.policy.present = read(RULES, scenario.read(scenario.service.registry.known_tools))
    return scenario


def test_what_a_call_was_judged_by_is_kept_whole():
    schema = {"type": "object"}
    tool = ToolFacts(
        server="shop",
        tool="refund",
        annotations=Annotations(read_only=True, destructive=False),
        trusted=True,
        assurance="cooperative",
        environment="production",
        tool_hash="0" * 64,
        input_schema=schema,
        secret=("card",),
    )
    call = CallFacts(tool, {"a": 1}, "scout", 3, now=1_800_000_000_000_000, agent_groups=("night",), effect={"rows": 7})
    for facts in (tool, call):
        left_out = [
            field.name
            for field in dataclasses.fields(facts)
            if field.default is not dataclasses.MISSING and getattr(facts, field.name) == field.default
        ]
        assert not left_out, "a field that is new here has to be kept, too"
    row = Row(
        server="shop",
        tool="refund",
        tool_hash="0" * 64,
        assurance="cooperative",
        arguments='{"a": 1}',
        hidden=3,
        preview='{"effect":"x","facts":[{"name":"rows","value":7}]}',
        snapshot=snapshot.dump(call),
    )
    assert snapshot.load(row, schema) == call
    unknown = dataclasses.replace(call, agent=None)
    assert snapshot.load(Row(row, snapshot=snapshot.dump(unknown)), schema) == unknown


def compare(scenario, calls):
    """`explain`, replay and the service say the same of each call; the rules that judged."""
    random_calls = random.Random(7)  # noqa: S311
    policy = scenario.service.policy.present
    known = []
    for number in range(calls):
        amount = random_calls.choice([0, -5, 1, 499, 500, 19_999, 50_000, random_calls.randint(-100, 99_999)])
        arguments = encode({"order_id": number, "amount_cents": amount})
        if random_calls.random() < 0.1:
            arguments.pop(random_calls.choice(["order_id", "amount_cents"]))
        hidden = random_calls.choice([0, 0, 0, 5])
        unidentified = {"assertion": None} if random_calls.random() < 0.2 else {}
        filed = scenario.file(scenario.filing(arguments, hidden=hidden, **unidentified))
        known.append(filed.request_id)
    again = replayed(scenario, RULES)
    assert again.keys() == set(known)
    for row in scenario.read(lambda reader: [scenario.service.statuses.row(reader, name) for name in known]):
        schema = scenario.read(lambda reader: scenario.service.registry.definition(reader, "shop", row.tool_hash))  # noqa: B023
        explained = replay.said(policy.explain(snapshot.load(row, schema.input_schema)).judgement)
        service = replay.Said(row.action, row.rule, row.risk, row.quorum)
        assert again[row.id].would_be == explained == service == again[row.id].was
        assert {"allow": "approved", "deny": "denied", "require_approval": "pending"}[row.action] == row.state
    return {row.was.rule for row in again.values()}


def test_p1_explain_replay_and_the_service_judge_alike(ruled):
    assert compare(ruled, 120) == {"none", "tiny", "odd", "big", "default"}


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_p1_explain_replay_and_the_service_judge_ten_thousand_calls_alike(ruled):
    compare(ruled, 10_000)


def test_another_policy_shows_what_would_have_been_judged_otherwise(ruled):
    amounts = (100, 600, 600, 60_000)
    ids = [
        ruled.file(ruled.filing({"order_id": 8 + n, "amount_cents": amount})).request_id
        for n, amount in enumerate(amounts)
    ]
    again = replayed(ruled, OTHER)
    assert [again[name].changed for name in ids] == [False, True, True, True]
    assert str(again[ids[1]].would_be) == "allow (rule tiny, low risk)"
    assert str(again[ids[3]].was) == "require_approval (rule big, critical risk, 2 to approve)"
    assert again[ids[3]].would_be.quorum == 3


def test_trust_and_groups_as_they_were_then_judge_again(ruled):
    ruled.run("UPDATE agent SET groups = 'night'")
    night = ruled.file().request_id
    ruled.run("UPDATE agent SET groups = ''")
    ruled.run("UPDATE installation SET environment = 'elsewhere', trusted = :no", no=False)
    day = ruled.file(ruled.filing({"order_id": 8, "amount_cents": 1})).request_id
    for match, meant in (
        ("agent_group: night", night),
        ("environment: elsewhere", day),
        ("trusted: true", night),
    ):
        text = f"version: 1\nrules:\n  - {{id: x, match: {{{match}}}, action: deny, reason: asleep}}\n"
        again = replayed(ruled, text)
        assert [name for name in (night, day) if again[name].would_be.action == "deny"] == [meant], match


def test_what_was_erased_is_counted_and_not_judged(ruled):
    name = ruled.file().request_id
    ruled.withdraw(name)
    ruled.write(lambda tx: ruled.service.erasures.contents(tx, name, Operator("test"), "erased"))
    (again,) = replayed(ruled, OTHER).values()
    assert (again.would_be, again.changed, again.why_not) == (None, False, "its contents were erased")


def test_batches_reach_everything_since_then_and_no_more_than_asked(ruled, monkeypatch):
    monkeypatch.setattr(replay, "BATCH", 3)
    old = ruled.file(ruled.filing({"order_id": 1, "amount_cents": 1})).request_id
    ruled.clock.forward(5000)
    ids = sorted(ruled.file(ruled.filing({"order_id": n, "amount_cents": 1})).request_id for n in range(2, 9))
    assert list(replayed(ruled, RULES)) == ids
    assert list(replayed(ruled, RULES, since=6000)) == [old, *ids]
    for limit in (1, 3, 4, 7):
        assert list(replayed(ruled, RULES, limit=limit)) == ids[:limit]


def test_an_instant_has_an_earliest_identifier():
    now = 1_800_000_000_123_456
    assert new(now - 1000) < first(now) <= new(now)
