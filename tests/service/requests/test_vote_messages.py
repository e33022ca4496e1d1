"""What waits is told of anew when somebody's vote begins or ceases to count."""

from approvals.service.identity import agents, roles
from approvals.service.identity.admins import Operator
from approvals.service.requests import vote_messages
from support.scenario import agent_named

TOLD = "SELECT request_id FROM delivery WHERE verb = 'update' AND done_at IS NULL ORDER BY request_id"


def test_messages_are_brought_up_to_date_in_batches_and_only_where_that_person_voted(scenario, monkeypatch):
    scenario.service.outbox.notifiers = {"slack": None}
    scenario.write(lambda tx: [vote_messages.sweep(tx) for _ in range(3)])
    ids = [scenario.file(scenario.filing({"order_id": n, "amount_cents": 1})).request_id for n in range(5)]
    for request_id in ids:
        scenario.need(request_id, quorum=2)
    for request_id in ids[:3]:
        scenario.decide(request_id, who="bob")
    scenario.decide(ids[3], who="ann")
    scenario.run("UPDATE delivery SET done_at = created_at")
    few = vote_messages.Statement(vote_messages._CONCERNED.statement.limit(2), vote_messages._CONCERNED.row)
    monkeypatch.setattr(vote_messages, "_CONCERNED", few)
    monkeypatch.setattr(vote_messages, "BATCH", 2)
    scenario.write(lambda tx: roles.disable(tx, scenario.person("bob").id, Operator("test")))
    assert [scenario.write(vote_messages.sweep) for _ in range(3)] == [2, 1, 0]
    assert scenario.rows(TOLD) == [(one,) for one in sorted(ids[:3])]
    assert not scenario.read(vote_messages.left)


def test_the_message_of_an_approved_request_follows_whoever_approved_it_until_it_runs(scenario):
    scenario.service.outbox.notifiers = {"slack": None}
    scenario.write(lambda tx: [vote_messages.sweep(tx) for _ in range(3)])
    ids = [scenario.file(scenario.filing({"order_id": n, "amount_cents": 1})).request_id for n in range(3)]
    for request_id, who in zip(ids, ("bob", "bob", "ann"), strict=True):
        scenario.decide(request_id, who=who)
    assert scenario.claim(ids[1]) is None
    scenario.run("UPDATE delivery SET done_at = created_at")
    scenario.write(lambda tx: roles.disable(tx, scenario.person("bob").id, Operator("test")))
    assert scenario.write(vote_messages.sweep) == 1
    assert scenario.rows(TOLD) == [(ids[0],)]


def test_other_owners_of_an_agent_bring_messages_with_votes_up_to_date(scenario):
    scenario.service.outbox.notifiers = {"slack": None}
    scenario.write(lambda tx: [vote_messages.sweep(tx) for _ in range(3)])
    voted, _ = (scenario.file(scenario.filing({"order_id": n, "amount_cents": 1})).request_id for n in range(2))
    scenario.need(voted, quorum=2)
    scenario.decide(voted, who="bob")
    scenario.run("UPDATE delivery SET done_at = created_at")
    scout = scenario.read(lambda reader: agent_named(reader, "scout"))
    scenario.write(lambda tx: agents.set_owners(tx, Operator("test"), scout, ["bob"]))
    assert scenario.write(vote_messages.sweep) == 1
    assert scenario.rows(TOLD) == [(voted,)]
