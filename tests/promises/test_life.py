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
from approvals.service.identity import roles
from approvals.service.identity.admins import Operator


def test_a_call_is_filed_decided_claimed_run_and_reported(scenario):
    filed = scenario.file()
    assert filed.created
    assert scenario.status(filed.request_id).summary == "Refund $120.00 of order 1042"
    scenario.decide(filed.request_id)
    assert scenario.claim(filed.request_id) is None
    scenario.report(filed.request_id)
    assert scenario.status(filed.request_id).state is State.SUCCEEDED
    assert scenario.events(filed.request_id) == [
        "request.filed",
        "decision.approve",
        "request.approved",
        "request.executing",
        "request.succeeded",
    ]


def test_p2_a_changed_definition_voids_the_votes_of_a_pending_request(scenario):
    first = scenario.file()
    changed = scenario.tool(description="Refund an order, twice.")
    scenario.register(changed)
    before = scenario.row(first.request_id)
    again = scenario.file()
    after = scenario.row(first.request_id)
    assert again.request_id == first.request_id
    assert after.content_version == before.content_version + 1
    assert after.digest != before.digest
    with pytest.raises(Stale):
        scenario.decide(first.request_id, content_version=before.content_version, digest=before.digest)


def test_p2_a_changed_definition_revokes_an_approval(scenario):
    first = scenario.file()
    scenario.decide(first.request_id)
    scenario.register(scenario.tool(description="Refund an order, twice."))
    assert isinstance(scenario.claim(first.request_id), Stale)
    assert scenario.status(first.request_id).state is State.REVOKED


def test_p2_a_changed_definition_files_an_approved_call_anew(scenario):
    first = scenario.file()
    scenario.decide(first.request_id)
    scenario.register(scenario.tool(description="Refund an order, twice."))
    second = scenario.file()
    assert second.created
    assert scenario.status(second.request_id).replaces == first.request_id
    assert scenario.status(first.request_id).state is State.REVOKED


def test_p2_a_claim_for_another_digest_is_refused(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    with pytest.raises(Stale):
        scenario.claim(filed.request_id, digest="0" * 64)
    assert scenario.status(filed.request_id).state is State.APPROVED


def test_p3_one_permission_is_claimed_once(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    assert scenario.claim(filed.request_id, "claim-0001") is None
    assert isinstance(scenario.claim(filed.request_id, "claim-0002"), NotPossible)


def test_p3_a_lost_claim_answer_is_repeated_for_the_same_claim_id(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    assert scenario.claim(filed.request_id) is None
    assert scenario.claim(filed.request_id) is None
    assert scenario.events(filed.request_id).count("request.executing") == 1


def test_p3_identical_calls_share_one_request(scenario):
    assert scenario.file().request_id == scenario.file().request_id


def test_p3_a_finished_call_is_replayed_within_its_window_only(scenario):
    first = scenario.file()
    scenario.decide(first.request_id)
    scenario.claim(first.request_id)
    scenario.report(first.request_id)
    replayed = scenario.file()
    assert (replayed.request_id, replayed.replayed) == (first.request_id, True)
    scenario.clock.forward(601)
    assert scenario.file().created


def test_p3_a_finished_call_runs_again_only_on_purpose(scenario):
    first = scenario.file()
    scenario.decide(first.request_id)
    scenario.claim(first.request_id)
    scenario.report(first.request_id)
    second = scenario.file(scenario.filing(repeat_of=first.request_id))
    assert second.created
    assert scenario.file(scenario.filing(repeat_of=first.request_id)).request_id == second.request_id


def test_p3_a_lease_that_runs_out_makes_the_outcome_unknown_and_blocks_a_retry(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.clock.forward(31)
    assert scenario.status(filed.request_id).state is State.UNKNOWN
    retry = scenario.file()
    assert (retry.request_id, retry.created) == (filed.request_id, False)
    assert scenario.row(filed.request_id).state == State.UNKNOWN


def test_p3_a_late_outcome_with_the_right_claim_settles_unknown(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.clock.forward(31)
    assert scenario.sweep() == 1
    scenario.report(filed.request_id)
    assert scenario.status(filed.request_id).state is State.SUCCEEDED


def test_p3_a_gate_that_says_late_that_the_effect_was_stale_settles_unknown(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.clock.forward(31)
    assert scenario.sweep() == 1
    scenario.report(filed.request_id, "stale")
    assert scenario.status(filed.request_id).state is State.STALE
    scenario.report(filed.request_id, "not_executed")
    assert not scenario.rows("SELECT contradiction FROM execution WHERE contradiction IS NOT NULL"), "nothing ran"
    scenario.report(filed.request_id, "succeeded")
    assert scenario.rows("SELECT contradiction FROM execution") == [("succeeded",)]


def test_an_outcome_with_another_claim_id_is_refused(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    with pytest.raises(NotFound):
        scenario.report(filed.request_id, claim_id="claim-9999")


def test_a_person_settles_unknown_but_did_not_run_only_after_the_margin(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.clock.forward(31)
    scenario.sweep()
    with pytest.raises(NotPossible, match="may still be running"):
        scenario.settle(filed.request_id, "not_executed")
    with pytest.raises(Invalid):
        scenario.settle(filed.request_id, "failed", note=" \u200b")
    scenario.clock.forward(60)
    scenario.settle(filed.request_id, "not_executed")
    assert scenario.status(filed.request_id).state is State.NOT_EXECUTED
    assert scenario.file().created


def test_a_late_outcome_that_contradicts_a_settlement_is_an_incident(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.clock.forward(100)
    scenario.sweep()
    scenario.settle(filed.request_id, "not_executed")
    scenario.report(filed.request_id, "succeeded")
    assert scenario.status(filed.request_id).state is State.NOT_EXECUTED
    assert scenario.events(filed.request_id)[-1] == "incident.contradiction"


def test_a_gate_that_claimed_and_did_not_start_says_so(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.report(filed.request_id, "not_executed")
    assert scenario.status(filed.request_id).state is State.NOT_EXECUTED


def test_p7_a_denial_is_repeated_during_its_cool_down(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id, "deny", comment="use store credit")
    again = scenario.file()
    status = scenario.status(again.request_id)
    assert (again.request_id, status.state, status.comment) == (filed.request_id, State.DENIED, "use store credit")
    scenario.clock.forward(601)
    assert scenario.file().created


def test_a_denial_that_may_be_asked_again_is_filed_anew_at_once(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id, "deny", comment="wait for the carrier", may_ask_again=True)
    assert scenario.file().created


def test_a_denial_needs_a_reason(scenario):
    filed = scenario.file()
    with pytest.raises(Invalid, match="needs a reason"):
        scenario.decide(filed.request_id, "deny", comment="  ")
    assert scenario.status(filed.request_id).state is State.PENDING


def test_p5_an_expired_request_cannot_be_approved_though_no_timer_ran(scenario):
    filed = scenario.file()
    scenario.clock.forward(3601)
    with pytest.raises(NotPossible, match="already expired"):
        scenario.decide(filed.request_id)


def test_who_decided_is_not_who_let_it_lapse(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    with pytest.raises(NotPossible, match="already approved by Ann"):
        scenario.decide(filed.request_id, who="bob")
    scenario.clock.forward(3601)
    with pytest.raises(NotPossible, match=r"already lapsed\."):
        scenario.decide(filed.request_id, who="bob")


def test_p5_a_clock_set_back_neither_extends_nor_stops_a_request(scenario):
    filed = scenario.file()
    scenario.clock.forward(1800)
    scenario.status(filed.request_id)
    scenario.clock.set_back(86_400)
    assert scenario.status(filed.request_id).expires_in == pytest.approx(1800)
    scenario.clock.forward(1801)
    with pytest.raises(NotPossible, match="already expired"):
        scenario.decide(filed.request_id)


def test_p5_a_clock_that_jumps_forward_approves_and_executes_nothing(scenario):
    pending, approved = scenario.file(), scenario.file(scenario.filing({"order_id": 7, "amount_cents": 1}))
    scenario.decide(approved.request_id)
    scenario.clock.forward(86_400)
    assert isinstance(scenario.claim(approved.request_id), NotPossible)
    assert scenario.status(pending.request_id).state is State.EXPIRED
    assert scenario.status(approved.request_id).state is State.LAPSED


def test_p1_only_reviewers_decide(scenario):
    filed = scenario.file()
    scenario.add_user("eve", roles="viewer")
    with pytest.raises(Forbidden):
        scenario.decide(filed.request_id, who="eve")


def test_p1_a_person_votes_once_on_one_content(scenario):
    filed = scenario.file(scenario.filing())
    scenario.need(filed.request_id, quorum=2)
    scenario.decide(filed.request_id, who="ann")
    with pytest.raises(Conflict, match="already decided"):
        scenario.decide(filed.request_id, who="ann")
    assert scenario.status(filed.request_id).state is State.PENDING
    scenario.decide(filed.request_id, who="bob")
    assert scenario.status(filed.request_id).state is State.APPROVED


def test_p1_the_claim_refuses_when_an_approver_is_no_longer_eligible(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id, who="bob")
    scenario.write(lambda tx: roles.disable(tx, scenario.person("bob").id, Operator("test")))
    assert isinstance(scenario.claim(filed.request_id), NotPossible)
    assert scenario.status(filed.request_id).state is State.REVOKED


def test_p1_the_claim_refuses_when_the_agent_was_revoked(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.revoke_agent()
    assert isinstance(scenario.claim(filed.request_id), Unauthenticated)
    assert scenario.status(filed.request_id).state is State.REVOKED


def test_p1_a_second_decision_changes_nothing(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id, who="ann")
    with pytest.raises(NotPossible, match="already approved by Ann"):
        scenario.decide(filed.request_id, "deny", who="bob", comment="no")


def test_an_installation_cannot_claim_what_another_filed(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.add_server("shop", "other")
    other = scenario.installation("shop", "other")
    scenario.register(session="session-0002", installation=other)
    with pytest.raises(NotFound):
        scenario.claim(filed.request_id, installation=other, session="session-0002")


def test_an_installation_cannot_file_with_another_installations_assertion(scenario):
    scenario.add_server("shop", "other")
    stolen = scenario.assertion(installation=scenario.installation("shop", "other"))
    with pytest.raises(Unauthenticated):
        scenario.file(scenario.filing(assertion=stolen))


def test_an_assertion_runs_out(scenario):
    filing = scenario.filing()
    scenario.clock.forward(301)
    with pytest.raises(Unauthenticated):
        scenario.file(filing)


def test_unidentified_callers_never_share_a_request(scenario):
    one = scenario.file(scenario.filing(assertion=None, subject="a"))
    two = scenario.file(scenario.filing(assertion=None, subject="b"))
    assert one.request_id != two.request_id


def test_a_declared_secret_that_comes_unredacted_is_refused(scenario):
    scenario.register(scenario.tool(secret=("order_id",)))
    with pytest.raises(Invalid, match="unredacted"):
        scenario.file()


def test_an_unregistered_definition_is_stale(scenario):
    with pytest.raises(Stale):
        scenario.file(scenario.filing(tool_hash="0" * 64))


def test_a_tool_that_turns_read_only_keeps_asking_until_a_person_accepts(scenario):
    reading = scenario.tool(annotations=Annotations(read_only=True))
    offered = scenario.register(reading)
    verdict = offered.tools["refund_order"]
    assert verdict.verdict == "ask"
    scenario.accept("refund_order", verdict.tool_hash)
    assert scenario.register(reading).tools["refund_order"].verdict == "run"


def test_a_leaf_that_is_no_longer_secret_stays_secret_until_a_person_accepts(scenario):
    scenario.register(scenario.tool(secret=("order_id",)))
    open_again = scenario.tool(description="now in the open")
    verdict = scenario.register(open_again).tools["refund_order"]
    assert verdict.secret == ("order_id",)
    scenario.accept("refund_order", verdict.tool_hash)
    assert scenario.register(open_again).tools["refund_order"].secret == ()


def test_an_untrusted_servers_tools_are_accepted_one_by_one_and_always_asked(scenario):
    scenario.add_server("wild", trusted=False)
    wild = scenario.installation("wild")
    reading = scenario.tool(annotations=Annotations(read_only=True))
    verdict = scenario.register(reading, session="session-0003", installation=wild).tools["refund_order"]
    assert (verdict.verdict, verdict.reason) == ("ask", "a person has yet to accept this definition")


def test_withdrawal_is_the_agents_own_and_ends_a_pending_request(scenario):
    filed = scenario.file()
    scenario.withdraw(filed.request_id)
    assert scenario.status(filed.request_id).state is State.WITHDRAWN
    assert scenario.file().created
