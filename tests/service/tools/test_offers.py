"""A definition that loosens something waits for a person, who accepts or rejects it: once."""

import pytest

from approvals.errors import Conflict, NotFound, Stale
from approvals.protocol.registration import Annotations, Assurance
from approvals.service.identity import servers
from approvals.service.identity.admins import Operator

LOOSE = {"annotations": Annotations(read_only=True)}


def reject(scenario, tool_hash, at=""):
    ann = scenario.person()
    scenario.write(lambda tx: scenario.service.offers.reject(tx, "shop", "refund_order", tool_hash, ann, at))


def offered(scenario):
    return scenario.rows("SELECT offered_hash FROM tool WHERE offered_hash IS NOT NULL")


def test_p1_a_rejected_definition_is_not_offered_again_and_the_stricter_reading_goes_on(scenario):
    verdict = scenario.register(scenario.tool(**LOOSE)).tools["refund_order"]
    reject(scenario, verdict.tool_hash)
    assert offered(scenario) == []
    again = scenario.register(scenario.tool(**LOOSE), session="session-of-next-start").tools["refund_order"]
    assert (again.verdict, again.reason) == ("ask", "a person rejected this definition")
    assert offered(scenario) == []
    with pytest.raises(NotFound, match="No definition of it waits"):
        scenario.accept("refund_order", verdict.tool_hash)
    other = scenario.register(scenario.tool(**LOOSE, title="Another")).tools["refund_order"]
    assert [row[0] for row in offered(scenario)] == [other.tool_hash]
    scenario.register(scenario.tool(**LOOSE))
    assert [row[0] for row in offered(scenario)] == [other.tool_hash], "nor in the place of another one"


def test_p8_a_rejection_says_who_and_when_on_record(scenario):
    verdict = scenario.register(scenario.tool(**LOOSE)).tools["refund_order"]
    scenario.clock.forward(60)
    reject(scenario, verdict.tool_hash)
    ann = scenario.person().actor
    assert scenario.rows("SELECT actor FROM audit_event WHERE kind = 'tool.rejected'") == [(ann,)]
    ((by, at),) = scenario.rows("SELECT rejected_by, rejected_at FROM tool_rejection")
    assert (by, at) == (ann, scenario.clock.now())
    assert scenario.rows("SELECT actor FROM admin_notice WHERE kind = 'tool.rejected'") == [(ann,)]


def test_p1_only_what_was_looked_at_is_rejected(scenario):
    seen = scenario.register(scenario.tool(**LOOSE)).tools["refund_order"]
    scenario.register(scenario.tool(**LOOSE, title="Another"))
    with pytest.raises(Stale, match="Another definition is offered by now"):
        reject(scenario, seen.tool_hash)


def test_p1_what_was_rejected_here_does_not_come_to_stand_by_what_is_accepted_elsewhere(scenario):
    places = {}
    for label in ("one", "two"):
        scenario.add_server("shop", label, trusted=True, assurance=Assurance.COOPERATIVE)
        places[label] = scenario.installation("shop", label)
        verdict = scenario.register(
            scenario.tool(**LOOSE, summary="x"), session=f"session-{label}", installation=places[label]
        )
    tool_hash = verdict.tools["refund_order"].tool_hash
    reject(scenario, tool_hash, places["one"].id)
    scenario.accept("refund_order", tool_hash, places["two"].id)
    again = scenario.register(scenario.tool(**LOOSE, summary="x"), session="session-one", installation=places["one"])
    assert again.tools["refund_order"].reason == "a person rejected this definition"


@pytest.mark.parametrize("assurance", list(Assurance))
def test_p1_nothing_of_a_disabled_installation_is_accepted(scenario, assurance):
    scenario.add_server("shop", "other", trusted=True, assurance=assurance)
    at = scenario.installation("shop", "other")
    lease = scenario.register(scenario.tool(**LOOSE, summary="x"), session="session-at-other", installation=at)
    tool_hash = lease.tools["refund_order"].tool_hash
    place = at.id if assurance is Assurance.COOPERATIVE else ""
    labels = ["other"] if place else ["other", "main"]
    for label in labels:
        gone = scenario.installation("shop", label)
        scenario.write(lambda tx, gone=gone: servers.revoke(tx, Operator("test"), "installation", gone))
    with pytest.raises(Conflict, match="is disabled"):
        scenario.accept("refund_order", tool_hash, place)
    reject(scenario, tool_hash, place)
    assert offered(scenario) == []
