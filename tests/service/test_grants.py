"""Standing grants: how one comes about, what it lets pass, and everything that it must not."""

import json
import threading
from dataclasses import replace

import pytest

from approvals.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotPossible,
)
from approvals.policy.grant_terms import (
    Anything,
    Between,
    Equal,
    GrantTerms,
    parse,
)
from approvals.policy.model import (
    Action,
    DefaultPolicy,
    GrantLimits,
    Judgement,
    Reminder,
)
from approvals.policy.reviewers import Reviewers
from approvals.protocol.canonical import encode, redacted
from approvals.protocol.messages import Decision
from approvals.protocol.registration import Assurance
from approvals.service import grants
from approvals.service.identity import roles, servers
from approvals.service.identity.admins import Operator
from approvals.service.requests.contents import content_of
from approvals.service.requests.decisions import Seen
from approvals_web.operator.dispatch import carry_out
from approvals_web.operator.messages.grants import AllowGrants, ListGrants, RevokeGrant
from approvals_web.operator.operation import Operation

UP_TO = {"order_id": Anything(), "amount_cents": Between(0, 12000)}


def op(scenario, tx):
    return Operation(scenario.service, tx, Operator("ops"))


class Ruled(DefaultPolicy):
    """Every call needs a person, as a test likes it."""

    text = "ruled"

    def __init__(self, **judgement):
        self.judgement = {"rule": "ruled", "grants": GrantLimits()} | judgement

    def judge(self, call):
        return Judgement(**({"action": Action.REQUIRE_APPROVAL} | self.judgement))


@pytest.fixture
def rule(scenario):
    def put(**judgement):
        scenario.service.policy.present = Ruled(**judgement)

    return put


def terms(uses=3, minutes=15, **arguments):
    return GrantTerms(uses, minutes, arguments or UP_TO).dump()


def approve(scenario, request_id, text, *, who="ann", channel="web"):
    row, person = scenario.row(request_id), replace(scenario.person(who), channel=channel)
    decision = Decision(verdict="approve", content_version=row.content_version, digest=row.digest)
    return scenario.write(lambda tx: scenario.service.decisions.decide(tx, request_id, person, decision, Seen(), text))


def granted(scenario, text=None, filing=None):
    """A grant, made by Ann with a request."""
    filed = scenario.file(filing)
    approve(scenario, filed.request_id, text or terms())
    return scenario.read(lambda reader: grants.of_request(reader, filed.request_id))


def call(scenario, order=1, amount=500, **more):
    """A further call; its row."""
    arguments = {"order_id": order, "amount_cents": amount} | more.pop("arguments", {})
    return scenario.row(scenario.file(scenario.filing(arguments, **more)).request_id)


def grant(scenario, grant_id):
    return scenario.read(lambda reader: grants.find(reader, grant_id))


def permissions(scenario, request_id):
    return scenario.rows("SELECT source, grant_id FROM permission WHERE request_id = :id", id=request_id)


def test_p1_a_grant_lets_further_calls_run_so_often_and_no_more(scenario):
    made = granted(scenario, terms(uses=2))
    for used in (1, 2):
        row = call(scenario, used)
        assert (row.state, row.decided_by) == ("approved", f"grant of Ann ({used} of 2)")
        assert permissions(scenario, row.id) == [("grant", made.id)]
        assert scenario.events(row.id) == ["request.filed", "request.approved"]
        assert scenario.events(made.request_id).count("grant.used") == used
        assert scenario.claim(row.id, f"claim-{used:04}") is None
    assert call(scenario, 3).state == "pending"
    assert grant(scenario, made.id).used == 2
    assert "grant.made" in scenario.events(made.request_id)


def test_the_request_itself_is_approved_by_its_quorum_and_counts_as_no_use(scenario):
    made = granted(scenario)
    assert permissions(scenario, made.request_id) == [("quorum", None)]
    assert (made.used, made.granted_by, made.max_uses) == (0, "Ann", 3)
    assert made.expires_at - made.created_at == 15 * 60 * 1_000_000


def test_p3_an_identical_call_attaches_and_replays_and_uses_nothing_more(scenario):
    made = granted(scenario)
    first, again = call(scenario), call(scenario)
    assert first.id == again.id
    scenario.claim(first.id)
    scenario.report(first.id)
    assert call(scenario).id == first.id
    assert grant(scenario, made.id).used == 1


def test_p1_a_grant_ends_when_its_minutes_are_over(scenario):
    made = granted(scenario, terms(minutes=15))
    scenario.clock.forward(15 * 60 - 1)
    row = call(scenario, 1)
    assert (row.state, row.execute_by) == ("approved", made.expires_at)
    scenario.clock.forward(1)
    assert call(scenario, 2).state == "pending"
    refused = scenario.claim(row.id)
    assert isinstance(refused, NotPossible)
    assert scenario.status(row.id).state == "lapsed"


def test_p1_the_claim_itself_refuses_a_grant_that_has_run_out(scenario):
    granted(scenario)
    row = call(scenario)
    scenario.run("UPDATE request SET execute_by = expires_at WHERE id = :id", id=row.id)
    scenario.clock.forward(15 * 60)
    assert "run out" in scenario.claim(row.id).detail
    assert scenario.status(row.id).state == "revoked"


BROADER = ["12000", "1", True, None, 500.0, 0.5, -1, 12001, [500], {"$int": "9007199254740993"}, {"x": 1}]


@pytest.mark.parametrize("amount", BROADER)
def test_p1_a_bound_is_not_broadened_by_another_type(scenario, amount):
    made = granted(scenario)
    value = amount if isinstance(amount, dict) and "$int" in amount else encode(amount)
    assert call(scenario, amount=value).state == "pending"
    assert grant(scenario, made.id).used == 0


@pytest.mark.parametrize("order", ["1", True, 1.0, [1], None])
def test_p1_an_exact_value_is_not_broadened_by_another_type(scenario, order):
    text = terms(order_id=Equal(1), amount_cents=Between(0, 500))
    granted(scenario, text, scenario.filing({"order_id": 1, "amount_cents": 500}))
    assert call(scenario, encode(order), 400).state == "pending"
    assert call(scenario, 1, 400).state == "approved"


@pytest.mark.parametrize("arguments", [{"note": None}, {"force": True}])
def test_p1_an_argument_that_nobody_spoke_of_is_not_covered(scenario, arguments):
    granted(scenario)
    assert call(scenario, arguments=arguments).state == "pending"


def test_p1_a_missing_argument_is_not_covered(scenario):
    granted(scenario)
    assert scenario.row(scenario.file(scenario.filing({"amount_cents": 5})).request_id).state == "pending"


def test_p1_a_grant_is_of_one_agent(scenario):
    granted(scenario)
    key = scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "other"))
    assert call(scenario, assertion=scenario.assertion(key)).state == "pending"
    assert call(scenario, 2, assertion=None).state == "pending"
    assert call(scenario, 3).state == "approved"


def test_p1_a_grant_is_of_one_installation(scenario):
    granted(scenario)
    scenario.add_server("shop", "second")
    second = scenario.installation("shop", "second")
    scenario.register(session="session-0002", installation=second)
    asserted = scenario.assertion(installation=second)
    arguments = {"order_id": 1, "amount_cents": 5}
    filed = scenario.file(scenario.filing(arguments, session="session-0002", assertion=asserted), second)
    assert scenario.row(filed.request_id).state == "pending"


def test_p1_a_grant_is_of_one_tool(scenario):
    granted(scenario)
    scenario.register(scenario.tool(), scenario.tool(name="refund_all"))
    assert call(scenario, tool="refund_all").state == "pending"


def test_p2_a_changed_definition_is_not_covered(scenario):
    granted(scenario)
    scenario.register(scenario.tool(description="Refunds twice."))
    assert call(scenario).state == "pending"


def test_p2_a_definition_that_changes_before_the_claim_is_refused(scenario):
    granted(scenario)
    row = call(scenario)
    scenario.register(scenario.tool(description="Refunds twice."))
    assert scenario.claim(row.id) is not None
    assert scenario.status(row.id).state == "revoked"


def test_p1_a_grant_never_gets_round_a_denial(scenario, rule):
    rule()
    made = granted(scenario)
    rule(action=Action.DENY, reason="no")
    assert call(scenario).state == "denied"
    assert grant(scenario, made.id).used == 0


@pytest.mark.parametrize(
    "stricter",
    [
        {"reviewers": Reviewers(quorum=2)},
        {"reviewers": Reviewers(groups=("dba",))},
        {"rule": "another"},
        {"risk": "critical"},
        {"grants": None},
        {"grants": GrantLimits(max_uses=2)},
        {"grants": GrantLimits(max_minutes=14)},
    ],
)
def test_p1_a_grant_does_not_help_where_the_rule_asks_for_something_else(scenario, rule, stricter):
    rule()
    made = granted(scenario)
    before = call(scenario, 1)
    rule(**stricter)
    assert call(scenario, 2).state == "pending"
    assert grant(scenario, made.id).used == 1
    assert scenario.claim(before.id) is not None
    assert scenario.status(before.id).state == "revoked"


def test_p1_what_the_policy_refuses_by_the_claim_does_not_run(scenario, rule):
    rule()
    granted(scenario)
    row = call(scenario)
    rule(action=Action.DENY)
    assert scenario.claim(row.id) is not None


def test_p1_a_quorum_of_two_has_to_agree_on_the_very_same_terms(scenario, rule):
    rule(reviewers=Reviewers(quorum=2))
    filed = scenario.file()
    approve(scenario, filed.request_id, terms(uses=3))
    with pytest.raises(Conflict, match="other further calls"):
        approve(scenario, filed.request_id, terms(uses=4), who="bob")
    assert scenario.status(filed.request_id).state == "pending"
    approve(scenario, filed.request_id, terms(uses=3), who="bob")
    made = scenario.read(lambda reader: grants.of_request(reader, filed.request_id))
    assert (made.granted_by, made.quorum) == ("Ann, Bob", 2)
    assert call(scenario).state == "approved"


@pytest.mark.parametrize("first", ["ann", "bob"])
def test_p1_half_a_quorum_grants_nothing(scenario, rule, first):
    rule(reviewers=Reviewers(quorum=2))
    filed = scenario.file()
    if first == "ann":
        approve(scenario, filed.request_id, terms())
        scenario.decide(filed.request_id, who="bob")
    else:
        scenario.decide(filed.request_id, who="bob")
        with pytest.raises(Conflict):
            approve(scenario, filed.request_id, terms())
        scenario.decide(filed.request_id, who="ann")
    assert scenario.status(filed.request_id).state == "approved"
    assert scenario.read(lambda reader: grants.of_request(reader, filed.request_id)) is None
    assert call(scenario).state == "pending"


def test_p1_votes_on_other_content_grant_nothing(scenario, rule):
    rule(reviewers=Reviewers(quorum=2))
    scenario.add_user("cleo")
    filed = scenario.file()
    approve(scenario, filed.request_id, terms(), who="cleo")
    scenario.register(scenario.tool(description="Another."))
    scenario.file()
    approve(scenario, filed.request_id, terms(), who="ann")
    approve(scenario, filed.request_id, terms(), who="bob")
    assert call(scenario, 1).state == "approved"
    disable(scenario, "bob")
    assert call(scenario, 2).state == "pending"  # Cleo said so of another content


def disable(scenario, name):
    person = scenario.person(name)
    scenario.write(lambda tx: roles.disable(tx, person.id, Operator("test")))


def test_p1_a_grant_is_only_as_good_as_those_who_gave_it(scenario):
    made = granted(scenario)
    row = call(scenario, 1)
    disable(scenario, "ann")
    assert "may no longer" in scenario.claim(row.id).detail
    assert call(scenario, 2).state == "pending"
    assert grant(scenario, made.id).used == 1


def test_p1_a_granter_who_lost_the_role_counts_no_more(scenario):
    granted(scenario)
    row = call(scenario, 1)
    scenario.set_roles("ann", "admin")
    assert "may no longer" in scenario.claim(row.id).detail


def revoke(scenario, grant_id, who="bob"):
    person = scenario.person(who)
    scenario.write(lambda tx: scenario.service.grant_revocations.revoke(tx, grant_id, person))


def test_p1_revoking_takes_the_unclaimed_approvals_too(scenario):
    made = granted(scenario)
    ran, waits = call(scenario, 1), call(scenario, 2)
    scenario.claim(ran.id)
    revoke(scenario, made.id)
    assert scenario.status(ran.id).state == "executing"
    after = scenario.status(waits.id)
    assert (after.state, after.ended_because) == ("revoked", "Bob revoked the grant that approved it")
    assert scenario.claim(waits.id, "claim-0002") is not None
    assert call(scenario, 3).state == "pending"
    assert scenario.events(made.request_id)[-1] == "grant.revoked"
    with pytest.raises(NotPossible):
        revoke(scenario, made.id)


def test_p1_the_claim_itself_refuses_a_revoked_grant(scenario):
    made = granted(scenario)
    row = call(scenario)
    scenario.run("UPDATE standing_grant SET revoked_at = 1 WHERE id = :id", id=made.id)
    assert "revoked" in scenario.claim(row.id).detail


def test_only_those_who_could_decide_and_admins_revoke(scenario):
    made = granted(scenario)
    scenario.add_user("vic", "viewer")
    scenario.add_user("rob", "reviewer")
    scenario.add_user("ada", "admin")
    with pytest.raises(Forbidden):
        revoke(scenario, made.id, "vic")
    revoke(scenario, made.id, "rob")
    other = granted(scenario, filing=scenario.filing({"order_id": 9, "amount_cents": 9}))
    revoke(scenario, other.id, "ada")
    with pytest.raises(NotFound):
        revoke(scenario, "0" * 8, "ada")


def test_p1_a_revoked_agent_or_installation_makes_its_grants_useless(scenario):
    granted(scenario)
    row = call(scenario)
    scenario.revoke_agent()
    assert scenario.claim(row.id) is not None
    assert scenario.status(row.id).state == "revoked"


def test_p1_a_revoked_installation_claims_nothing_by_a_grant(scenario):
    granted(scenario)
    row, installation = call(scenario), scenario.installation()
    scenario.write(lambda tx: servers.revoke(tx, Operator("test"), "installation", installation))
    assert scenario.claim(row.id, installation=installation) is not None


def allow(scenario, *, allowed):
    scenario.write(lambda tx: carry_out(op(scenario, tx), AllowGrants("shop", "main", allowed)))


def test_p1_an_admin_forbids_grants_from_one_moment_to_the_next(scenario):
    granted(scenario)
    row = call(scenario, 1)
    allow(scenario, allowed=False)
    assert call(scenario, 2).state == "pending"
    assert scenario.claim(row.id) is not None
    with pytest.raises(Forbidden, match="has not allowed"):
        granted(scenario, filing=scenario.filing({"order_id": 3, "amount_cents": 3}))


def test_p1_nothing_is_granted_at_a_cooperative_installation_unless_an_admin_allows_it(scenario):
    arguments = {"name": "beside", "label": "main", "assurance": Assurance.COOPERATIVE, "trusted": True}
    scenario.write(lambda tx: servers.add_server(tx, Operator("test"), **arguments))
    assert [bool(scenario.installation(name).may_grant) for name in ("beside", "shop")] == [False, True]
    scenario.run("UPDATE installation SET may_grant = :no WHERE server = 'shop'", no=False)
    filed = scenario.file()
    with pytest.raises(Forbidden, match="admin"):
        approve(scenario, filed.request_id, terms())
    allow(scenario, allowed=True)
    approve(scenario, filed.request_id, terms())
    assert call(scenario).state == "approved"
    assert scenario.events(f"installation:{scenario.installation().id}")[-1] == "server.grants_allowed"


@pytest.mark.parametrize(
    ("judgement", "words"),
    [({"risk": "critical"}, "critical"), ({"grants": None}, "rule does not allow"), ({}, "")],
)
def test_p1_nothing_is_granted_that_the_rule_does_not_let_be(scenario, rule, judgement, words):
    rule(**judgement)
    filed = scenario.file()
    if words:
        with pytest.raises(Forbidden, match=words):
            approve(scenario, filed.request_id, terms())
        assert scenario.status(filed.request_id).state == "pending"
    else:
        approve(scenario, filed.request_id, terms())


def test_p1_unidentified_callers_are_granted_nothing(scenario):
    filed = scenario.file(scenario.filing(assertion=None))
    with pytest.raises(Forbidden, match="unidentified"):
        approve(scenario, filed.request_id, terms())


def test_p1_hidden_characters_are_never_granted(scenario):
    filed = scenario.file(scenario.filing(hidden=3))
    with pytest.raises(Forbidden, match="hidden"):
        approve(scenario, filed.request_id, terms())
    granted(scenario, filing=scenario.filing({"order_id": 8, "amount_cents": 8}))
    assert call(scenario, hidden=1).state == "pending"


def test_p1_a_secret_is_never_granted_not_even_by_any(scenario):
    secret = redacted(b"pepper", "order_id", "hunter2")
    filed = scenario.file(scenario.filing({"order_id": secret, "amount_cents": 8}))
    for condition in (Equal(secret), Anything()):
        with pytest.raises((Forbidden, Invalid)):
            approve(scenario, filed.request_id, terms(order_id=condition, amount_cents=Equal(8)))
    granted(scenario, filing=scenario.filing({"order_id": 8, "amount_cents": 8}))
    assert call(scenario, {"in": [secret]}).state == "pending"


@pytest.mark.parametrize(
    "text",
    [
        terms(uses=11),
        terms(minutes=61),
        terms(order_id=Equal(1043), amount_cents=Equal(12000)),
        terms(order_id=Equal("1042"), amount_cents=Equal(12000)),
        terms(order_id=Equal(1042)),
        terms(order_id=Equal(1042), amount_cents=Equal(12000), note=Anything()),
        terms(order_id=Equal(1042), amount_cents=Between(encode(0.0), None)),
        terms().replace('"uses":3', '"uses":true'),
        terms().replace('"uses":3', '"uses":3.0'),
        terms().replace('"uses":3', '"uses":0'),
        terms() + " ",
        "{}",
        "null",
        "[" * 10_000,
    ],
)
def test_p1_terms_beyond_the_limits_or_of_another_call_are_refused(scenario, text):
    filed = scenario.file()
    with pytest.raises(Invalid):
        approve(scenario, filed.request_id, text)
    assert scenario.status(filed.request_id).state == "pending"
    assert scenario.rows("SELECT id FROM decision") == []


def test_p1_terms_come_with_an_approval_in_the_web_app_only(scenario):
    filed = scenario.file()
    with pytest.raises(Forbidden):
        approve(scenario, filed.request_id, terms(), channel="slack")
    row, person = scenario.row(filed.request_id), scenario.person()
    with pytest.raises(Forbidden):
        scenario.read(lambda reader: grants.check(reader, row, person, "deny", terms(), []))


def test_of_several_grants_the_one_that_ends_first_is_used(scenario):
    exactly = terms(minutes=1, order_id=Equal(7), amount_cents=Equal(50_007))
    late = granted(scenario, terms(minutes=50), scenario.filing({"order_id": 5, "amount_cents": 50_005}))
    soon = granted(scenario, terms(minutes=5), scenario.filing({"order_id": 6, "amount_cents": 50_006}))
    narrow = granted(scenario, exactly, scenario.filing({"order_id": 7, "amount_cents": 50_007}))
    assert permissions(scenario, call(scenario).id) == [("grant", soon.id)]
    assert [grant(scenario, one.id).used for one in (late, soon, narrow)] == [0, 1, 0]


def test_p1_racing_calls_never_use_a_grant_more_often_than_it_says(scenario):
    made = granted(scenario, terms(uses=5))
    filings = [scenario.filing({"order_id": number, "amount_cents": 1}) for number in range(24)]
    together, at = threading.Barrier(8), scenario.installation()
    states = []

    def file(batch):
        together.wait()
        for filing in batch:
            filed = scenario.service.database.write_now(
                lambda tx, f=filing: scenario.service.filings.file(tx, at, content_of(f))
            )
            states.append(scenario.row(filed.request_id).state)

    threads = [threading.Thread(target=file, args=(filings[number::8],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == ["approved"] * 5 + ["pending"] * 19
    assert grant(scenario, made.id).used == 5
    assert len(scenario.rows("SELECT id FROM permission WHERE grant_id = :id", id=made.id)) == 5


def test_p1_a_revocation_that_races_with_calls_leaves_nothing_claimable(scenario):
    made = granted(scenario, terms(uses=10))
    filings = [scenario.filing({"order_id": number, "amount_cents": 1}) for number in range(10)]
    together, at = threading.Barrier(3), scenario.installation()

    def file(batch):
        together.wait()
        for filing in batch:
            scenario.service.database.write_now(
                lambda tx, f=filing: scenario.service.filings.file(tx, at, content_of(f))
            )

    threads = [threading.Thread(target=file, args=(filings[number::2],)) for number in range(2)]
    for thread in threads:
        thread.start()
    together.wait()
    revoke(scenario, made.id)
    for thread in threads:
        thread.join()
    left = scenario.rows(
        "SELECT r.id FROM permission p JOIN request r ON r.id = p.request_id"
        " WHERE p.grant_id = :id AND r.state = 'approved'",
        id=made.id,
    )
    assert left == []


def test_erasing_waits_for_the_end_of_the_grant_and_takes_its_terms(scenario):
    made = granted(scenario, terms(order_id=Equal(1042), amount_cents=Between(0, 12000)))
    scenario.claim(made.request_id)
    scenario.report(made.request_id)

    def erase(tx):
        scenario.service.erasures.contents(tx, made.request_id, Operator("ops"), "test")

    with pytest.raises(NotPossible, match="grant"):
        scenario.write(erase)
    scenario.clock.forward(15 * 60)
    scenario.write(erase)
    assert grant(scenario, made.id).terms == "{}"
    assert scenario.rows("SELECT grant_terms FROM decision") == [("",)]
    everything = repr(
        [scenario.rows(f"SELECT {what}") for what in ("body FROM audit_payload", "* FROM standing_grant")]
    )
    assert "1042" not in everything
    assert "12000" not in everything


def test_p5_erased_terms_let_nothing_pass(scenario):
    made = granted(scenario)
    row = call(scenario, 1)
    scenario.run("UPDATE standing_grant SET terms = '{}' WHERE id = :id", id=made.id)
    assert call(scenario, 2).state == "pending"
    assert scenario.claim(row.id) is not None


def test_retention_leaves_the_contents_of_a_live_grant(scenario):
    made = granted(scenario)
    scenario.claim(made.request_id)
    scenario.report(made.request_id)
    scenario.run("UPDATE standing_grant SET expires_at = :far WHERE id = :id", far=2**61, id=made.id)
    scenario.clock.forward(366 * 86400)
    scenario.write(scenario.service.erasures.sweep)
    assert scenario.row(made.request_id).erased_at is None
    revoke(scenario, made.id)
    scenario.write(scenario.service.erasures.sweep)
    assert scenario.row(made.request_id).erased_at is not None


def test_p3_a_restored_database_has_no_live_grant(scenario):
    made = granted(scenario)
    row = call(scenario, 1)
    scenario.write(lambda tx: scenario.service.restorations.record(tx, Operator("ops")))
    assert grant(scenario, made.id).revoked_by == "the database was restored from a back-up"
    assert call(scenario, 2).state == "pending"
    assert scenario.claim(row.id) is not None
    assert scenario.events(made.request_id)[-1] == "grant.revoked"


def test_grants_are_listed_newest_first_and_the_live_by_their_end(scenario):
    made = []
    for number in range(3):
        scenario.clock.forward(1)
        filing = scenario.filing({"order_id": number, "amount_cents": 50_000})
        made.append(granted(scenario, terms(minutes=60 - number), filing))
    assert [row.id for row in scenario.read(lambda reader: grants.page(reader, limit=2))] == [made[2].id, made[1].id]
    older = scenario.read(lambda reader: grants.page(reader, before=made[1].id))
    assert [row.id for row in older] == [made[0].id]
    assert [row.id for row in scenario.read(grants.live)] == [made[2].id, made[1].id, made[0].id]
    revoke(scenario, made[2].id)
    assert [row.id for row in scenario.read(grants.live)] == [made[1].id, made[0].id]


def test_an_operator_lists_and_revokes(scenario):
    made = granted(scenario)
    listed = scenario.write(lambda tx: carry_out(op(scenario, tx), ListGrants(every=False)))
    assert [(row.id, row.state, row.left, row.by) for row in listed] == [(made.id, "live", 3, "Ann")]
    assert "amount_cents any whole number from 0 to 12000" in listed[0].terms
    scenario.write(lambda tx: carry_out(op(scenario, tx), RevokeGrant(made.id)))
    assert scenario.write(lambda tx: carry_out(op(scenario, tx), ListGrants(every=False))) == []
    every = scenario.write(lambda tx: carry_out(op(scenario, tx), ListGrants(every=True)))
    assert every[0].state == "revoked"


def test_what_a_decision_says_of_a_grant_is_on_record_by_its_name(scenario):
    made = granted(scenario)
    (body,) = scenario.rows(
        "SELECT p.body FROM audit_event e JOIN audit_payload p ON p.payload_hash = e.payload_hash"
        " WHERE e.kind = 'decision.approve'"
    )[0]
    assert json.loads(body)["grant"] == grants.name_of(made.terms)
    assert parse(made.terms).dump() == made.terms


def test_p1_nobodys_grant_covers_what_the_agent_does_for_them(scenario):
    granted(scenario)
    assert call(scenario, on_behalf_of="Ann").state == "pending"
    assert call(scenario, order=2, on_behalf_of="bob").state == "approved"


def test_p1_an_owner_added_later_upholds_no_grant(scenario):
    granted(scenario)
    scenario.run("INSERT INTO agent_owner SELECT a.id, u.id FROM agent a, user_account u WHERE u.subject = 'ann'")
    assert call(scenario).state == "pending"


def test_a_grant_made_by_those_it_was_escalated_to_covers_further_calls(scenario, rule):
    rule(reviewers=Reviewers(groups=("dba",)), reminders=(Reminder(60, ("leads",)),))
    scenario.run("UPDATE user_account SET groups = 'leads' WHERE subject = 'ann'")
    filed = scenario.file()
    scenario.clock.forward(61)
    scenario.write(scenario.service.reminders.sweep)
    approve(scenario, filed.request_id, terms())
    assert call(scenario).state == "approved"
