"""Agents: what their keys cover and how long they count, who owns them, and how much they may ask."""

import asyncio
import threading
from dataclasses import replace

import anyio
import pytest
from mcp import Client

from approvals import Budgets, ids
from approvals.errors import (
    Conflict,
    Invalid,
    NotFound,
    OutOfScope,
    TooMany,
    Unauthenticated,
)
from approvals.instant import SECOND
from approvals.protocol.registration import Assurance
from approvals.service.history import queries
from approvals.service.identity import agent_owners, agents, servers
from approvals.service.identity.admins import Operator
from approvals.service.identity.credentials import live
from approvals.service.identity.servers import agent_named
from approvals.service.requests import key_revocations, rate_limits
from approvals.service.requests.contents import content_of
from approvals.service.requests.rate_limits import Allowance
from approvals.service.storage.channels import KEYS_REVOKED
from approvals.service.tasks import REVOCATIONS
from support import counting_server
from support.answer_table import told
from support.over_http import http_client, http_server

CALL = {"order_id": 7}


@pytest.fixture
def log(tmp_path):
    return tmp_path / "effects.log"


def agent(scenario, name="scout"):
    return scenario.read(lambda reader: agent_named(reader, name))


def keys(scenario, name="scout"):
    return scenario.read(lambda reader: live(reader, "agent", agent_named(reader, name).id))


def narrow(scenario, scopes):
    row, key = agent(scenario), keys(scenario)[-1].id
    return scenario.write(lambda tx: agents.set_scopes(tx, Operator("test"), row, key, scopes))


def revoke_key(scenario, key):
    row = agent(scenario)
    return scenario.write(lambda tx: servers.revoke(tx, Operator("test"), "agent", row, key))


def rotate(scenario, **given):
    row = agent(scenario)
    scenario.clock.forward(1)  # keys are told apart by when they were made
    return scenario.write(lambda tx: servers.rotate(tx, Operator("test"), "agent", row, **given))


def sweep(scenario):
    return scenario.write(lambda tx: key_revocations.sweep(tx, scenario.service.transitions))


def limit(scenario, pending=None, minute=None):
    row = agent(scenario)
    scenario.write(lambda tx: agents.set_limits(tx, Operator("test"), row, pending=pending, minute=minute))


def number(scenario, n):
    return scenario.filing({"order_id": n, "amount_cents": 1})


# what a key covers


def test_p1_a_key_files_nothing_that_it_does_not_cover(scenario):
    narrow(scenario, "shop/get_* pg/*")
    with pytest.raises(OutOfScope, match=r"does not cover shop\.refund_order"):
        scenario.file()
    assert scenario.rows("SELECT count(*) FROM request") == [(0,)]
    narrow(scenario, "shop/refund_*")
    assert scenario.file().created


def test_p1_an_approval_is_not_claimed_by_a_key_that_was_narrowed_since(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    narrow(scenario, "shop/get_*")
    assert isinstance(scenario.claim(filed.request_id), OutOfScope)
    assert scenario.status(filed.request_id).state == "revoked"
    assert scenario.rows("SELECT count(*) FROM execution") == [(0,)]


def test_a_rotated_key_covers_and_lives_no_more_than_the_last_one(scenario):
    first = rotate(scenario, covers="shop/refund_*", life=3600).split("_")[1]
    scenario.clock.forward(10)
    revoke_key(scenario, first)
    rotate(scenario)
    newest = keys(scenario)[-1]
    assert (newest.scopes, newest.expires_at - newest.created_at) == ("shop/refund_*", 3600 * SECOND)
    rotate(scenario, covers="", forever=True)
    assert (keys(scenario)[-1].scopes, keys(scenario)[-1].expires_at) == ("", None)


def test_only_a_live_key_of_the_agents_own_gets_scopes(scenario):
    scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "other"))
    row, others = agent(scenario), keys(scenario, "other")[0].id
    with pytest.raises(NotFound):
        scenario.write(lambda tx: agents.set_scopes(tx, Operator("test"), row, others, "shop/*"))


async def test_p1_the_gate_refuses_also_a_read_that_the_key_does_not_cover(served, log):
    narrow(served.scenario, "shop/*_write")
    async with Client(
        counting_server.create(log, gate=served.gate(budgets=Budgets(plain=0.05))), mode="legacy"
    ) as client:
        facts = told(await client.call_tool("look", {"order_id": 1}), "out_of_scope")
        assert facts["reason"] == "This key does not cover shop.look."
        told(await client.call_tool("refund_order", CALL), "out_of_scope")
        told(await client.call_tool("async_write", CALL), "pending")
    assert [row.tool for row in served.scenario.read(lambda reader: queries.page(reader))] == ["async_write"]


async def test_p8_a_call_out_of_scope_is_on_record(served, log):
    narrow(served.scenario, "pg/*")
    async with Client(counting_server.create(log, gate=served.gate()), mode="legacy") as client:
        told(await client.call_tool("look", {"order_id": 1}), "out_of_scope")
    bodies = served.scenario.rows(
        "SELECT p.body FROM audit_event e JOIN audit_payload p USING (payload_hash) WHERE kind = 'calls.recorded'"
    )
    assert any('"refused"' in body and "does not cover shop.look" in body for (body,) in bodies)


# keys that end


@pytest.fixture
def no_looking(monkeypatch):
    """The service ends a revoked key's requests because it is told, not because it looks."""
    monkeypatch.setattr("approvals.service.tasks.REVOCATIONS", replace(REVOCATIONS, seconds=600.0))


async def while_waiting(served, log, act, agent="agent"):
    """What a waiting call is told when this happens."""
    gate = served.gate(agent=agent)
    async with Client(counting_server.create(log, gate=gate), mode="legacy") as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("async_write", CALL))
        row = await served.pending()
        act()
        with anyio.fail_after(10):
            return row, await call


async def test_p7_a_call_that_waits_by_a_revoked_key_hears_of_it_at_once(no_looking, served, log):
    scenario = served.scenario
    row, result = await while_waiting(served, log, lambda: revoke_key(scenario, keys(scenario)[0].id))
    facts = told(result, "unauthenticated")
    assert facts["request_id"] == row.id
    assert scenario.status(row.id).state == "withdrawn"
    assert scenario.status(row.id).ended_because == "the agent's key was revoked"
    assert scenario.events(row.id) == ["request.filed", "request.withdrawn"]
    assert not log.exists()


async def test_p7_a_call_that_waits_for_a_revoked_agent_hears_of_it_at_once(no_looking, served, log):
    row, result = await while_waiting(served, log, served.scenario.revoke_agent)
    told(result, "unauthenticated")
    assert served.scenario.status(row.id).ended_because == "the agent was revoked"


async def test_p7_over_http_a_call_that_waits_by_a_revoked_key_hears_of_it_at_once(no_looking, served, log):
    scenario = served.scenario
    async with (
        http_server(counting_server.create(log, gate=served.gate(agent=None))) as url,
        http_client(url, served, "legacy") as client,
        asyncio.TaskGroup() as tasks,
    ):
        call = tasks.create_task(client.call_tool("async_write", CALL))
        await served.pending()
        scenario.revoke_agent()
        with anyio.fail_after(10):
            told(await call, "unauthenticated")


async def test_p7_a_key_revoked_by_another_replica_or_a_command_ends_its_calls_at_once(
    no_looking, served, log, open_scenario
):
    other = open_scenario(served.scenario.url, served.scenario.clock, served.scenario.keys)

    def elsewhere():
        revoke_key(other, keys(other)[0].id)
        if not served.scenario.service.database.shared:
            served.scenario.service.replicas.hear(KEYS_REVOKED)  # one process serves a file: its own socket tells it

    _, result = await while_waiting(served, log, elsewhere)
    other.service.database.stop()
    told(result, "unauthenticated")


async def test_a_withdrawal_by_the_agent_is_told_as_one(served, log):
    scenario = served.scenario
    _, result = await while_waiting(
        served, log, lambda: scenario.withdraw(scenario.read(lambda reader: queries.page(reader))[0].id)
    )
    told(result, "withdrawn")


def test_p1_a_key_that_ran_out_while_its_call_waited_ends_it(scenario):
    scenario.keys["agent"] = rotate(scenario, life=60)
    filed, approved = scenario.file(), scenario.file(number(scenario, 2))
    scenario.decide(approved.request_id)
    scenario.clock.forward(59)
    assert sweep(scenario) == 0
    scenario.clock.forward(1)
    with pytest.raises(Unauthenticated):
        scenario.assertion()
    assert scenario.read(key_revocations.left)
    assert sweep(scenario) == 2
    assert scenario.status(filed.request_id).state == "withdrawn"
    assert scenario.status(approved.request_id).state == "revoked"
    assert scenario.status(filed.request_id).ended_because == "the agent's key ran out"
    assert not scenario.read(key_revocations.left)


def test_p1_an_approval_is_not_claimed_by_a_key_that_ran_out(scenario):
    scenario.keys["agent"] = rotate(scenario, life=60)
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.clock.forward(61)
    assert isinstance(scenario.claim(filed.request_id), Unauthenticated)


def test_revoking_one_key_leaves_what_was_asked_by_the_other(scenario):
    by_first = scenario.file()
    scenario.keys["agent"] = rotate(scenario)
    by_second = scenario.file(number(scenario, 2))
    revoke_key(scenario, keys(scenario)[0].id)
    assert sweep(scenario) == 1
    assert scenario.status(by_first.request_id).state == "withdrawn"
    assert scenario.status(by_second.request_id).state == "pending"


def test_what_runs_already_is_left_to_end_by_itself(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.revoke_agent()
    sweep(scenario)
    assert scenario.status(filed.request_id).state == "executing"
    scenario.report(filed.request_id)
    assert scenario.status(filed.request_id).state == "succeeded"


def test_many_requests_end_in_bounded_batches(scenario, monkeypatch):
    monkeypatch.setattr(key_revocations, "BATCH", 3)
    for n in range(7):
        scenario.file(number(scenario, n))
    scenario.revoke_agent()
    assert [sweep(scenario) for _ in range(4)] == [3, 3, 1, 0]


def test_a_revoked_agent_gets_no_key_any_more_and_one_without_keys_can_be_revoked(scenario):
    revoke_key(scenario, keys(scenario)[0].id)
    scenario.revoke_agent()
    assert agent(scenario).disabled_at is not None
    with pytest.raises(Conflict):
        rotate(scenario)
    row = agent(scenario)
    with pytest.raises(Conflict):
        scenario.write(lambda tx: agents.set_owners(tx, Operator("test"), row, ["ann"]))


def test_an_installations_key_may_run_out(scenario):
    scenario.write(
        lambda tx: servers.add_server(
            tx, Operator("test"), "pg", label="main", assurance=Assurance.ENFORCED, trusted=True, life=60
        )
    )
    (key,) = scenario.rows("SELECT expires_at - created_at FROM credential WHERE expires_at IS NOT NULL")
    assert key == (60 * SECOND,)


# owners and groups


def test_owners_are_accounts_and_every_change_is_on_record(scenario):
    row = agent(scenario)
    scenario.write(lambda tx: agents.set_owners(tx, Operator("test"), row, ["ann", "Bob "]))
    assert [one.handle for one in scenario.read(lambda r: agent_owners.owners(r, row.id))] == ["ann", "bob"]
    left = scenario.write(lambda tx: agents.change_owners(tx, Operator("test"), row, add=["ann"], remove=["bob"]))
    assert left == ["ann"]
    for unknown in (["carol"], ["ann", "nobody"]):
        with pytest.raises(Invalid, match="no live account"):
            scenario.write(lambda tx, who=unknown: agents.set_owners(tx, Operator("test"), row, who))
    assert scenario.events(f"agent:{row.id}") == ["agent.added", "agent.owners_set", "agent.owners_set"]


def test_an_agent_of_unknown_owners_is_not_added(scenario):
    with pytest.raises(Invalid):
        scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "other", owners=["carol"]))
    assert scenario.rows("SELECT count(*) FROM agent WHERE name = 'other'") == [(0,)]


def test_groups_are_names(scenario):
    row = agent(scenario)
    assert scenario.write(lambda tx: agents.set_groups(tx, Operator("test"), row, ["b", "a", "b"])) == ["a", "b"]
    assert agent(scenario).groups == "a b"
    with pytest.raises(Invalid):
        scenario.write(lambda tx: agents.set_groups(tx, Operator("test"), row, ["No Group"]))


def test_agents_are_listed_page_by_page_with_what_belongs_to_each(scenario):
    for name in ("a1", "b2", "c3"):
        scenario.write(lambda tx, name=name: servers.add_agent(tx, Operator("test"), name, owners=["ann"]))
    scenario.file()
    first = scenario.read(lambda reader: agents.page(reader, limit=2))
    second = scenario.read(lambda reader: agents.page(reader, after="b2", limit=2))
    assert [one.row.name for one in first + second] == ["a1", "b2", "c3", "scout"]
    assert [one.owners for one in first + second] == [["ann"], ["ann"], ["ann"], []]
    assert [len(one.keys) for one in first + second] == [1, 1, 1, 1]
    assert [one.pending for one in first + second] == [0, 0, 0, 1]


# how much an agent may ask


def test_a_looping_agent_is_stopped_at_its_pending_limit_and_goes_on_when_people_decided(scenario):
    limit(scenario, pending=2)
    first, _ = scenario.file(), scenario.file(number(scenario, 2))
    with pytest.raises(TooMany, match="2 of its requests wait"):
        scenario.file(number(scenario, 3))
    assert not scenario.file().created, "joining what waits is free"
    scenario.decide(first.request_id, "deny", comment="no")
    assert scenario.file(number(scenario, 3)).created


def test_what_expired_counts_no_more_even_if_no_timer_came_round(scenario):
    limit(scenario, pending=1)
    scenario.file()
    scenario.clock.forward(3601)
    assert scenario.file(number(scenario, 2)).created


def test_a_looping_agent_is_stopped_at_its_limit_a_minute_and_told_when_to_come_back(scenario):
    limit(scenario, minute=2)
    scenario.file(number(scenario, 1))
    scenario.clock.forward(20)
    scenario.file(number(scenario, 2))
    with pytest.raises(TooMany) as refused:
        scenario.file(number(scenario, 3))
    again = refused.value.extra["retry_after_seconds"]
    assert 40 < again <= 41
    scenario.clock.forward(again)
    assert scenario.file(number(scenario, 3)).created


def test_the_limit_zero_lets_nothing_be_asked(scenario):
    limit(scenario, pending=0)
    with pytest.raises(TooMany):
        scenario.file()
    limit(scenario, minute=0)
    with pytest.raises(TooMany):
        scenario.file()


def test_one_agents_limit_is_not_anothers_and_unidentified_callers_share_their_installations(scenario):
    scenario.service.allowances._allowance = Allowance(pending=1, minute=None)
    scenario.keys["other"] = scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "other"))
    scenario.file()
    assert scenario.file(scenario.filing(assertion=scenario.assertion(scenario.keys["other"]))).created
    assert scenario.file(scenario.filing(assertion=None, subject="one")).created
    with pytest.raises(TooMany, match="nobody identified"):
        scenario.file(scenario.filing(assertion=None, subject="two"))


def test_p5_limits_hold_under_concurrency_and_do_not_serialise_agents(scenario):
    limit(scenario, pending=5)
    filings = [number(scenario, n) for n in range(16)]
    at, outcomes = scenario.installation(), []

    def file(filing):
        try:
            scenario.write(lambda tx: scenario.service.filings.file(tx, at, content_of(filing)))
            outcomes.append("filed")
        except TooMany:
            outcomes.append("refused")

    threads = [threading.Thread(target=file, args=(filing,)) for filing in filings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["filed"] * 5 + ["refused"] * 11


async def test_p7_a_flood_is_answered_and_its_owners_are_told_once_an_hour(served, log):
    scenario = served.scenario
    row = agent(scenario)
    scenario.write(lambda tx: agents.set_owners(tx, Operator("test"), row, ["bob"]))
    limit(scenario, pending=1)
    async with Client(
        counting_server.create(log, gate=served.gate(budgets=Budgets(plain=0.05))), mode="legacy"
    ) as client:
        told(await client.call_tool("async_write", CALL), "pending")
        for n in (1, 2, 3):
            facts = told(await client.call_tool("async_write", {"order_id": n}), "too_many_requests")
            assert facts["retry_after_seconds"] == 60
        assert scenario.events(f"agent:{row.id}").count("agent.flooding") == 1
        scenario.clock.forward(3601)
        told(await client.call_tool("async_write", CALL), "pending")
        told(await client.call_tool("async_write", {"order_id": 1}), "too_many_requests")
        assert scenario.events(f"agent:{row.id}").count("agent.flooding") == 2
    bob, ann = (scenario.person(name).id for name in ("bob", "ann"))
    assert scenario.read(lambda r: rate_limits.flooding(r, bob, everybody=False)) == ["scout"]
    assert scenario.read(lambda r: rate_limits.flooding(r, ann, everybody=False)) == []
    assert scenario.read(lambda r: rate_limits.flooding(r, ann, everybody=True)) == ["scout"]
    assert not log.exists()


def test_identifiers_begin_where_their_instant_does(scenario):
    now = scenario.clock.now()
    assert ids.first(now) <= ids.new(now) < ids.first(now + 1000)
    assert ids.instant(ids.new(now)) == now // 1000 * 1000


# where a call says that it comes from


def test_p1_whom_an_agent_says_it_acts_for_changes_neither_who_calls_nor_whether_calls_are_the_same(scenario):
    filed = scenario.file(scenario.filing(on_behalf_of="ann", agent_session="run 7", trace_id="a" * 32))
    again = scenario.file(scenario.filing(on_behalf_of="bob", agent_session="run 8"))
    assert (again.request_id, again.created) == (filed.request_id, False)
    row = scenario.row(filed.request_id)
    assert (row.on_behalf_of, row.agent_session, row.trace_id) == ("ann", "run 7", "a" * 32)
    assert row.agent_id == agent(scenario).id


def test_requests_are_found_by_what_agents_said_through_an_index(scenario):
    filed = scenario.file(scenario.filing(on_behalf_of="ann", agent_session="run 7", trace_id="a" * 32))
    scenario.file(number(scenario, 2))
    for said in ({"on_behalf_of": "ann"}, {"agent_session": "run 7"}, {"trace_id": "a" * 32}):
        found = scenario.read(lambda reader, said=said: queries.page(reader, **said))
        assert [row.id for row in found] == [filed.request_id]
    if not scenario.service.database.shared:
        plan = scenario.rows(
            "EXPLAIN QUERY PLAN SELECT id FROM request WHERE trace_id = :x AND trace_id != '' ORDER BY id DESC", x="a"
        )
        assert "request_by_trace" in str(plan)


async def test_what_the_client_says_travels_to_the_card(served, log):
    parent = f"00-{'a' * 32}-00f067aa0ba902b7-01"
    meta = {"mcp-approvals/on_behalf_of": "ann", "mcp-approvals/session": "run 7", "traceparent": parent}
    async with Client(
        counting_server.create(log, gate=served.gate(budgets=Budgets(plain=0.05))), mode="legacy"
    ) as client:
        told(await client.call_tool("async_write", CALL, meta=meta), "pending")
    row = await served.pending()
    assert (row.on_behalf_of, row.agent_session, row.trace_id) == ("ann", "run 7", "a" * 32)
