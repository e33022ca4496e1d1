"""Who may decide, on the record: groups that change, owners, separation, quorums, races (P1)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import pytest

from approvals.errors import (
    ApprovalsError,
    Conflict,
    Forbidden,
    NotPossible,
)
from approvals.policy.model import Action, Judgement
from approvals.policy.reviewers import Channels, Reviewers
from approvals.protocol.registration import Verdict
from approvals.protocol.states import State
from approvals.service.identity import servers
from approvals.service.identity.admins import Operator


class Rules:
    """One rule for every call, which a test may change."""

    text = "of a test"

    def __init__(self, **groups):
        self.groups = MappingProxyType({name: frozenset(handles) for name, handles in groups.items()})
        self.reviewers = Reviewers()
        self.risk = "medium"
        self.reminders = ()

    def verdict(self, tool):
        return Verdict.ASK

    def judge(self, call):
        return Judgement(
            Action.REQUIRE_APPROVAL, "test", risk=self.risk, reviewers=self.reviewers, reminders=self.reminders
        )  # fmt: skip


@pytest.fixture
def rules(scenario):
    """In force, with people whose handles are their sign-in names: ann and bob, cat and dan."""
    rules = scenario.service.policy.present = Rules()
    for name in ("cat", "dan"):
        scenario.add_user(name, "reviewer")
    scenario.run("UPDATE user_account SET handle = subject")
    return rules


def put(scenario, who, *, column="groups", to=""):
    scenario.run(f"UPDATE user_account SET {column} = :to WHERE subject = :who", to=to, who=who)


def own(scenario, *people):
    for who in people:
        scenario.run(
            "INSERT INTO agent_owner (agent_id, user_id) SELECT a.id, u.id FROM agent a, user_account u"
            " WHERE a.name = 'scout' AND u.subject = :who",
            who=who,
        )


def state(scenario, filed):
    return scenario.status(filed.request_id).state


def test_p1_only_the_named_people_and_groups_decide_and_the_refusal_says_who(scenario, rules):
    rules.reviewers = Reviewers(people=("ann",), groups=("dba", "oncall"))
    filed = scenario.file()
    put(scenario, "cat", to="web dba")
    for verdict in ("approve", "deny"):
        with pytest.raises(Forbidden, match="ann or members of dba or oncall"):
            scenario.decide(filed.request_id, verdict, who="bob", comment="no")
    assert state(scenario, filed) is State.PENDING
    scenario.decide(filed.request_id, who="cat")
    assert state(scenario, filed) is State.APPROVED


@pytest.mark.parametrize("source", ["groups", "claimed_groups", "policy"])
def test_p1_a_group_is_whoever_is_in_it_now(scenario, rules, source):
    rules.reviewers = Reviewers(groups=("dba",))
    filed = scenario.file()
    with pytest.raises(Forbidden):
        scenario.decide(filed.request_id, who="ann")
    if source == "policy":
        scenario.service.policy.present = Rules(dba=["ann"])
    else:
        put(scenario, "ann", column=source, to="dba")
    scenario.decide(filed.request_id, who="ann")
    assert state(scenario, filed) is State.APPROVED


def test_p1_a_policy_names_people_by_their_handle_alone(scenario, rules):
    rules.groups = {"dba": frozenset({"boss@example.com"})}
    rules.reviewers = Reviewers(people=("boss@example.com",), groups=("dba",))
    filed = scenario.file()
    for column in ("name", "email", "subject"):
        put(scenario, "ann", column=column, to="boss@example.com")
        with pytest.raises(Forbidden):
            scenario.decide(filed.request_id, who="ann")


def test_p1_two_groups_are_both_required_each_by_a_person_of_its_own(scenario, rules):
    rules.reviewers = Reviewers(groups=("dba", "security"), each_group=True, quorum=2)
    filed = scenario.file()
    put(scenario, "ann", to="dba security")
    put(scenario, "bob", to="dba")
    put(scenario, "cat", to="dba")
    put(scenario, "dan", to="security")
    scenario.decide(filed.request_id, who="bob")
    scenario.decide(filed.request_id, who="cat")
    assert state(scenario, filed) is State.PENDING
    scenario.decide(filed.request_id, who="dan")
    assert state(scenario, filed) is State.APPROVED
    other = scenario.file(scenario.filing({"order_id": 2}))
    scenario.decide(other.request_id, who="ann")
    assert state(scenario, other) is State.PENDING
    scenario.decide(other.request_id, who="bob")
    assert state(scenario, other) is State.APPROVED
    assert scenario.claim(other.request_id) is None


@pytest.mark.parametrize("how", ["groups", "roles", "disabled", "policy", "owner"])
def test_p1_a_vote_counts_towards_a_quorum_only_while_its_person_may_decide(scenario, rules, how):
    present = scenario.service.policy.present = Rules(oncall=["ann"] if how == "policy" else [])
    present.reviewers = Reviewers(groups=("dba", "oncall"), quorum=2)
    filed = scenario.file()
    for who in ("ann", "bob", "cat"):
        put(scenario, who, to="dba")
    if how == "policy":
        put(scenario, "ann", to="")
    scenario.decide(filed.request_id, who="ann")
    lose(scenario, "ann", how)
    with pytest.raises((Forbidden, Conflict)):
        scenario.decide(filed.request_id, who="ann")
    scenario.decide(filed.request_id, who="bob")
    assert state(scenario, filed) is State.PENDING
    scenario.decide(filed.request_id, who="cat")
    assert state(scenario, filed) is State.APPROVED
    assert scenario.claim(filed.request_id) is None


@pytest.mark.parametrize("how", ["groups", "roles", "disabled", "policy", "owner"])
def test_p1_the_claim_refuses_and_revokes_when_an_approver_may_no_longer_decide(scenario, rules, how):
    present = scenario.service.policy.present = Rules(dba=["ann"] if how == "policy" else [])
    present.reviewers = Reviewers(groups=("dba",))
    if how != "policy":
        put(scenario, "ann", to="dba")
    filed = scenario.file()
    scenario.decide(filed.request_id, who="ann")
    lose(scenario, "ann", how)
    assert isinstance(scenario.claim(filed.request_id), NotPossible)
    assert state(scenario, filed) is State.REVOKED


def lose(scenario, who, how):
    if how == "owner":
        own(scenario, who)
    elif how == "policy":
        now = Rules()
        now.reviewers = scenario.service.policy.present.reviewers
        scenario.service.policy.present = now
    elif how == "disabled":
        scenario.run("UPDATE user_account SET disabled_at = 1 WHERE subject = :who", who=who)
    else:
        put(scenario, who, column=how, to="viewer" if how == "roles" else "")


def test_p1_a_vote_whose_person_is_back_in_the_group_counts_again_and_is_not_given_twice(scenario, rules):
    rules.reviewers = Reviewers(groups=("dba",), quorum=2)
    filed = scenario.file()
    put(scenario, "ann", to="dba")
    put(scenario, "bob", to="dba")
    scenario.decide(filed.request_id, who="ann")
    put(scenario, "ann", to="")
    put(scenario, "ann", to="dba")
    with pytest.raises(Conflict):
        scenario.decide(filed.request_id, who="ann")
    scenario.decide(filed.request_id, who="bob")
    assert state(scenario, filed) is State.APPROVED


def test_p1_an_owner_of_the_agent_denies_and_does_not_approve(scenario, rules):
    own(scenario, "ann")
    filed = scenario.file()
    with pytest.raises(Forbidden, match="You own this agent"):
        scenario.decide(filed.request_id, who="ann")
    scenario.decide(filed.request_id, "deny", who="ann", comment="not now")
    assert state(scenario, filed) is State.DENIED
    rules.reviewers = Reviewers(exclude_requester=False)
    other = scenario.file(scenario.filing({"order_id": 2}))
    scenario.decide(other.request_id, who="ann")
    assert scenario.claim(other.request_id) is None


def test_p1_owning_another_agent_excludes_nobody(scenario, rules):
    scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "rover"))
    scenario.run(
        "INSERT INTO agent_owner (agent_id, user_id) SELECT a.id, u.id FROM agent a, user_account u"
        " WHERE a.name = 'rover' AND u.subject = 'ann'"
    )
    filed = scenario.file()
    scenario.decide(filed.request_id, who="ann")
    assert scenario.claim(filed.request_id) is None


@pytest.mark.parametrize("name", ["ann", " ANN ", "Ann", "ann@example.com"])
def test_p1_whom_the_agent_says_it_acts_for_does_not_approve_it(scenario, rules, name):
    put(scenario, "ann", column="email", to="Ann@Example.com")
    filed = scenario.file(scenario.filing(on_behalf_of=name))
    with pytest.raises(Forbidden, match="acts for you"):
        scenario.decide(filed.request_id, who="ann")
    scenario.decide(filed.request_id, who="bob")
    assert scenario.claim(filed.request_id) is None


def test_p1_acting_for_a_person_makes_nobody_a_reviewer(scenario, rules):
    rules.reviewers = Reviewers(people=("bob",))
    scenario.add_user("eve", "viewer")
    filed = scenario.file(scenario.filing(on_behalf_of="ann"))
    for who in ("ann", "eve"):
        with pytest.raises(Forbidden):
            scenario.decide(filed.request_id, who=who)


def test_p1_taking_back_and_settling_are_for_those_who_may_decide(scenario, rules):
    rules.reviewers = Reviewers(people=("ann",), channels=Channels(web="decide"))
    filed = scenario.file()
    scenario.decide(filed.request_id, who="ann")
    for who, error in (("bob", Forbidden), ("ann", None)):
        person = scenario.person(who)
        act = lambda tx, person=person: scenario.service.withdrawals.revoke(tx, filed.request_id, person, "")  # noqa: E731
        if error is None:
            scenario.write(act)
        else:
            with pytest.raises(error, match="ann"):
                scenario.write(act)
    assert state(scenario, filed) is State.REVOKED
    lost = scenario.lose(scenario.filing({"order_id": 2}))
    own(scenario, "ann")
    with pytest.raises(Forbidden):
        scenario.settle(lost, "failed", who="bob")
    scenario.settle(lost, "failed", who="ann")


def test_p1_p2_another_rule_for_changed_content_says_who_decides_it(scenario, rules):
    filed = scenario.file()
    rules.reviewers, rules.risk = Reviewers(people=("cat", "dan"), quorum=2), "critical"
    scenario.register(scenario.tool(description="Refund an order, all of it."))
    scenario.file()
    row = scenario.row(filed.request_id)
    assert (row.content_version, row.quorum, row.risk) == (2, 2, "critical")
    with pytest.raises(Forbidden):
        scenario.decide(filed.request_id, who="ann")
    scenario.decide(filed.request_id, who="cat")
    assert state(scenario, filed) is State.PENDING
    scenario.decide(filed.request_id, who="dan")
    assert scenario.claim(filed.request_id) is None


def test_p5_what_a_rule_opens_nowhere_and_a_risk_that_nobody_knows_is_decided_nowhere(scenario, rules):
    rules.reviewers = Reviewers(channels=Channels(web="notify_only"))
    filed = scenario.file()
    with pytest.raises(Forbidden, match="web app"):
        scenario.decide(filed.request_id)
    scenario.run("UPDATE request SET risk = 'unheard of'")
    scenario.run("UPDATE request SET reviewers = '{}'")
    with pytest.raises(Forbidden, match="unheard of"):
        scenario.decide(filed.request_id)


def at_once(*works):
    """Run them in threads that start together; their results, errors included."""
    barrier = threading.Barrier(len(works))

    def run(work):
        barrier.wait()
        try:
            return work()
        except ApprovalsError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.mark.parametrize("turn", range(5))
def test_p1_p3_two_last_votes_at_once_make_one_approval(scenario, rules, turn):
    rules.reviewers = Reviewers(quorum=2)
    filed = scenario.file()
    scenario.decide(filed.request_id, who="ann")
    results = at_once(
        lambda: scenario.decide(filed.request_id, who="bob"), lambda: scenario.decide(filed.request_id, who="cat")
    )
    assert sum(isinstance(result, NotPossible) for result in results) == 1
    assert scenario.rows("SELECT count(*) FROM permission") == [(1,)]
    assert scenario.events(filed.request_id).count("request.approved") == 1


@pytest.mark.parametrize("turn", range(5))
def test_p1_the_same_person_at_once_on_two_ways_is_one_vote(scenario, rules, turn):
    rules.reviewers = Reviewers(quorum=2)
    filed = scenario.file()
    results = at_once(*(lambda: scenario.decide(filed.request_id, who="ann") for _ in range(3)))
    assert sum(isinstance(result, Conflict) for result in results) == 2
    assert state(scenario, filed) is State.PENDING


@pytest.mark.parametrize("turn", range(5))
def test_p1_a_removal_that_races_with_the_last_vote_leaves_nothing_to_run(scenario, rules, turn):
    rules.reviewers = Reviewers(groups=("dba",), quorum=2)
    for who in ("ann", "bob"):
        put(scenario, who, to="dba")
    filed = scenario.file()
    scenario.decide(filed.request_id, who="ann")
    at_once(lambda: put(scenario, "ann", to=""), lambda: scenario.decide(filed.request_id, who="bob"))
    assert isinstance(scenario.claim(filed.request_id), NotPossible)
    assert state(scenario, filed) in {State.PENDING, State.REVOKED}
    assert scenario.rows("SELECT count(*) FROM execution") == [(0,)]


@pytest.mark.parametrize("turn", range(5))
def test_p1_a_claim_that_races_with_a_removal_is_before_or_after_it(scenario, rules, turn):
    rules.reviewers = Reviewers(groups=("dba",))
    put(scenario, "ann", to="dba")
    filed = scenario.file()
    scenario.decide(filed.request_id, who="ann")
    _, claimed = at_once(lambda: put(scenario, "ann", to=""), lambda: scenario.claim(filed.request_id))
    assert state(scenario, filed) is (State.EXECUTING if claimed is None else State.REVOKED)
