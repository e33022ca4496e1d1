"""Who may decide, and when enough have: every combination that matters, and an oracle for the matching (P1)."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.policy.eligibility import (
    TOKEN_LIFE,
    Act,
    Candidate,
    RequestFacts,
    folded,
    missing,
    satisfied,
    token_fault,
    why_not,
)
from approvals.policy.reviewers import (
    BY_RISK,
    CHANNELS,
    DECIDE,
    NOTIFY_ONLY,
    OFF,
    Channels,
    Reviewers,
)

OPEN = Channels(web=DECIDE, slack=DECIDE, api=DECIDE)
RISKS = ("low", "medium", "high", "critical")
ACTS = tuple(Act)


def ann(**changes):
    facts = {
        "id": "u-ann",
        "handle": "ann@example.com",
        "roles": frozenset({"reviewer"}),
        "disabled": False,
        "groups": frozenset({"dba"}),
        "called": frozenset({"ann@example.com", "ann", "0a1b"}),
    }
    return Candidate(**facts | changes)


def may(reviewers=None, asked=None, candidate=None, act=Act.APPROVE, channel="web"):
    return why_not(reviewers or Reviewers(), asked or RequestFacts("low"), candidate or ann(), act, channel) is None


ROLES = [frozenset(roles) for size in range(5) for roles in itertools.combinations(
    ("admin", "reviewer", "auditor", "viewer"), size)]  # fmt: skip
NAMED = {
    "nobody named": (Reviewers(), True),
    "by handle": (Reviewers(people=("ann@example.com",)), True),
    "by handle, written otherwise": (Reviewers(people=(" Ann@Example.com ",)), True),
    "by group": (Reviewers(groups=("dba",)), True),
    "by the other group": (Reviewers(groups=("oncall", "dba")), True),
    "somebody else or the group": (Reviewers(people=("bob@example.com",), groups=("dba",)), True),
    "escalated to the group": (Reviewers(groups=("oncall",), escalated_to=("dba",)), True),
    "escalated, nobody named before": (Reviewers(escalated_to=("oncall",)), True),
    "somebody else": (Reviewers(people=("bob@example.com",)), False),
    "another group": (Reviewers(groups=("oncall",)), False),
    "a display name": (Reviewers(people=("ann",)), False),
    "a subject": (Reviewers(people=("0a1b",)), False),
    "a group of that name": (Reviewers(groups=("ann@example.com",)), False),
    "a person of the group's name": (Reviewers(people=("dba",)), False),
    "a group written otherwise": (Reviewers(groups=("DBA",)), False),
    "an empty name": (Reviewers(people=("",)), False),
    "escalated to another": (Reviewers(people=("bob@example.com",), escalated_to=("oncall",)), False),
}
REQUESTERS = {
    "nobody's": (RequestFacts("low"), True),
    "another's": (RequestFacts("low", frozenset({"u-bob"}), "bob"), True),
    "owned": (RequestFacts("low", frozenset({"u-ann", "u-bob"})), False),
    "for the handle": (RequestFacts("low", on_behalf_of="ann@example.com"), False),
    "for the name": (RequestFacts("low", on_behalf_of="ann"), False),
    "for the subject": (RequestFacts("low", on_behalf_of="0a1b"), False),
    "for them, written otherwise": (RequestFacts("low", on_behalf_of=" ANN@example.COM\t"), False),
    "for somebody whose name begins so": (RequestFacts("low", on_behalf_of="anna"), True),
    "owned by nobody, for nobody": (RequestFacts("low", frozenset(), "   "), True),
}


@pytest.mark.parametrize("roles", ROLES, ids=lambda roles: "+".join(sorted(roles)) or "none")
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("disabled", [False, True])
def test_p1_only_a_live_reviewer_decides(roles, act, disabled):
    expected = "reviewer" in roles and not disabled
    assert may(candidate=ann(roles=roles, disabled=disabled), act=act) is expected


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", NAMED)
def test_p1_whoever_is_named_decides_and_nobody_else(name, act):
    reviewers, expected = NAMED[name]
    assert may(reviewers, act=act) is expected


@pytest.mark.parametrize("name", NAMED)
def test_p1_a_person_without_a_handle_is_named_by_no_handle(name):
    reviewers, expected = NAMED[name]
    nameless = ann(handle="", groups=frozenset())
    assert may(reviewers, candidate=nameless) is (expected and reviewers.anybody)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("exclude", [True, False])
@pytest.mark.parametrize("name", REQUESTERS)
def test_p1_the_requester_may_deny_and_not_approve(name, exclude, act):
    asked, apart = REQUESTERS[name]
    expected = apart or not exclude or act is not Act.APPROVE
    assert may(Reviewers(exclude_requester=exclude), asked, act=act) is expected


@pytest.mark.parametrize("name", REQUESTERS)
def test_p1_acting_for_somebody_includes_nobody(name):
    asked, _ = REQUESTERS[name]
    for reviewers in (Reviewers(people=("bob@example.com",)), Reviewers(groups=("oncall",))):
        for exclude in (True, False):
            rule = Reviewers(**{**vars(reviewers), "exclude_requester": exclude})
            assert not any(may(rule, asked, act=act) for act in ACTS)
    assert not may(asked=asked, candidate=ann(roles=frozenset({"viewer"})))


@pytest.mark.parametrize("risk", [*RISKS, "unheard of", ""])
@pytest.mark.parametrize("channel", ["web", "slack", "api", "email", "", "__class__"])
@pytest.mark.parametrize("said", [DECIDE, NOTIFY_ONLY, OFF, BY_RISK, "", "Decide"])
@pytest.mark.parametrize("act", ACTS)
def test_p1_a_channel_decides_only_where_its_rule_and_the_table_let_it(risk, channel, said, act):
    reviewers = Reviewers(channels=Channels(web=said, slack=said, api=said))
    table = {
        "web": {DECIDE: RISKS, BY_RISK: RISKS},
        "slack": {DECIDE: RISKS, BY_RISK: RISKS[:3]},
        "api": {DECIDE: RISKS[:2]},
    }
    expected = risk in table.get(channel, {}).get(said, ())
    if act is Act.TEND:
        expected = channel == "web"
    assert may(reviewers, RequestFacts(risk), act=act, channel=channel) is expected


def test_the_table_of_channels_lets_a_rule_open_what_is_closed_but_not_beyond():
    for channel, (unsaid, at_most) in CHANNELS.items():
        assert unsaid <= at_most
        assert getattr(Channels(), channel) in {DECIDE, BY_RISK, OFF}


@pytest.mark.parametrize(
    ("scopes", "life", "expected"),
    [
        (["decide"], TOKEN_LIFE, True),
        (["read", "decide"], 1, True),
        (["decide"], TOKEN_LIFE + 1, False),
        (["decide"], None, False),
        (["read"], 1, False),
        ([], 1, False),
        (["decider"], 1, False),
    ],
)
def test_p1_a_token_decides_only_with_the_scope_and_a_short_life(scopes, life, expected):
    made = 1_000_000
    assert (token_fault(scopes, made, None if life is None else made + life) is None) is expected


@pytest.mark.parametrize(
    ("reviewers", "approvers", "expected"),
    [
        (Reviewers(), {}, False),
        (Reviewers(), {"ann": set()}, True),
        (Reviewers(quorum=0), {}, False),
        (Reviewers(quorum=-1), {}, False),
        (Reviewers(quorum=2), {"ann": set()}, False),
        (Reviewers(quorum=2), {"ann": set(), "bob": set()}, True),
        (Reviewers(quorum=1, groups=("a", "b"), each_group=True), {"ann": {"a", "b"}}, False),
        (Reviewers(quorum=1, groups=("a", "b"), each_group=True), {"ann": {"a"}, "bob": {"b"}}, True),
        (Reviewers(quorum=2, groups=("a", "b"), each_group=True), {"ann": {"a"}, "bob": {"a"}}, False),
        (Reviewers(quorum=2, groups=("a", "b"), each_group=False), {"ann": {"a"}, "bob": {"a"}}, True),
        (Reviewers(quorum=2, groups=("a", "b"), each_group=True), {"ann": {"a", "b"}, "bob": {"a"}}, True),
        (Reviewers(quorum=3, groups=("a", "b"), each_group=True), {"ann": {"a"}, "bob": {"b"}}, False),
        (Reviewers(quorum=2, groups=("a", "a"), each_group=True), {"ann": {"a"}, "bob": set()}, True),
        (
            Reviewers(quorum=2, groups=("a", "b"), each_group=True, escalated_to=("c",)),
            {"ann": {"a"}, "cat": {"c"}},
            False,
        ),
        (
            Reviewers(quorum=2, groups=("a", "b"), each_group=True, escalated_to=("c",)),
            {"ann": {"a"}, "bob": {"b"}},
            True,
        ),
    ],
)
def test_p1_a_quorum_is_distinct_people_and_each_group_needs_one_of_its_own(reviewers, approvers, expected):
    assert satisfied(reviewers, {name: frozenset(groups) for name, groups in approvers.items()}) is expected


GROUPS = ("a", "b", "c", "d")
votes = st.dictionaries(st.sampled_from("uvwxyz"), st.frozensets(st.sampled_from(GROUPS)), max_size=6)


@settings(max_examples=400, derandomize=True, database=None, deadline=None)
@given(votes, st.lists(st.sampled_from(GROUPS), max_size=4), st.integers(0, 4))
def test_p1_the_matching_of_people_and_groups_agrees_with_trying_them_all(approvers, groups, quorum):
    wanted = tuple(dict.fromkeys(groups))
    represented = any(
        all(group in approvers[person] for group, person in zip(wanted, people, strict=True))
        for people in itertools.permutations(approvers, len(wanted))
    )
    expected = represented and len(approvers) >= max(1, quorum)
    assert satisfied(Reviewers(quorum=quorum, groups=tuple(groups), each_group=True), approvers) is expected


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(votes, st.sampled_from("uvwxyz"), st.lists(st.sampled_from(GROUPS), max_size=4), st.integers(0, 4))
def test_p1_one_more_person_never_unmakes_a_quorum(approvers, more, groups, quorum):
    reviewers = Reviewers(quorum=quorum, groups=tuple(groups), each_group=True)
    without = {name: of for name, of in approvers.items() if name != more}
    assert satisfied(reviewers, approvers) or not satisfied(reviewers, without)


@pytest.mark.parametrize("reviewers", [one for one, _ in NAMED.values()])
def test_what_a_rule_asks_for_is_kept_whole(reviewers):
    assert Reviewers.parse(reviewers.dump()) == reviewers
    assert Reviewers.parse("") == Reviewers.parse("{}") == Reviewers()


def test_an_escalation_widens_and_never_narrows():
    for reviewers, _ in NAMED.values():
        wider = reviewers.escalated(("more", "dba", "more"))
        for groups in (frozenset(), frozenset({"dba"}), frozenset({"more"})):
            person = ann(groups=groups)
            assert may(wider, candidate=person) or not may(reviewers, candidate=person)
        assert len(set(wider.escalated_to)) == len(wider.escalated_to)
    assert folded(" Ä ") == "ä"


def test_whose_approval_is_missing_names_the_groups_as_groups():
    both = Reviewers(quorum=2, groups=("finance", "support"), each_group=True)
    assert missing(both, {}) == "somebody from finance and somebody from support"
    assert missing(both, {"ann": frozenset({"support"})}) == "somebody from finance"
    assert missing(Reviewers(quorum=2), {"ann": frozenset()}) == "one more reviewer"
