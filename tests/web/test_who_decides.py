"""Who may decide, through the pages and the API: forms for those who may, tokens within their bounds (P1, P6)."""

import re
from types import MappingProxyType

import pytest

from approvals.instant import SECOND
from approvals.policy.model import Action, Judgement, Reminder
from approvals.policy.reviewers import Channels, Reviewers
from approvals.protocol.registration import Verdict
from approvals.service.identity import credentials

pytestmark = pytest.mark.databases("one")

HOUR = 3600 * SECOND
DAY = 24 * HOUR


class Rules:
    """Lets the API decide."""

    text = "of a test"
    groups = MappingProxyType({"oncall": frozenset({"cat"})})

    def __init__(self):
        self.reviewers = Reviewers(quorum=2, channels=Channels(api="decide"))
        self.risk = "medium"
        self.reminders = ()

    def verdict(self, tool):
        return Verdict.ASK

    def judge(self, call):
        return Judgement(
            Action.REQUIRE_APPROVAL, "test", risk=self.risk, reviewers=self.reviewers, reminders=self.reminders
        )  # fmt: skip


@pytest.fixture
def rules(served, scenario):
    rules = scenario.service.policy.present = Rules()
    scenario.add_user("cat", "reviewer")
    scenario.run("UPDATE user_account SET handle = subject")
    return rules


@pytest.fixture
def token(scenario):
    """Makes a person's token."""

    def make(who="ann", scopes="decide", life=HOUR):
        until = None if life is None else scenario.clock.now() + life
        scenario.tampered_with = True  # a token that nobody made on record
        return scenario.write(
            lambda tx: credentials.mint(tx, "user", scenario.person(who).id, scopes=scopes, expires_at=until)
        )

    return make


async def by_token(served, key, request_id, verdict="approve", **changes):
    row = served.scenario.row(request_id)
    seen = {"content_version": row.content_version, "digest": row.digest}
    async with served.client(key) as client:
        return await client.post(
            f"/requests/{request_id}/decisions", json={"verdict": verdict, "comment": "seen"} | seen | changes
        )


async def text_of(visitor, filed):
    return (await visitor.http.get(f"/requests/{filed.request_id}")).text


async def test_p1_one_person_through_the_web_and_two_tokens_is_one_vote(served, scenario, rules, ann, token):
    filed = scenario.file()
    assert (await ann.decide(filed.request_id)).status_code == 303
    for key in (token(), token()):
        answer = await by_token(served, key, filed.request_id)
        assert (answer.status_code, "already decided" in answer.text) == (409, True)
    assert scenario.status(filed.request_id).state == "pending"
    assert (await by_token(served, token("bob"), filed.request_id)).json()["state"] == "approved"
    assert scenario.rows("SELECT count(*) FROM decision") == [(2,)]
    assert scenario.claim(filed.request_id) is None


@pytest.mark.parametrize(
    ("risk", "api", "scopes", "life", "allowed"),
    [
        ("low", "decide", "decide", HOUR, True),
        ("medium", "decide", "decide", DAY, True),
        ("medium", "decide", "read decide", 1, True),
        ("high", "decide", "decide", HOUR, False),
        ("critical", "decide", "decide", HOUR, False),
        ("medium", "off", "decide", HOUR, False),
        ("medium", "notify_only", "decide", HOUR, False),
        ("medium", "decide", "", HOUR, False),
        ("medium", "decide", "read", HOUR, False),
        ("medium", "decide", "decide", None, False),
        ("medium", "decide", "decide", DAY + 1, False),
    ],
)
@pytest.mark.parametrize("verdict", ["approve", "deny"])
async def test_p1_a_token_decides_within_its_bounds_only(
    served, scenario, rules, token, risk, api, scopes, life, allowed, verdict
):
    rules.risk, rules.reviewers = risk, Reviewers(channels=Channels(api=api))
    filed = scenario.file()
    answer = await by_token(served, token(scopes=scopes, life=life), filed.request_id, verdict)
    assert answer.status_code == (200 if allowed else 403), answer.text
    assert (scenario.status(filed.request_id).state == "pending") is not allowed
    if not allowed:
        assert answer.json()["detail"].startswith(("This token", "Its rule does not allow"))


async def test_p1_a_token_says_no_more_than_its_person_may(served, scenario, rules, token):
    rules.reviewers = Reviewers(people=("bob",), channels=Channels(api="decide"))
    filed = scenario.file()
    refused = await by_token(served, token("ann"), filed.request_id)
    assert (refused.status_code, refused.json()["detail"]) == (403, "Only bob can decide this.")
    scenario.set_roles("bob", "viewer")
    assert (await by_token(served, token("bob"), filed.request_id)).status_code == 403
    scenario.set_roles("bob", "reviewer")
    stale = await by_token(served, token("bob"), filed.request_id, content_version=2)
    assert stale.status_code == 409
    assert (await by_token(served, token("bob"), filed.request_id)).status_code == 200


async def test_p1_a_token_that_is_revoked_while_it_decides_decides_nothing(served, scenario, rules, token):
    key = token()
    filed, person = scenario.file(), scenario.person("ann")
    scenario.write(lambda tx: credentials.revoke(tx, "user", person.id))
    assert (await by_token(served, key, filed.request_id)).status_code == 401
    row = scenario.row(filed.request_id)
    for session in (key.split("_")[1], "", scenario.keys["agent"].split("_")[1]):
        late = type(person)(**vars(person) | {"channel": "api", "session_id": session})
        fault = scenario.read(lambda reader, late=late: scenario.service.authority.fault(reader, row, late, "approve"))
        assert fault == "This token was revoked or has run out."


@pytest.mark.parametrize("roles", ["viewer", "auditor", "admin", "viewer auditor admin"])
async def test_p1_p6_the_card_has_no_form_for_those_who_may_not_decide(served, scenario, rules, visitors, roles):
    scenario.add_user("vera", roles)
    vera = await visitors.signed_in("vera")
    rules.reviewers = Reviewers()
    pending, approved = (scenario.file(scenario.filing({"order_id": order})) for order in range(2))
    scenario.decide(approved.request_id)
    lost = scenario.lose(scenario.filing({"order_id": 9}))
    for filed in (pending.request_id, approved.request_id, lost):
        page = (await vera.http.get(f"/requests/{filed}")).text
        forms = [form for form in re.findall(r'action="([^"]+)"', page) if form.startswith("/requests/")]
        mine = [f"/requests/{filed}/withdrawal"] if "admin" in roles and filed != lost else []
        assert forms == mine  # taking back what others asked for is an admin's, and decides nothing
        assert 'name="seen"' not in page
    assert "Only reviewers decide." in (await vera.http.get(f"/requests/{pending.request_id}")).text


async def test_the_card_says_who_decides_and_how_far_it_is(served, scenario, rules, ann, visitors):
    rules.reviewers = Reviewers(people=("ann", "bob"), groups=("oncall",), quorum=2)
    filed = scenario.file()
    assert "ann, bob or members of oncall" in await text_of(ann, filed)
    await ann.decide(filed.request_id)
    page = await text_of(ann, filed)
    assert "You approved this. Waiting for one more: ann, bob or members of oncall" in page
    assert 'name="verdict"' not in page
    bob = await visitors.signed_in("bob")
    assert page.count("<span>Ann</span>") == (await text_of(bob, filed)).count("<span>Ann</span>") == 1
    assert (await text_of(bob, filed)).count('name="verdict"') == 2
    rules.groups = {}
    scenario.set_roles("ann", "viewer")
    assert "no longer counts" in await text_of(bob, filed)
    assert "0 of 2 approvals" in await text_of(bob, filed)


async def test_p8_who_denied_is_not_named_among_those_who_approved(served, scenario, rules, ann):
    filed = scenario.file()
    scenario.decide(filed.request_id, who="cat")
    scenario.decide(filed.request_id, "deny", who="bob", comment="not now")
    (votes,) = re.findall(
        r'<section class="box flat" aria-labelledby="quorum">(.*?)</section>', await text_of(ann, filed), re.DOTALL
    )
    assert ("Cat" in votes, "Bob" in votes) == (True, False)


async def test_p1_an_owner_sees_why_they_may_not_approve_and_may_still_deny(served, scenario, rules, ann):
    scenario.run(
        "INSERT INTO agent_owner (agent_id, user_id) SELECT a.id, u.id FROM agent a, user_account u"
        " WHERE a.name = 'scout' AND u.subject = 'ann'"
    )
    filed = scenario.file()
    page = await text_of(ann, filed)
    assert "You cannot approve this. You own this agent" in page
    assert re.findall(r'name="verdict" value="(\w+)"', page) == ["deny"]
    refused = await ann.decide(filed.request_id)
    assert (refused.status_code, "You own this agent" in refused.text) == (403, True)
    assert (await ann.decide(filed.request_id, "deny", comment="not mine to run")).status_code == 303
    assert scenario.status(filed.request_id).state == "denied"


async def test_an_escalation_shows_on_the_card_and_gives_the_form(served, scenario, rules, visitors):
    rules.reviewers, rules.reminders = Reviewers(people=("ann",)), (Reminder(60, ("oncall",)),)
    filed = scenario.file()
    cat = await visitors.signed_in("cat")
    page = await text_of(cat, filed)
    assert "You cannot decide this. Only ann can decide this." in page
    assert 'name="verdict"' not in page
    scenario.clock.forward(60)
    scenario.write(scenario.service.reminders.sweep)
    assert "members of oncall" in await text_of(cat, filed)
    assert (await cat.decide(filed.request_id)).status_code == 303


@pytest.mark.parametrize("web", ["notify_only", "off"])
async def test_a_rule_that_closes_the_web_leaves_no_form_there(served, scenario, rules, ann, web):
    rules.reviewers = Reviewers(channels=Channels(web=web))
    filed = scenario.file()
    page = await text_of(ann, filed)
    assert "does not allow decisions of medium risk through the web app" in page
    assert 'name="verdict"' not in page
