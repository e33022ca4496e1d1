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
from approvals.service.requests.contents import content_of
from approvals.service.requests.decisions import Seen
from approvals_web.operator import grants as grant_commands

UP_TO = {"order_id": Anything(), "amount_cents": Between(0, 12000)}


class Ruled(DefaultPolicy):
    """Every call needs a person, as a test likes it."""

    text = "ruled"

    def __init__(self, **judgement):
        self.judgement = {"rule": "ruled", "grants": GrantLimits()} | judgement

    def judge(self, call):
        return Judgement(**({"action": Action.REQUIRE_APPROVAL} | self.judgement))


@pytest.fixture
def rule(house):
    def put(**judgement):
        house.service.policy.present = Ruled(**judgement)

    return put


def terms(uses=3, minutes=15, **arguments):
    return GrantTerms(uses, minutes, arguments or UP_TO).dump()


def approve(house, request_id, text, *, who="ann", channel="web"):
    row, person = house.row(request_id), replace(house.person(who), channel=channel)
    decision = Decision(verdict="approve", content_version=row.content_version, digest=row.digest)
    return house.write(lambda tx: house.service.decisions.decide(tx, request_id, person, decision, Seen(), text))


def granted(house, text=None, filing=None):
    """A grant, made by Ann with a request."""
    filed = house.file(filing)
    approve(house, filed.request_id, text or terms())
    return house.read(lambda reader: grants.of_request(reader, filed.request_id))


def call(house, order=1, amount=500, **more):
    """A further call; its row."""
    arguments = {"order_id": order, "amount_cents": amount} | more.pop("arguments", {})
    return house.row(house.file(house.filing(arguments, **more)).request_id)


def grant(house, grant_id):
    return house.read(lambda reader: grants.find(reader, grant_id))


def permissions(house, request_id):
    return house.rows("SELECT source, grant_id FROM permission WHERE request_id = :id", id=request_id)


def test_p1_a_grant_lets_further_calls_run_so_often_and_no_more(house):
    made = granted(house, terms(uses=2))
    for used in (1, 2):
        row = call(house, used)
        assert (row.state, row.decided_by) == ("approved", f"grant of Ann ({used} of 2)")
        assert permissions(house, row.id) == [("grant", made.id)]
        assert house.events(row.id) == ["request.filed", "request.approved"]
        assert house.events(made.request_id).count("grant.used") == used
        assert house.claim(row.id, f"claim-{used:04}") is None
    assert call(house, 3).state == "pending"
    assert grant(house, made.id).used == 2
    assert "grant.made" in house.events(made.request_id)


def test_the_request_itself_is_approved_by_its_quorum_and_counts_as_no_use(house):
    made = granted(house)
    assert permissions(house, made.request_id) == [("quorum", None)]
    assert (made.used, made.granted_by, made.max_uses) == (0, "Ann", 3)
    assert made.expires_at - made.created_at == 15 * 60 * 1_000_000


def test_p3_an_identical_call_attaches_and_replays_and_uses_nothing_more(house):
    made = granted(house)
    first, again = call(house), call(house)
    assert first.id == again.id
    house.claim(first.id)
    house.report(first.id)
    assert call(house).id == first.id
    assert grant(house, made.id).used == 1


def test_p1_a_grant_ends_when_its_minutes_are_over(house):
    made = granted(house, terms(minutes=15))
    house.clock.forward(15 * 60 - 1)
    row = call(house, 1)
    assert (row.state, row.execute_by) == ("approved", made.expires_at)
    house.clock.forward(1)
    assert call(house, 2).state == "pending"
    refused = house.claim(row.id)
    assert isinstance(refused, NotPossible)
    assert house.status(row.id).state == "lapsed"


def test_p1_the_claim_itself_refuses_a_grant_that_has_run_out(house):
    granted(house)
    row = call(house)
    house.run("UPDATE request SET execute_by = expires_at WHERE id = :id", id=row.id)
    house.clock.forward(15 * 60)
    assert "run out" in house.claim(row.id).detail
    assert house.status(row.id).state == "revoked"


BROADER = ["12000", "1", True, None, 500.0, 0.5, -1, 12001, [500], {"$int": "9007199254740993"}, {"x": 1}]


@pytest.mark.parametrize("amount", BROADER)
def test_p1_a_bound_is_not_broadened_by_another_type(house, amount):
    made = granted(house)
    value = amount if isinstance(amount, dict) and "$int" in amount else encode(amount)
    assert call(house, amount=value).state == "pending"
    assert grant(house, made.id).used == 0


@pytest.mark.parametrize("order", ["1", True, 1.0, [1], None])
def test_p1_an_exact_value_is_not_broadened_by_another_type(house, order):
    text = terms(order_id=Equal(1), amount_cents=Between(0, 500))
    granted(house, text, house.filing({"order_id": 1, "amount_cents": 500}))
    assert call(house, encode(order), 400).state == "pending"
    assert call(house, 1, 400).state == "approved"


@pytest.mark.parametrize("arguments", [{"note": None}, {"force": True}])
def test_p1_an_argument_that_nobody_spoke_of_is_not_covered(house, arguments):
    granted(house)
    assert call(house, arguments=arguments).state == "pending"


def test_p1_a_missing_argument_is_not_covered(house):
    granted(house)
    assert house.row(house.file(house.filing({"amount_cents": 5})).request_id).state == "pending"


def test_p1_a_grant_is_of_one_agent(house):
    granted(house)
    key = house.write(lambda tx: house.service.principals.add_agent(tx, "test", "other"))
    assert call(house, assertion=house.assertion(key)).state == "pending"
    assert call(house, 2, assertion=None).state == "pending"
    assert call(house, 3).state == "approved"


def test_p1_a_grant_is_of_one_installation(house):
    granted(house)
    house.add_server("shop", "second")
    second = house.installation("shop", "second")
    house.register(session="session-0002", installation=second)
    asserted = house.assertion(installation=second)
    arguments = {"order_id": 1, "amount_cents": 5}
    filed = house.file(house.filing(arguments, session="session-0002", assertion=asserted), second)
    assert house.row(filed.request_id).state == "pending"


def test_p1_a_grant_is_of_one_tool(house):
    granted(house)
    house.register(house.tool(), house.tool(name="refund_all"))
    assert call(house, tool="refund_all").state == "pending"


def test_p2_a_changed_definition_is_not_covered(house):
    granted(house)
    house.register(house.tool(description="Refunds twice."))
    assert call(house).state == "pending"


def test_p2_a_definition_that_changes_before_the_claim_is_refused(house):
    granted(house)
    row = call(house)
    house.register(house.tool(description="Refunds twice."))
    assert house.claim(row.id) is not None
    assert house.status(row.id).state == "revoked"


def test_p1_a_grant_never_gets_round_a_denial(house, rule):
    rule()
    made = granted(house)
    rule(action=Action.DENY, reason="no")
    assert call(house).state == "denied"
    assert grant(house, made.id).used == 0


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
def test_p1_a_grant_does_not_help_where_the_rule_asks_for_something_else(house, rule, stricter):
    rule()
    made = granted(house)
    before = call(house, 1)
    rule(**stricter)
    assert call(house, 2).state == "pending"
    assert grant(house, made.id).used == 1
    assert house.claim(before.id) is not None
    assert house.status(before.id).state == "revoked"


def test_p1_what_the_policy_refuses_by_the_claim_does_not_run(house, rule):
    rule()
    granted(house)
    row = call(house)
    rule(action=Action.DENY)
    assert house.claim(row.id) is not None


def test_p1_a_quorum_of_two_has_to_agree_on_the_very_same_terms(house, rule):
    rule(reviewers=Reviewers(quorum=2))
    filed = house.file()
    approve(house, filed.request_id, terms(uses=3))
    with pytest.raises(Conflict, match="other further calls"):
        approve(house, filed.request_id, terms(uses=4), who="bob")
    assert house.status(filed.request_id).state == "pending"
    approve(house, filed.request_id, terms(uses=3), who="bob")
    made = house.read(lambda reader: grants.of_request(reader, filed.request_id))
    assert (made.granted_by, made.quorum) == ("Ann, Bob", 2)
    assert call(house).state == "approved"


@pytest.mark.parametrize("first", ["ann", "bob"])
def test_p1_half_a_quorum_grants_nothing(house, rule, first):
    rule(reviewers=Reviewers(quorum=2))
    filed = house.file()
    if first == "ann":
        approve(house, filed.request_id, terms())
        house.decide(filed.request_id, who="bob")
    else:
        house.decide(filed.request_id, who="bob")
        with pytest.raises(Conflict):
            approve(house, filed.request_id, terms())
        house.decide(filed.request_id, who="ann")
    assert house.status(filed.request_id).state == "approved"
    assert house.read(lambda reader: grants.of_request(reader, filed.request_id)) is None
    assert call(house).state == "pending"


def test_p1_votes_on_other_content_grant_nothing(house, rule):
    rule(reviewers=Reviewers(quorum=2))
    house.add_user("cleo")
    filed = house.file()
    approve(house, filed.request_id, terms(), who="cleo")
    house.register(house.tool(description="Another."))
    house.file()
    approve(house, filed.request_id, terms(), who="ann")
    approve(house, filed.request_id, terms(), who="bob")
    assert call(house, 1).state == "approved"
    disable(house, "bob")
    assert call(house, 2).state == "pending"  # Cleo said so of another content


def disable(house, name):
    person = house.person(name)
    house.write(lambda tx: house.service.people.disable(tx, person.id, "test"))


def test_p1_a_grant_is_only_as_good_as_those_who_gave_it(house):
    made = granted(house)
    row = call(house, 1)
    disable(house, "ann")
    assert "may no longer" in house.claim(row.id).detail
    assert call(house, 2).state == "pending"
    assert grant(house, made.id).used == 1


def test_p1_a_granter_who_lost_the_role_counts_no_more(house):
    granted(house)
    row = call(house, 1)
    house.run("UPDATE user_account SET roles = 'admin' WHERE subject = 'ann'")
    assert "may no longer" in house.claim(row.id).detail


def revoke(house, grant_id, who="bob"):
    person = house.person(who)
    house.write(lambda tx: house.service.grant_revocations.by_person(tx, grant_id, person))


def test_p1_revoking_takes_the_unclaimed_approvals_too(house):
    made = granted(house)
    ran, waits = call(house, 1), call(house, 2)
    house.claim(ran.id)
    revoke(house, made.id)
    assert house.status(ran.id).state == "executing"
    after = house.status(waits.id)
    assert (after.state, after.ended_because) == ("revoked", "Bob revoked the grant that approved it")
    assert house.claim(waits.id, "claim-0002") is not None
    assert call(house, 3).state == "pending"
    assert house.events(made.request_id)[-1] == "grant.revoked"
    with pytest.raises(NotPossible):
        revoke(house, made.id)


def test_p1_the_claim_itself_refuses_a_revoked_grant(house):
    made = granted(house)
    row = call(house)
    house.run("UPDATE standing_grant SET revoked_at = 1 WHERE id = :id", id=made.id)
    assert "revoked" in house.claim(row.id).detail


def test_only_those_who_could_decide_and_admins_revoke(house):
    made = granted(house)
    house.add_user("vic", "viewer")
    house.add_user("rob", "reviewer")
    house.add_user("ada", "admin")
    with pytest.raises(Forbidden):
        revoke(house, made.id, "vic")
    revoke(house, made.id, "rob")
    other = granted(house, filing=house.filing({"order_id": 9, "amount_cents": 9}))
    revoke(house, other.id, "ada")
    with pytest.raises(NotFound):
        revoke(house, "0" * 8, "ada")


def test_p1_a_revoked_agent_or_installation_makes_its_grants_useless(house):
    granted(house)
    row = call(house)
    house.revoke_agent()
    assert house.claim(row.id) is not None
    assert house.status(row.id).state == "revoked"


def test_p1_a_revoked_installation_claims_nothing_by_a_grant(house):
    granted(house)
    row, installation = call(house), house.installation()
    house.write(lambda tx: house.service.principals.revoke(tx, "test", "installation", installation))
    assert house.claim(row.id, installation=installation) is not None


def allow(house, *, allowed):
    house.write(lambda tx: grant_commands.server_grants(house.service, tx, "cli:ops", "shop", "main", allowed))


def test_p1_an_admin_forbids_grants_from_one_moment_to_the_next(house):
    granted(house)
    row = call(house, 1)
    allow(house, allowed=False)
    assert call(house, 2).state == "pending"
    assert house.claim(row.id) is not None
    with pytest.raises(Forbidden, match="has not allowed"):
        granted(house, filing=house.filing({"order_id": 3, "amount_cents": 3}))


def test_p1_nothing_is_granted_at_a_cooperative_installation_unless_an_admin_allows_it(house):
    arguments = {"name": "beside", "label": "main", "assurance": Assurance.COOPERATIVE, "trusted": True}
    house.write(lambda tx: house.service.principals.add_server(tx, "test", **arguments))
    assert [bool(house.installation(name).may_grant) for name in ("beside", "shop")] == [False, True]
    house.run("UPDATE installation SET may_grant = :no WHERE server = 'shop'", no=False)
    filed = house.file()
    with pytest.raises(Forbidden, match="admin"):
        approve(house, filed.request_id, terms())
    allow(house, allowed=True)
    approve(house, filed.request_id, terms())
    assert call(house).state == "approved"
    assert house.events(f"installation:{house.installation().id}")[-1] == "server.grants_allowed"


@pytest.mark.parametrize(
    ("judgement", "words"),
    [({"risk": "critical"}, "critical"), ({"grants": None}, "rule does not allow"), ({}, "")],
)
def test_p1_nothing_is_granted_that_the_rule_does_not_let_be(house, rule, judgement, words):
    rule(**judgement)
    filed = house.file()
    if words:
        with pytest.raises(Forbidden, match=words):
            approve(house, filed.request_id, terms())
        assert house.status(filed.request_id).state == "pending"
    else:
        approve(house, filed.request_id, terms())


def test_p1_unidentified_callers_are_granted_nothing(house):
    filed = house.file(house.filing(assertion=None))
    with pytest.raises(Forbidden, match="unidentified"):
        approve(house, filed.request_id, terms())


def test_p1_hidden_characters_are_never_granted(house):
    filed = house.file(house.filing(hidden=3))
    with pytest.raises(Forbidden, match="hidden"):
        approve(house, filed.request_id, terms())
    granted(house, filing=house.filing({"order_id": 8, "amount_cents": 8}))
    assert call(house, hidden=1).state == "pending"


def test_p1_a_secret_is_never_granted_not_even_by_any(house):
    secret = redacted(b"pepper", "order_id", "hunter2")
    filed = house.file(house.filing({"order_id": secret, "amount_cents": 8}))
    for condition in (Equal(secret), Anything()):
        with pytest.raises((Forbidden, Invalid)):
            approve(house, filed.request_id, terms(order_id=condition, amount_cents=Equal(8)))
    granted(house, filing=house.filing({"order_id": 8, "amount_cents": 8}))
    assert call(house, {"in": [secret]}).state == "pending"


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
def test_p1_terms_beyond_the_limits_or_of_another_call_are_refused(house, text):
    filed = house.file()
    with pytest.raises(Invalid):
        approve(house, filed.request_id, text)
    assert house.status(filed.request_id).state == "pending"
    assert house.rows("SELECT id FROM decision") == []


def test_p1_terms_come_with_an_approval_in_the_web_app_only(house):
    filed = house.file()
    with pytest.raises(Forbidden):
        approve(house, filed.request_id, terms(), channel="slack")
    row, person = house.row(filed.request_id), house.person()
    with pytest.raises(Forbidden):
        house.read(lambda reader: grants.check(reader, row, person, "deny", terms(), []))


def test_of_several_grants_the_one_that_ends_first_is_used(house):
    exactly = terms(minutes=1, order_id=Equal(7), amount_cents=Equal(50_007))
    late = granted(house, terms(minutes=50), house.filing({"order_id": 5, "amount_cents": 50_005}))
    soon = granted(house, terms(minutes=5), house.filing({"order_id": 6, "amount_cents": 50_006}))
    narrow = granted(house, exactly, house.filing({"order_id": 7, "amount_cents": 50_007}))
    assert permissions(house, call(house).id) == [("grant", soon.id)]
    assert [grant(house, one.id).used for one in (late, soon, narrow)] == [0, 1, 0]


def test_p1_racing_calls_never_use_a_grant_more_often_than_it_says(house):
    made = granted(house, terms(uses=5))
    filings = [house.filing({"order_id": number, "amount_cents": 1}) for number in range(24)]
    together, at = threading.Barrier(8), house.installation()
    states = []

    def file(batch):
        together.wait()
        for filing in batch:
            filed = house.service.database.write_now(
                lambda tx, f=filing: house.service.filings.file(tx, at, content_of(f))
            )
            states.append(house.row(filed.request_id).state)

    threads = [threading.Thread(target=file, args=(filings[number::8],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == ["approved"] * 5 + ["pending"] * 19
    assert grant(house, made.id).used == 5
    assert len(house.rows("SELECT id FROM permission WHERE grant_id = :id", id=made.id)) == 5


def test_p1_a_revocation_that_races_with_calls_leaves_nothing_claimable(house):
    made = granted(house, terms(uses=10))
    filings = [house.filing({"order_id": number, "amount_cents": 1}) for number in range(10)]
    together, at = threading.Barrier(3), house.installation()

    def file(batch):
        together.wait()
        for filing in batch:
            house.service.database.write_now(lambda tx, f=filing: house.service.filings.file(tx, at, content_of(f)))

    threads = [threading.Thread(target=file, args=(filings[number::2],)) for number in range(2)]
    for thread in threads:
        thread.start()
    together.wait()
    revoke(house, made.id)
    for thread in threads:
        thread.join()
    left = house.rows(
        "SELECT r.id FROM permission p JOIN request r ON r.id = p.request_id"
        " WHERE p.grant_id = :id AND r.state = 'approved'",
        id=made.id,
    )
    assert left == []


def test_erasing_waits_for_the_end_of_the_grant_and_takes_its_terms(house):
    made = granted(house, terms(order_id=Equal(1042), amount_cents=Between(0, 12000)))
    house.claim(made.request_id)
    house.report(made.request_id)

    def erase(tx):
        house.service.erasures.contents(tx, made.request_id, "cli:ops", "test")

    with pytest.raises(NotPossible, match="grant"):
        house.write(erase)
    house.clock.forward(15 * 60)
    house.write(erase)
    assert grant(house, made.id).terms == "{}"
    assert house.rows("SELECT grant_terms FROM decision") == [("",)]
    everything = repr([house.rows(f"SELECT {what}") for what in ("body FROM audit_payload", "* FROM standing_grant")])
    assert "1042" not in everything
    assert "12000" not in everything


def test_p5_erased_terms_let_nothing_pass(house):
    made = granted(house)
    row = call(house, 1)
    house.run("UPDATE standing_grant SET terms = '{}' WHERE id = :id", id=made.id)
    assert call(house, 2).state == "pending"
    assert house.claim(row.id) is not None


def test_retention_leaves_the_contents_of_a_live_grant(house):
    made = granted(house)
    house.claim(made.request_id)
    house.report(made.request_id)
    house.run("UPDATE standing_grant SET expires_at = :far WHERE id = :id", far=2**61, id=made.id)
    house.clock.forward(366 * 86400)
    house.write(house.service.erasures.sweep)
    assert house.row(made.request_id).erased_at is None
    revoke(house, made.id)
    house.write(house.service.erasures.sweep)
    assert house.row(made.request_id).erased_at is not None


def test_p3_a_restored_database_has_no_live_grant(house):
    made = granted(house)
    row = call(house, 1)
    house.write(lambda tx: house.service.restorations.record(tx, "cli:ops"))
    assert grant(house, made.id).revoked_by == "the database was restored from a back-up"
    assert call(house, 2).state == "pending"
    assert house.claim(row.id) is not None
    assert house.events(made.request_id)[-1] == "grant.revoked"


def test_grants_are_listed_newest_first_and_the_live_by_their_end(house):
    made = []
    for number in range(3):
        house.clock.forward(1)
        filing = house.filing({"order_id": number, "amount_cents": 50_000})
        made.append(granted(house, terms(minutes=60 - number), filing))
    assert [row.id for row in house.read(lambda reader: grants.page(reader, limit=2))] == [made[2].id, made[1].id]
    older = house.read(lambda reader: grants.page(reader, before=made[1].id))
    assert [row.id for row in older] == [made[0].id]
    assert [row.id for row in house.read(grants.live)] == [made[2].id, made[1].id, made[0].id]
    revoke(house, made[2].id)
    assert [row.id for row in house.read(grants.live)] == [made[1].id, made[0].id]


def test_an_operator_lists_and_revokes(house):
    made = granted(house)
    listed = house.write(lambda tx: grant_commands.grant_list(house.service, tx, "cli:ops", every=False))
    assert [(row["id"], row["state"], row["left"], row["by"]) for row in listed] == [(made.id, "live", 3, "Ann")]
    assert "amount_cents any whole number from 0 to 12000" in listed[0]["terms"]
    house.write(lambda tx: grant_commands.grant_revoke(house.service, tx, "cli:ops", made.id))
    assert house.write(lambda tx: grant_commands.grant_list(house.service, tx, "cli:ops", every=False)) == []
    every = house.write(lambda tx: grant_commands.grant_list(house.service, tx, "cli:ops", every=True))
    assert every[0]["state"] == "revoked"


def test_what_a_decision_says_of_a_grant_is_on_record_by_its_name(house):
    made = granted(house)
    (body,) = house.rows(
        "SELECT p.body FROM audit_event e JOIN audit_payload p ON p.payload_hash = e.payload_hash"
        " WHERE e.kind = 'decision.approve'"
    )[0]
    assert json.loads(body)["grant"] == grants.name_of(made.terms)
    assert parse(made.terms).dump() == made.terms


def test_p1_nobodys_grant_covers_what_the_agent_does_for_them(house):
    granted(house)
    assert call(house, on_behalf_of="Ann").state == "pending"
    assert call(house, order=2, on_behalf_of="bob").state == "approved"


def test_p1_an_owner_added_later_upholds_no_grant(house):
    granted(house)
    house.run("INSERT INTO agent_owner SELECT a.id, u.id FROM agent a, user_account u WHERE u.subject = 'ann'")
    assert call(house).state == "pending"


def test_a_grant_made_by_those_it_was_escalated_to_covers_further_calls(house, rule):
    rule(reviewers=Reviewers(groups=("dba",)), reminders=(Reminder(60, ("leads",)),))
    house.run("UPDATE user_account SET groups = 'leads' WHERE subject = 'ann'")
    filed = house.file()
    house.clock.forward(61)
    house.write(house.service.reminders.sweep)
    approve(house, filed.request_id, terms())
    assert call(house).state == "approved"
