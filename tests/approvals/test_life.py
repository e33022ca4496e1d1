"""The life of a request through the service's own methods: the moves, who may make them, and what each leaves."""

import pytest

from approvals.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotPossible,
    Stale,
    Unauthenticated,
)
from approvals.protocol.registration import Annotations
from approvals.protocol.states import State


def test_a_call_is_filed_decided_claimed_run_and_reported(house):
    filed = house.file()
    assert filed.created
    assert house.status(filed.request_id).summary == "Refund $120.00 of order 1042"
    house.decide(filed.request_id)
    assert house.claim(filed.request_id) is None
    house.report(filed.request_id)
    assert house.status(filed.request_id).state is State.SUCCEEDED
    assert house.events(filed.request_id) == [
        "request.filed",
        "decision.approve",
        "request.approved",
        "request.executing",
        "request.succeeded",
    ]


def test_p2_a_changed_definition_voids_the_votes_of_a_pending_request(house):
    first = house.file()
    changed = house.tool(description="Refund an order, twice.")
    house.register(changed)
    before = house.row(first.request_id)
    again = house.file()
    after = house.row(first.request_id)
    assert again.request_id == first.request_id
    assert after.content_version == before.content_version + 1
    assert after.digest != before.digest
    with pytest.raises(Stale):
        house.decide(first.request_id, content_version=before.content_version, digest=before.digest)


def test_p2_a_changed_definition_revokes_an_approval(house):
    first = house.file()
    house.decide(first.request_id)
    house.register(house.tool(description="Refund an order, twice."))
    assert isinstance(house.claim(first.request_id), Stale)
    assert house.status(first.request_id).state is State.REVOKED


def test_p2_a_changed_definition_files_an_approved_call_anew(house):
    first = house.file()
    house.decide(first.request_id)
    house.register(house.tool(description="Refund an order, twice."))
    second = house.file()
    assert second.created
    assert house.status(second.request_id).replaces == first.request_id
    assert house.status(first.request_id).state is State.REVOKED


def test_p2_a_claim_for_another_digest_is_refused(house):
    filed = house.file()
    house.decide(filed.request_id)
    with pytest.raises(Stale):
        house.claim(filed.request_id, digest="0" * 64)
    assert house.status(filed.request_id).state is State.APPROVED


def test_p3_one_permission_is_claimed_once(house):
    filed = house.file()
    house.decide(filed.request_id)
    assert house.claim(filed.request_id, "claim-0001") is None
    assert isinstance(house.claim(filed.request_id, "claim-0002"), NotPossible)


def test_p3_a_lost_claim_answer_is_repeated_for_the_same_claim_id(house):
    filed = house.file()
    house.decide(filed.request_id)
    assert house.claim(filed.request_id) is None
    assert house.claim(filed.request_id) is None
    assert house.events(filed.request_id).count("request.executing") == 1


def test_p3_identical_calls_share_one_request(house):
    assert house.file().request_id == house.file().request_id


def test_p3_a_finished_call_is_replayed_within_its_window_only(house):
    first = house.file()
    house.decide(first.request_id)
    house.claim(first.request_id)
    house.report(first.request_id)
    replayed = house.file()
    assert (replayed.request_id, replayed.replayed) == (first.request_id, True)
    house.clock.forward(601)
    assert house.file().created


def test_p3_a_finished_call_runs_again_only_on_purpose(house):
    first = house.file()
    house.decide(first.request_id)
    house.claim(first.request_id)
    house.report(first.request_id)
    second = house.file(house.filing(repeat_of=first.request_id))
    assert second.created
    assert house.file(house.filing(repeat_of=first.request_id)).request_id == second.request_id


def test_p3_a_lease_that_runs_out_makes_the_outcome_unknown_and_blocks_a_retry(house):
    filed = house.file()
    house.decide(filed.request_id)
    house.claim(filed.request_id)
    house.clock.forward(31)
    assert house.status(filed.request_id).state is State.UNKNOWN
    retry = house.file()
    assert (retry.request_id, retry.created) == (filed.request_id, False)
    assert house.row(filed.request_id).state == State.UNKNOWN


def test_p3_a_late_outcome_with_the_right_claim_settles_unknown(house):
    filed = house.file()
    house.decide(filed.request_id)
    house.claim(filed.request_id)
    house.clock.forward(31)
    assert house.sweep() == 1
    house.report(filed.request_id)
    assert house.status(filed.request_id).state is State.SUCCEEDED


def test_an_outcome_with_another_claim_id_is_refused(house):
    filed = house.file()
    house.decide(filed.request_id)
    house.claim(filed.request_id)
    with pytest.raises(NotFound):
        house.report(filed.request_id, claim_id="claim-9999")


def test_a_person_settles_unknown_but_did_not_run_only_after_the_margin(house):
    filed = house.file()
    house.decide(filed.request_id)
    house.claim(filed.request_id)
    house.clock.forward(31)
    house.sweep()
    with pytest.raises(NotPossible, match="may still be running"):
        house.settle(filed.request_id, "not_executed")
    with pytest.raises(Invalid):
        house.settle(filed.request_id, "failed", note=" ")
    house.clock.forward(60)
    house.settle(filed.request_id, "not_executed")
    assert house.status(filed.request_id).state is State.NOT_EXECUTED
    assert house.file().created


def test_a_late_outcome_that_contradicts_a_settlement_is_an_incident(house):
    filed = house.file()
    house.decide(filed.request_id)
    house.claim(filed.request_id)
    house.clock.forward(100)
    house.sweep()
    house.settle(filed.request_id, "not_executed")
    house.report(filed.request_id, "succeeded")
    assert house.status(filed.request_id).state is State.NOT_EXECUTED
    assert house.events(filed.request_id)[-1] == "incident.contradiction"


def test_a_gate_that_claimed_and_did_not_start_says_so(house):
    filed = house.file()
    house.decide(filed.request_id)
    house.claim(filed.request_id)
    house.report(filed.request_id, "not_executed")
    assert house.status(filed.request_id).state is State.NOT_EXECUTED


def test_p7_a_denial_is_repeated_during_its_cool_down(house):
    filed = house.file()
    house.decide(filed.request_id, "deny", comment="use store credit")
    again = house.file()
    status = house.status(again.request_id)
    assert (again.request_id, status.state, status.comment) == (filed.request_id, State.DENIED, "use store credit")
    house.clock.forward(601)
    assert house.file().created


def test_a_denial_that_may_be_asked_again_is_filed_anew_at_once(house):
    filed = house.file()
    house.decide(filed.request_id, "deny", comment="wait for the carrier", may_ask_again=True)
    assert house.file().created


def test_a_denial_needs_a_reason(house):
    filed = house.file()
    with pytest.raises(Invalid, match="needs a reason"):
        house.decide(filed.request_id, "deny", comment="  ")
    assert house.status(filed.request_id).state is State.PENDING


def test_p5_an_expired_request_cannot_be_approved_though_no_timer_ran(house):
    filed = house.file()
    house.clock.forward(3601)
    with pytest.raises(NotPossible, match="already expired"):
        house.decide(filed.request_id)


def test_who_decided_is_not_who_let_it_lapse(house):
    filed = house.file()
    house.decide(filed.request_id)
    with pytest.raises(NotPossible, match="already approved by Ann"):
        house.decide(filed.request_id, who="bob")
    house.clock.forward(3601)
    with pytest.raises(NotPossible, match=r"already lapsed\."):
        house.decide(filed.request_id, who="bob")


def test_p5_a_clock_set_back_neither_extends_nor_stops_a_request(house):
    filed = house.file()
    house.clock.forward(1800)
    house.status(filed.request_id)
    house.clock.set_back(86_400)
    assert house.status(filed.request_id).expires_in == pytest.approx(1800)
    house.clock.forward(1801)
    with pytest.raises(NotPossible, match="already expired"):
        house.decide(filed.request_id)


def test_p5_a_clock_that_jumps_forward_approves_and_executes_nothing(house):
    pending, approved = house.file(), house.file(house.filing({"order_id": 7, "amount_cents": 1}))
    house.decide(approved.request_id)
    house.clock.forward(86_400)
    assert isinstance(house.claim(approved.request_id), NotPossible)
    assert house.status(pending.request_id).state is State.EXPIRED
    assert house.status(approved.request_id).state is State.LAPSED


def test_p1_only_reviewers_decide(house):
    filed = house.file()
    house.add_user("eve", roles="viewer")
    with pytest.raises(Forbidden):
        house.decide(filed.request_id, who="eve")


def test_p1_a_person_votes_once_on_one_content(house):
    filed = house.file(house.filing())
    house.need(filed.request_id, quorum=2)
    house.decide(filed.request_id, who="ann")
    with pytest.raises(Conflict, match="already decided"):
        house.decide(filed.request_id, who="ann")
    assert house.status(filed.request_id).state is State.PENDING
    house.decide(filed.request_id, who="bob")
    assert house.status(filed.request_id).state is State.APPROVED


def test_p1_the_claim_refuses_when_an_approver_is_no_longer_eligible(house):
    filed = house.file()
    house.decide(filed.request_id, who="bob")
    house.write(lambda tx: house.service.people.disable(tx, house.person("bob").id, "test"))
    assert isinstance(house.claim(filed.request_id), NotPossible)
    assert house.status(filed.request_id).state is State.REVOKED


def test_p1_the_claim_refuses_when_the_agent_was_revoked(house):
    filed = house.file()
    house.decide(filed.request_id)
    house.revoke_agent()
    assert isinstance(house.claim(filed.request_id), Unauthenticated)
    assert house.status(filed.request_id).state is State.REVOKED


def test_p1_a_second_decision_changes_nothing(house):
    filed = house.file()
    house.decide(filed.request_id, who="ann")
    with pytest.raises(NotPossible, match="already approved by Ann"):
        house.decide(filed.request_id, "deny", who="bob", comment="no")


def test_an_installation_cannot_claim_what_another_filed(house):
    filed = house.file()
    house.decide(filed.request_id)
    house.add_server("shop", "other")
    other = house.installation("shop", "other")
    house.register(session="session-0002", installation=other)
    with pytest.raises(NotFound):
        house.claim(filed.request_id, installation=other, session="session-0002")


def test_an_installation_cannot_file_with_another_installations_assertion(house):
    house.add_server("shop", "other")
    stolen = house.assertion(installation=house.installation("shop", "other"))
    with pytest.raises(Unauthenticated):
        house.file(house.filing(assertion=stolen))


def test_an_assertion_runs_out(house):
    filing = house.filing()
    house.clock.forward(301)
    with pytest.raises(Unauthenticated):
        house.file(filing)


def test_unidentified_callers_never_share_a_request(house):
    one = house.file(house.filing(assertion=None, subject="a"))
    two = house.file(house.filing(assertion=None, subject="b"))
    assert one.request_id != two.request_id


def test_a_declared_secret_that_comes_unredacted_is_refused(house):
    house.register(house.tool(secret=("order_id",)))
    with pytest.raises(Invalid, match="unredacted"):
        house.file()


def test_an_unregistered_definition_is_stale(house):
    with pytest.raises(Stale):
        house.file(house.filing(tool_hash="0" * 64))


def test_a_tool_that_turns_read_only_keeps_asking_until_a_person_accepts(house):
    reading = house.tool(annotations=Annotations(read_only=True))
    offered = house.register(reading)
    verdict = offered.tools["refund_order"]
    assert verdict.verdict == "ask"
    house.accept("refund_order", verdict.tool_hash)
    assert house.register(reading).tools["refund_order"].verdict == "run"


def test_a_leaf_that_is_no_longer_secret_stays_secret_until_a_person_accepts(house):
    house.register(house.tool(secret=("order_id",)))
    open_again = house.tool(description="now in the open")
    verdict = house.register(open_again).tools["refund_order"]
    assert verdict.secret == ("order_id",)
    house.accept("refund_order", verdict.tool_hash)
    assert house.register(open_again).tools["refund_order"].secret == ()


def test_an_untrusted_servers_tools_are_accepted_one_by_one_and_always_asked(house):
    house.add_server("wild", trusted=False)
    wild = house.installation("wild")
    reading = house.tool(annotations=Annotations(read_only=True))
    verdict = house.register(reading, session="session-0003", installation=wild).tools["refund_order"]
    assert (verdict.verdict, verdict.reason) == ("ask", "a person has yet to accept this definition")


def test_withdrawal_is_the_agents_own_and_ends_a_pending_request(house):
    filed = house.file()
    house.withdraw(filed.request_id)
    assert house.status(filed.request_id).state is State.WITHDRAWN
    assert house.file().created
