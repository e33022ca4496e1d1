"""Approving in Slack: real HTTP both ways, with a stand-in that keeps Slack's rules."""

import asyncio
import json
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals.instant import SECOND
from approvals.policy.model import DefaultPolicy, Notify
from approvals.policy.reviewers import Reviewers
from approvals.service.identity import roles
from approvals.service.identity.admins import Operator
from approvals.service.identity.users import require_user
from approvals.service.notifications.notifier import REPLY
from approvals.service.requests import presence
from approvals.service.slack.blocks import APPROVE, DENY
from approvals.service.slack.modals import DENIAL, FREEZE
from approvals_web import slack_socket
from approvals_web.demo.slack import sending
from approvals_web.demo.slack.limits import message_fault
from support.fake_slack import CHANNEL, fake_slack

BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def database_url(request):
    """SQLite, where a test does not ask for both."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield request.getfixturevalue("sqlite_url")
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


@pytest.fixture
async def slack(scenario):
    async with fake_slack(scenario) as made:
        yield made


def request_of(said):
    return re.search(r"/requests/([0-9a-zA-Z_-]+)", json.dumps(said.blocks)).group(1)


def words(said):
    return json.dumps(said.blocks, ensure_ascii=False)


@BOTH
async def test_p6_a_press_by_a_linked_reviewer_approves_and_is_recorded_as_such(slack, scenario):
    said = await slack.file()
    assert said.blocks[1]["text"]["text"] == "Refund $120.00 of order 1042"
    answer = await slack.approve(said)
    assert answer.ok and answer.body is None
    assert scenario.status(request_of(said)).state == "approved", "committed before the acknowledgement"
    ((channel, method, session),) = scenario.rows("SELECT channel, auth_method, session_id FROM decision")
    assert (channel, method, session) == ("slack", "slack", "slack:T0DEMO/UANN")
    await slack.shows(said, "by Ann in Slack")
    assert said.button(APPROVE) is None and said.button(DENY) is None


async def test_a_denial_needs_a_reason_and_the_agent_hears_it(slack, scenario):
    said = await slack.file()
    empty = await slack.deny(said, "  ")
    assert "reason" in empty.body["errors"]["reason"] and scenario.status(request_of(said)).state == "pending"
    assert (await slack.deny(said, "Ask the customer first", again=True)).body is None
    status = scenario.status(request_of(said))
    assert (status.state, status.comment, status.ask_again_in) == ("denied", "Ask the customer first", 0.0)
    await slack.shows(said, "Ask the customer first")


@BOTH
async def test_the_thread_hears_once_how_it_ran(slack, scenario):
    said = await slack.file()
    request_id = request_of(said)
    await slack.approve(said)
    assert scenario.claim(request_id) is None
    await slack.shows(said, "Running now")
    scenario.report(request_id, result="refunded 120")
    await slack.state.until(lambda: slack.state.thread(said.ts))
    await slack.drained()
    (reply,) = slack.state.thread(said.ts)
    assert "refunded 120" in words(reply)
    assert "It ran" in words(said)


async def test_a_quorum_is_shown_as_it_grows(slack, scenario):
    filed = scenario.file()
    scenario.need(filed.request_id, quorum=2)
    said = await slack.announced(filed.request_id)
    await slack.approve(said)
    await slack.shows(said, "1 of 2: Ann has approved")
    assert said.button(APPROVE) is not None
    await slack.approve(said, "UBOB")
    await slack.shows(said, "Approved")
    assert scenario.status(filed.request_id).state == "approved"


@BOTH
async def test_a_reminder_says_whether_anybody_waits_where_that_is_known(slack, scenario):
    filing = scenario.filing()
    filed = scenario.file(filing)
    scenario.write(lambda tx: presence.stream_opened(tx, scenario.session, "stream"))
    said = await slack.announced(filed.request_id)

    async def reminded(times):
        scenario.write(lambda tx: tx.tell(REPLY, filed.request_id))
        await slack.state.until(lambda: len(slack.state.thread(said.ts)) == times)
        return words(slack.state.thread(said.ts)[-1])

    assert "scout is waiting for the answer" in await reminded(1)
    scenario.write(lambda tx: presence.leave(tx, filed.request_id, scenario.session, filing.call_id))
    assert "has stopped waiting" in await reminded(2)
    scenario.write(lambda tx: presence.stream_closed(tx, scenario.session, "stream"))
    assert "waits any more" not in await reminded(3)


async def test_the_risk_of_a_real_request_says_where_it_comes_from(slack):
    assert "High risk:* this tool may overwrite or delete" in words(await slack.file())


@BOTH
async def test_p3_the_same_press_delivered_three_times_is_one_decision(slack, scenario):
    said = await slack.file()
    payload = slack.payload(said)
    answers = [await slack.send(payload) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert scenario.rows("SELECT count(*) FROM decision") == [(1,)]
    await slack.workspace.interactions.finish()
    assert len(slack.state.whispers("UANN")) == 2
    assert set(slack.state.whispers("UANN")) == {"You have approved this already; it is approved now."}


@BOTH
async def test_p3_two_presses_at_once_are_one_permission_and_the_second_hears_why(slack, scenario):
    said = await slack.file()
    first, second = slack.payload(said), slack.payload(said, "UBOB")
    await asyncio.gather(slack.send(first), slack.send(second))
    assert scenario.rows("SELECT count(*) FROM permission") == [(1,)]
    await slack.state.until(lambda: slack.state.whispers("UANN") + slack.state.whispers("UBOB"))
    (told,) = slack.state.whispers("UANN") + slack.state.whispers("UBOB")
    assert "already approved by" in told


async def test_a_press_after_a_decision_on_the_web_changes_nothing_and_says_who_decided(slack, scenario):
    said = await slack.file()
    payload = slack.payload(said)
    scenario.decide(request_of(said), "deny", who="bob", comment="no")
    await slack.send(payload)
    await slack.told("UANN", "already denied by Bob")
    await slack.shows(said, "by Bob on the web")


async def test_p6_strangers_decide_nothing(slack, scenario):
    said = await slack.file()
    await slack.approve(said, "UEVE")
    await slack.told("UEVE", "not linked")
    slack.state.add_user("UOUT", "out", team_id="T0OTHER")
    slack.state.add_user("UBOT", "bot", is_bot=True)
    slack.state.add_user("UGONE", "gone", deleted=True)
    slack.state.add_user("UGUEST", "guest", is_ultra_restricted=True)
    for user, why in {"UOUT": "members", "UBOT": "Bots", "UGONE": "deactivated", "UGUEST": "Guests"}.items():
        slack.link(user, "ann")
        await slack.approve(said, user)
        await slack.told(user, why)
    assert scenario.status(request_of(said)).state == "pending" and scenario.rows("SELECT 1 FROM decision") == []


async def test_p6_a_payload_that_names_another_workspace_decides_nothing(slack, scenario):
    said = await slack.file()
    for change in (
        {"team": {"id": "T0OTHER"}},
        {"user": {"id": "UANN", "team_id": "T0OTHER"}},
        {"team": None, "user": {"id": "UANN"}},
    ):
        assert (await slack.send(slack.payload(said) | change)).status == 200
    assert scenario.status(request_of(said)).state == "pending"


async def test_p6_a_person_without_the_role_is_told_who_may(slack, scenario):
    scenario.add_user("vic", roles="viewer")
    slack.link("UEVE", "vic")
    said = await slack.file()
    await slack.approve(said, "UEVE")
    await slack.told("UEVE", "Who may")
    assert scenario.status(request_of(said)).state == "pending"


async def test_p2_a_button_of_another_request_or_content_decides_nothing(slack, scenario):
    said = await slack.file()
    other = await slack.file(scenario.filing({"order_id": 7, "amount_cents": 100}))
    mine, its = said.button(APPROVE)["value"], other.button(APPROVE)["value"]
    mac = its.rpartition(".")[2]
    stolen = mine.rpartition(".")[0] + "." + mac
    older = mine.replace(".1.", ".2.", 1)
    for value in (stolen, older, "nonsense", "", "a.b.c", f"{mine}x", "..."):
        payload = slack.payload(said)
        payload["actions"][0]["value"] = value
        assert (await slack.send(payload)).status == 200
    await slack.workspace.interactions.finish()
    assert scenario.rows("SELECT 1 FROM decision") == []
    assert len(slack.state.whispers("UANN")) == 7


@BOTH
async def test_p2_a_press_on_what_has_changed_since_is_refused_as_stale(slack, scenario):
    said = await slack.file()
    payload = slack.payload(said)
    scenario.run("UPDATE request SET content_version = 2 WHERE id = :id", id=request_of(said))
    await slack.send(payload)
    await slack.told("UANN", "has changed since")
    scenario.run(
        "UPDATE request SET content_version = 1, digest = :digest WHERE id = :id", digest="0" * 64, id=request_of(said)
    )
    await slack.send(payload)
    await slack.told("UANN", "not made by this service")
    assert scenario.rows("SELECT 1 FROM decision") == []


@pytest.mark.parametrize(
    ("stamp", "signature"),
    [
        (None, "v0=00"),
        (None, ""),
        (None, "v0=\u00e9"),
        (-301, None),
        (301, None),
        ("soon", None),
        ("\u0661", None),
        ("", None),
        ("9" * 40, None),
        ("-1", None),
    ],
)
async def test_p6_nothing_counts_without_slacks_fresh_signature(slack, scenario, stamp, signature):
    said = await slack.file()
    body = slack.body(slack.payload(said))
    headers = sending.signed(slack.state, body, int(slack.state.clock()) + stamp if isinstance(stamp, int) else None)
    if isinstance(stamp, str):
        headers["X-Slack-Request-Timestamp"] = stamp.encode()
    if signature is not None:
        headers["X-Slack-Signature"] = signature.encode()
    answer = await sending.send(slack.state, body, headers)
    assert answer.status == 401
    assert scenario.status(request_of(said)).state == "pending"


async def test_bad_bodies_are_refused_and_a_huge_one_is_not_read(slack):
    async def status(body, **headers):
        return (await sending.send(slack.state, body, headers)).status

    assert await status(b"payload=%7B") == 400
    assert await status(b"payload=[]") == 400
    assert await status(b"\xff\xfe", **{"Content-Type": "application/json"}) == 401
    assert await status(b"[" * 100_000, **{"Content-Type": "application/json"}) == 400
    assert await status(b"payload=" + b"x" * 2_000_000) == 413
    assert await status(b"payload=" + b"%7B%7D") == 200
    challenge = await sending.send(
        slack.state, b'{"type":"url_verification","challenge":"abc"}', {"Content-Type": "application/json"}
    )
    assert challenge.body == {"challenge": "abc"}


def paths(payload, before=()):
    """Every place in a payload."""
    yield before
    parts = payload.items() if isinstance(payload, dict) else enumerate(payload) if isinstance(payload, list) else ()
    for step, part in parts:
        yield from paths(part, (*before, step))


def with_another(payload, path, value):
    """A copy with something else at a place."""
    if not path:
        return value
    made = dict(payload) if isinstance(payload, dict) else list(payload)
    made[path[0]] = with_another(made[path[0]], path[1:], value)
    return made


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["\ud800", "http://[", "x" * 3000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
async def rightly_shaped(slack):
    """One payload of each kind."""
    said = await slack.file()
    private = json.dumps({"button": said.button(APPROVE)["value"], "channel": said.channel, "ts": said.ts})
    reason = {"reason": {"reason": {"type": "plain_text_input", "value": "no"}}}
    mode = {"mode": {"mode": {"type": "radio_buttons", "selected_option": {"value": "hold"}}}}
    dialog = {"callback_id": DENIAL, "private_metadata": private, "blocks": [], "state": {"values": reason}}
    who = {"user": {"id": "UANN", "team_id": slack.state.team_id}, "team": {"id": slack.state.team_id}}
    return (
        slack.payload(said),
        slack.payload(said, action=DENY),
        who | {"type": "view_submission", "view": dialog},
        who | {"type": "view_submission", "view": dialog | {"callback_id": FREEZE, "state": {"values": mode}}},
        {"type": "event_callback", "event": {"type": "app_mention"}},
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(which=st.integers(0, 4), place=st.integers(0, 200), odd=ODD)
async def test_p5_what_is_rightly_signed_but_misshapen_is_refused_or_ignored_in_words(
    slack, rightly_shaped, which, place, odd
):
    whole = rightly_shaped[which]
    places = list(paths(whole))
    payload = with_another(whole, places[place % len(places)], odd)
    if "event" in whole:
        body, headers = json.dumps(payload).encode(), {"Content-Type": "application/json"}
    else:
        body, headers = slack.body(payload), {}
    assert (await sending.send(slack.state, body, headers)).status in {200, 400}, payload


async def test_a_payload_of_another_shape_is_refused_by_the_place_that_differs(slack, scenario):
    payload = slack.payload(await slack.file())
    for path, value in ((("actions",), 7), (("user",), "ann"), (("container", "channel_id"), {}), (("actions", 0), [])):
        answer = await slack.send(with_another(payload, path, value))
        assert answer.status == 400, (path, value)
    too_long = {"reason": {"reason": {"value": "n" * 2001}}}
    said = await slack.file(scenario.filing({"order_id": 7, "amount_cents": 2}))
    assert (await slack.demo.press("UANN", said, DENY)).ok
    answer = await slack.demo.submit("UANN", too_long)
    assert "2,001 characters" in json.dumps(answer.body)


async def test_p2_what_was_shortened_cannot_be_approved_from_slack(slack, scenario):
    said = await slack.file(scenario.filing({"order_id": 1, "amount_cents": 2, "note": "n" * 5000}))
    assert "Shortened" in words(said) and said.button(APPROVE) is None and said.button(DENY) is not None
    payload = slack.payload(said, action=DENY)
    payload["actions"][0]["action_id"] = APPROVE
    await slack.send(payload)
    await slack.told("UANN", "could not show all")
    assert scenario.status(request_of(said)).state == "pending"


async def test_p6_what_is_critical_is_announced_without_buttons_and_cannot_be_pressed(slack, scenario):
    said = await slack.file()
    payload = slack.payload(said)
    scenario.run("UPDATE request SET risk = 'critical'")
    await slack.send(payload)
    await slack.told("UANN", "Slack")
    other = scenario.filing({"order_id": 9, "amount_cents": 9})
    scenario.run("UPDATE delivery SET done_at = 1 WHERE done_at IS NULL")
    assert scenario.rows("SELECT 1 FROM decision") == []
    assert other


@BOTH
async def test_requests_that_come_at_once_are_one_digest(slack, scenario):
    ids = [scenario.file(scenario.filing({"order_id": n, "amount_cents": n})).request_id for n in range(30)]
    await slack.state.until(lambda: any("came at once" in said.text for said in slack.state.messages(CHANNEL)), 15)
    await slack.drained()
    said = slack.state.messages(CHANNEL)
    (digest,) = [one for one in said if "came at once" in one.text]
    assert len(said) <= 7 and digest.button(APPROVE) is None
    together = next(request_id for request_id in ids if request_id in words(digest))
    scenario.decide(together, "deny", comment="no")
    await slack.state.until(lambda: digest.edits)
    assert "Denied" in words(digest)


async def test_what_came_at_once_calls_each_of_whom_its_requests_call_and_shows_a_freeze(scenario):
    scenario.run("UPDATE user_account SET handle = subject")
    async with fake_slack(scenario, policy=Called()) as slack:
        for n in range(12):
            scenario.file(scenario.filing({"order_id": n, "amount_cents": n}))
        await slack.state.until(lambda: any("came at once" in said.text for said in slack.state.messages(CHANNEL)), 15)
        await slack.drained()
        (digest,) = [one for one in slack.state.messages(CHANNEL) if "came at once" in one.text]
        assert words(digest).count("<@UBOB>") == words(digest).count("<!subteam^S0123ABCD>") == 1
        freezes, admin = scenario.service.freezes, scenario.person()
        scenario.write(lambda tx: freezes.make(tx, admin, "server", "shop", "refuse", "An incident."))
        await slack.shows(digest, "Frozen, nothing runs:* Writes to the server shop are frozen by Ann: An incident. ")
        assert "waiting" not in words(digest)


async def test_a_reminder_goes_into_the_thread(slack, scenario):
    said = await slack.file()
    await scenario.service.write(lambda tx: tx.tell(REPLY, request_of(said)))
    await slack.state.until(lambda: slack.state.thread(said.ts))
    assert "Still waiting" in words(slack.state.thread(said.ts)[0])


async def test_what_expires_or_is_withdrawn_loses_its_buttons(slack, scenario):
    said = await slack.file()
    scenario.withdraw(request_of(said))
    await slack.shows(said, "Withdrawn")
    other = await slack.file(scenario.filing({"order_id": 8, "amount_cents": 8}))
    scenario.clock.forward(3601)
    scenario.sweep()
    await slack.shows(other, "Expired")
    assert said.button(DENY) is None and other.button(DENY) is None


async def test_a_deleted_message_comes_back_once_while_it_waits(slack, scenario):
    said = await slack.file()
    request_id = request_of(said)
    await slack.drained()
    for n in range(2):
        slack.state.find(said.channel, slack.state.messages(CHANNEL)[-1].ts).deleted = True
        await scenario.service.write(lambda tx: tx.tell(REPLY, request_id))
        await slack.drained()
        assert len(slack.state.messages(CHANNEL)) == (1 if n == 0 else 0)
    assert scenario.status(request_id).state == "pending"


class Told(DefaultPolicy):
    """Announces in a channel of its own, and to people."""

    def judge(self, call):
        return replace(super().judge(call), notify=Notify("#money", direct=True))


async def test_a_rules_own_channel_and_the_people_who_may_approve_are_told(scenario):
    scenario.add_user("vic", roles="viewer")
    async with fake_slack(scenario, policy=Told()) as slack:
        slack.link("UEVE", "vic")
        filed = scenario.file()
        for channel in ("C2", "DUANN", "DUBOB"):
            said = await slack.announced(filed.request_id, channel)
            assert said.button(APPROVE)
        await slack.drained()
        assert slack.state.messages(CHANNEL) == [] and "DUEVE" not in slack.state.channels
        direct = slack.state.messages("DUBOB")[0]
        await slack.approve(direct, "UBOB")
        for channel in ("C2", "DUANN", "DUBOB"):
            await slack.shows(slack.state.messages(channel)[0], "by Bob in Slack")


async def test_a_freeze_shows_on_what_waits_and_goes_with_it(slack, scenario):
    other = scenario.file(scenario.filing({"order_id": 7, "amount_cents": 7}))
    said = await slack.file()
    freezes, admin = scenario.service.freezes, scenario.person()
    scenario.write(lambda tx: freezes.make(tx, admin, "server", "shop", "refuse", ""))
    await slack.shows(said, "Frozen, nothing runs:* Writes to the server shop are frozen by Ann. It can be")
    assert said.button(APPROVE) is None and said.button(DENY) is not None
    await slack.shows(await slack.announced(other.request_id), "Frozen")
    scenario.write(lambda tx: freezes.make(tx, admin, "server", "shop", "refuse", "An incident."))
    await slack.shows(said, "frozen by Ann: An incident. It can be")
    scenario.write(lambda tx: freezes.lift(tx, admin, "server", "shop"))
    await slack.state.until(lambda: "Frozen" not in words(said) and said.button(APPROVE))
    assert scenario.rows("SELECT 1 FROM freeze_telling") == []


@BOTH
@pytest.mark.parametrize("how", ["disabled", "demoted"])
async def test_a_vote_that_stops_counting_is_taken_off_the_message_and_comes_back_with_the_person(slack, scenario, how):
    filed = scenario.file()
    scenario.need(filed.request_id, quorum=2)
    said = await slack.announced(filed.request_id)
    await slack.approve(said, "UBOB")
    await slack.shows(said, "1 of 2: Bob has approved")
    bob = scenario.read(lambda reader: require_user(reader, "bob"))
    if how == "disabled":
        scenario.write(lambda tx: roles.disable(tx, bob.id, Operator("test")))
    else:
        scenario.set_roles("bob", "viewer")
    await slack.shows(said, "0 of 2")
    assert said.button(APPROVE)["text"]["text"] == "Approve (1 of 2)"
    if how == "disabled":
        scenario.write(lambda tx: roles.enable(tx, bob, Operator("test")))
    else:
        scenario.set_roles("bob", "reviewer")
    await slack.shows(said, "1 of 2: Bob has approved")
    assert said.button(APPROVE)["text"]["text"] == "Approve (2 of 2)"
    assert scenario.rows("SELECT 1 FROM vote_telling") == []


@BOTH
async def test_an_approved_request_says_that_it_will_not_run_once_its_approval_ceases_to_count(slack, scenario):
    said = await slack.file()
    request_id = request_of(said)
    await slack.approve(said, "UBOB")
    await slack.shows(said, "by Bob in Slack")
    bob = scenario.read(lambda reader: require_user(reader, "bob"))
    scenario.write(lambda tx: roles.disable(tx, bob.id, Operator("test")))
    await slack.shows(said, "will not run as it stands:* Bob may no longer approve it")
    scenario.write(lambda tx: roles.enable(tx, bob, Operator("test")))
    await slack.state.until(lambda: "will not run" not in words(said))
    scenario.write(lambda tx: roles.disable(tx, bob.id, Operator("test")))
    await slack.shows(said, "will not run as it stands")
    assert "no longer" in str(scenario.claim(request_id))
    await slack.shows(said, "Approval taken back")
    assert "as it stands" not in words(said)


async def test_everybody_who_approved_what_ran_stays_named_whatever_becomes_of_their_accounts(slack, scenario):
    filed = scenario.file()
    scenario.need(filed.request_id, quorum=2)
    said = await slack.announced(filed.request_id)
    await slack.approve(said, "UBOB")
    await slack.approve(said)
    assert scenario.claim(filed.request_id) is None
    scenario.write(lambda tx: roles.disable(tx, scenario.person("bob").id, Operator("test")))
    scenario.report(filed.request_id, result="refunded 120")
    await slack.shows(said, "It ran")
    assert re.search(r"Approved by:\* (Bob and Ann|Ann and Bob)", words(said)), "at one moment, so in either order"


class OfTheFinance(DefaultPolicy):
    """Whoever is in a group."""

    def judge(self, call):
        return replace(super().judge(call), reviewers=Reviewers(groups=("finance",)))


async def test_who_is_missing_is_named_anew_when_a_group_has_other_members(scenario):
    async with fake_slack(scenario, policy=OfTheFinance()) as slack:
        said = await slack.file()
        assert "(Bob)" not in words(said)
        bob = scenario.read(lambda reader: require_user(reader, "bob"))
        scenario.write(lambda tx: roles.set_groups(tx, bob, ["finance"], Operator("test")))
        await slack.shows(said, "(Bob)")


class Called(DefaultPolicy):
    """Two people, and a user group and Bob are called."""

    def judge(self, call):
        judged = super().judge(call)
        return replace(judged, reviewers=Reviewers(quorum=2), notify=Notify(mention=("S0123ABCD", "bob", "nobody")))


async def test_a_rule_calls_people_and_groups_and_whoever_has_approved_no_more(scenario):
    scenario.run("UPDATE user_account SET handle = subject")
    async with fake_slack(scenario, policy=Called()) as slack:
        said = await slack.file()
        orders = ("<@UBOB> <!subteam^S0123ABCD>", "<!subteam^S0123ABCD> <@UBOB>")
        assert any(f"Please decide: {both}" in words(said) for both in orders)
        await slack.approve(said, "UBOB")
        await slack.shows(said, "1 of 2: Bob has approved")
        await slack.drained()
        assert "<@UBOB>" not in words(said)
        (needed,) = slack.state.thread(said.ts)
        assert "One more approval is needed" in words(needed) and needed.broadcast
        assert "<!subteam^S0123ABCD>" in words(needed) and "<@UBOB>" not in words(needed)


async def test_whoever_has_approved_is_not_reminded_and_the_others_hear_it_where_they_look(scenario):
    scenario.add_user("eve", roles="reviewer")
    async with fake_slack(scenario, policy=Told()) as slack:
        slack.link("UEVE", "eve")
        filed = scenario.file()
        scenario.need(filed.request_id, quorum=2)
        copies = {channel: await slack.announced(filed.request_id, channel) for channel in ("C2", "DUANN", "DUBOB")}
        await slack.drained()
        scenario.decide(filed.request_id, who="bob")
        await slack.drained()
        told = {channel: [one.broadcast for one in slack.state.thread(said.ts)] for channel, said in copies.items()}
        assert told == {"C2": [True], "DUANN": [True], "DUBOB": []}


async def test_only_the_last_reminder_leaves_the_thread(scenario):
    async with fake_slack(scenario) as slack:
        said = await slack.file()
        await slack.drained()
        for at in (scenario.clock.now() + 1, None):
            scenario.run("UPDATE request SET remind_at = :at", at=at)
            await scenario.service.write(lambda tx: tx.tell(REPLY, request_of(said)))
            await slack.drained()
        assert [one.broadcast for one in slack.state.thread(said.ts)] == [False, True]


async def test_a_reminder_reaches_what_was_announced_with_many_others(slack, scenario):
    ids = [scenario.file(scenario.filing({"order_id": n, "amount_cents": n})).request_id for n in range(12)]
    await slack.state.until(lambda: any("came at once" in said.text for said in slack.state.messages(CHANNEL)), 15)
    await slack.drained()
    (digest,) = [one for one in slack.state.messages(CHANNEL) if "came at once" in one.text]
    together = next(request_id for request_id in ids if request_id in words(digest))
    await scenario.service.write(lambda tx: tx.tell(REPLY, together))
    await slack.drained()
    (reminder,) = slack.state.thread(digest.ts)
    assert "Still waiting" in words(reminder) and together in words(reminder)


async def test_a_direct_message_that_cannot_be_opened_keeps_no_other_from_being_true(scenario):
    async with fake_slack(scenario, policy=Told()) as slack:
        slack.state.fail("conversations.open", "user_disabled", times=100, at="UBOB")
        filed = scenario.file()
        copies = [await slack.announced(filed.request_id, channel) for channel in ("C2", "DUANN")]
        scenario.decide(filed.request_id, "deny", comment="no")
        for said in copies:
            await slack.shows(said, "Denied")
        await slack.drained()
        ((target, error),) = scenario.rows("SELECT target, error FROM delivery WHERE dead_at IS NOT NULL")
        assert target == "@UBOB" and "user_disabled" in error


async def test_51_copies_are_true_within_two_minutes_under_slacks_limit_of_50_updates(scenario):
    async with fake_slack(scenario, policy=Told()) as slack:
        for n in range(48):
            scenario.add_user(f"rev{n}", roles="reviewer")
            slack.state.add_user(f"U{n}", f"rev{n}")
            slack.link(f"U{n}", f"rev{n}")
        said = await slack.file_to("C2")
        await slack.drained()
        copies = [one for one in slack.state.said if not one.thread_ts]
        assert len(copies) == 51
        slack.state.updates_a_minute = 50
        decided = scenario.clock.now()
        scenario.decide(request_of(said), "deny", comment="no")
        while scenario.rows("SELECT 1 FROM delivery WHERE done_at IS NULL AND dead_at IS NULL"):
            if not await scenario.service.sender.send_due():
                scenario.clock.forward(1)
        assert all("Denied" in words(one) and one.button(APPROVE) is None for one in copies)
        assert scenario.clock.now() - decided <= 120 * SECOND
        assert [one.edits for one in copies] == [1] * 51


async def test_deny_opens_no_dialog_for_what_is_decided_or_not_theirs(slack, scenario):
    said = await slack.file()
    decided = slack.payload(said, action=DENY)
    scenario.decide(request_of(said), who="bob")
    await slack.send(decided)
    await slack.told("UANN", "already approved by Bob")
    scenario.add_user("vic", roles="viewer")
    slack.link("UEVE", "vic")
    other = await slack.file(scenario.filing({"order_id": 8, "amount_cents": 8}))
    await slack.demo.press("UEVE", other, DENY)
    await slack.told("UEVE", "Who may")
    assert slack.state.dialogs == {}


async def test_a_second_press_says_what_counts_and_who_is_missing(slack, scenario):
    filed = scenario.file()
    scenario.need(filed.request_id, quorum=2)
    said = await slack.announced(filed.request_id)
    for _ in range(2):
        await slack.approve(said)
    await slack.told("UANN", "You have approved this already. It takes 2 people: somebody else has to approve.")


async def test_p3_a_dialog_sent_twice_and_five_presses_at_once_are_one_decision_each(slack, scenario):
    denied, approved = [await slack.file(scenario.filing({"order_id": n, "amount_cents": n})) for n in (1, 2)]
    assert (await slack.demo.press("UANN", denied, DENY)).ok
    sent = sending.submitted(slack.state, "UANN", {"reason": {"reason": {"value": "Ask first"}}})
    answers = [(await slack.send(sent)).body for _ in range(2)]
    assert answers[0] is None and "You have denied this already" in answers[1]["errors"]["reason"]
    scenario.need(request_of(approved), quorum=2)
    presses = [slack.payload(approved) for _ in range(5)]
    assert all(answer.ok for answer in await asyncio.gather(*map(slack.send, presses)))
    assert scenario.rows("SELECT verdict, count(*) FROM decision GROUP BY verdict ORDER BY verdict") == [
        ("approve", 1),
        ("deny", 1),
    ]
    assert scenario.status(request_of(approved)).state == "pending"
    await slack.state.until(lambda: sum("approved this already" in said for said in slack.state.whispers("UANN")) == 4)


async def test_a_channel_with_another_name_keeps_its_messages_true_and_the_next_one_says_what_is_wrong(slack, scenario):
    said = await slack.file()
    slack.state.channels[CHANNEL].name = "decisions"
    scenario.decide(request_of(said))
    await slack.shows(said, "Approved")
    other = scenario.file(scenario.filing({"order_id": 7, "amount_cents": 7}))
    async with asyncio.timeout(10):
        while not slack.workspace.notifier.trouble:
            await asyncio.sleep(0.01)
    assert "#approvals: channel_not_found" in slack.workspace.notifier.trouble
    slack.state.channels[CHANNEL].name = "approvals"
    await slack.drained(pause=61)
    await slack.announced(other.request_id)
    assert slack.workspace.notifier.trouble is None


async def test_a_copy_that_nobody_wrote_down_is_brought_up_to_date_once_it_is_pressed(slack, scenario):
    """Slack took a post and its answer was lost: there is one more copy than anybody knows."""
    slack.state.fail("chat.postMessage", "lost")
    filed = scenario.file()
    orphan = await slack.announced(filed.request_id)
    scenario.decide(filed.request_id, "deny", comment="no", who="bob")
    await slack.approve(orphan)
    await slack.told("UANN", "already denied by Bob")
    await slack.shows(orphan, "Denied")
    assert orphan.button(APPROVE) is None


async def test_the_list_says_how_many_more_wait(slack, scenario):
    for n in range(12):
        scenario.file(scenario.filing({"order_id": n, "amount_cents": n}))
    listed = (await slack.demo.command("UANN", "list")).body["text"]
    assert listed.count("•") == 10 and "and 2 more" in listed and "High risk" in listed and "scout" in listed


async def test_a_channel_that_is_gone_falls_back_and_says_so(scenario):
    async with fake_slack(scenario, policy=Told()) as slack:
        slack.state.channels["C2"].archived = True
        said = await slack.announced(scenario.file().request_id)
        assert "Meant for #money, which cannot be reached (is_archived)" in words(said)
        assert "is_archived" in scenario.service.trouble()["slack"]
        slack.state.channels["C2"].archived = False
        await slack.announced(scenario.file(scenario.filing({"order_id": 8, "amount_cents": 8})).request_id, "C2")
        await slack.drained()
        assert scenario.service.trouble() == {}


@pytest.mark.parametrize("how", [{"archived": True}, {"member": False}])
async def test_an_update_waits_for_its_channel_and_everybody_sees_that_it_cannot_be_reached(
    slack, scenario, visitors_to, until, how
):
    said = await slack.file()
    await slack.drained()
    vars(slack.state.channels[CHANNEL]).update(how)
    scenario.decide(request_of(said), "deny", comment="no")
    await until(lambda: scenario.rows("SELECT 1 FROM delivery WHERE error IS NOT NULL") != [])
    assert scenario.rows("SELECT 1 FROM delivery WHERE dead_at IS NOT NULL") == []
    ann = await visitors_to(slack.url).signed_in()
    assert "Channels that cannot be reached: C1:" in (await ann.http.get("/readyz")).json()["notifiers"]["slack"]
    assert "Channels that cannot be reached: C1:" in (await ann.http.get("/")).text
    vars(slack.state.channels[CHANNEL]).update(archived=False, member=True)
    scenario.clock.forward(61)
    await slack.drained()
    await slack.shows(said, "Denied")
    assert scenario.service.trouble() == {}
    updates = [sent for method, sent in slack.state.calls if method == "chat.update"]
    assert {(sent["parse"], sent["link_names"]) for sent in updates} == {("none", "false")}


async def test_who_may_decide_since_an_escalation_is_told_with_the_reminder(scenario):
    async with fake_slack(scenario, policy=Told()) as slack:
        filed = scenario.file()
        said = await slack.announced(filed.request_id, "C2")
        await slack.drained()
        scenario.add_user("eve", roles="reviewer")
        slack.link("UEVE", "eve")
        await scenario.service.write(lambda tx: tx.tell(REPLY, filed.request_id))
        await slack.announced(filed.request_id, "DUEVE")
        await slack.drained()
        assert len(slack.state.thread(said.ts)) == 1


async def test_a_dead_letter_is_on_the_outbox_page_and_is_sent_again(slack, scenario, visitors_to, until):
    scenario.add_user("aud", roles="auditor")
    slack.state.fail("chat.postMessage", "invalid_blocks")
    filed = scenario.file()
    await until(lambda: scenario.rows("SELECT 1 FROM delivery WHERE dead_at IS NOT NULL") != [])
    ann, aud = await visitors_to(slack.url).signed_in(), await visitors_to(slack.url).signed_in("aud")
    page = (await ann.http.get("/outbox")).text
    assert "invalid_blocks" in page and filed.request_id in page
    assert "Send again" in page and "Send again" not in (await aud.http.get("/outbox")).text
    assert "approvals_dead_letters 1.0" in (await ann.http.get("/metrics")).text
    action = re.search(r"/outbox/[^/]+/retry", page).group(0)
    assert (await ann.http.post(action)).status_code == 303
    assert (await slack.announced(filed.request_id)).button(APPROVE)
    await slack.drained()
    assert "Everything was delivered" in (await ann.http.get("/outbox")).text
    assert (await ann.http.post(action)).status_code == 409


async def test_slack_being_down_blocks_nothing_and_nothing_is_lost(slack, scenario, until):
    slack.state.fail("chat.postMessage", "500", times=3)
    filed = scenario.file()
    await until(lambda: scenario.rows("SELECT 1 FROM delivery WHERE error IS NOT NULL") != [])
    scenario.decide(filed.request_id)
    assert scenario.status(filed.request_id).state == "approved"
    again = scenario.file(scenario.filing({"order_id": 8, "amount_cents": 8})).request_id
    for _ in range(5):
        scenario.clock.forward(60)
        await scenario.service.sender.send_due()
    assert (await slack.announced(again)).button(APPROVE)


async def test_a_revoked_token_is_a_banner_and_no_decision(slack, scenario, visitors_to, until):
    slack.state.revoked = True
    scenario.file()
    await until(lambda: scenario.service.trouble() != {})
    ann = await visitors_to(slack.url).signed_in()
    assert "The bot token was revoked" in (await ann.http.get("/")).text
    ready = (await ann.http.get("/readyz")).json()
    assert ready["status"] == "ready" and "revoked" in ready["notifiers"]["slack"]
    slack.state.revoked = False
    for _ in range(3):
        scenario.clock.forward(120)
        await scenario.service.sender.send_due()
    assert scenario.service.trouble() == {}


async def test_a_rate_limit_is_waited_out(slack, scenario, until):
    slack.state.fail("chat.postMessage", "ratelimited", retry_after=30)
    filed = scenario.file()
    await until(lambda: scenario.rows("SELECT 1 FROM delivery WHERE error IS NOT NULL") != [])
    scenario.clock.forward(29)
    await scenario.service.sender.send_due()
    assert slack.state.messages(CHANNEL) == []
    scenario.clock.forward(2)
    await scenario.service.sender.send_due()
    assert request_of(slack.state.messages(CHANNEL)[0]) == filed.request_id


@BOTH
async def test_linking_begins_and_ends_in_the_web_app(slack, scenario, visitors_to):
    scenario.add_user("eve", roles="reviewer")
    eve = await visitors_to(slack.url).signed_in("eve")
    code = re.search(r"/approvals link (\w+)", (await eve.http.post("/account/slack/code")).text).group(1)
    assert "unknown" in (await slack.demo.command("UEVE", "link WRONG")).body["text"]
    assert "confirm" in (await slack.demo.command("UEVE", f"link {code}")).body["text"]
    assert "unknown, used" in (await slack.demo.command("UBOB", f"link {code}")).body["text"]
    said = await slack.file()
    await slack.approve(said, "UEVE")
    await slack.told("UEVE", "not linked")
    bob = await visitors_to(slack.url).signed_in("bob")
    assert (await bob.http.post("/account/slack/confirmation", data={"slack_user": "UEVE"})).status_code == 409
    assert "Is that you?" in (await eve.http.get("/account")).text
    assert (await eve.http.post("/account/slack/confirmation", data={"slack_user": "UEVE"})).status_code == 303
    await slack.approve(said, "UEVE")
    assert scenario.status(request_of(said)).state == "approved"
    assert (await eve.http.post("/account/slack/T0DEMO/UEVE/unlinking")).status_code == 303
    assert (await bob.http.post("/account/slack/T0DEMO/UANN/unlinking")).status_code == 404
    other = await slack.file(scenario.filing({"order_id": 8, "amount_cents": 8}))
    before = len(slack.state.whispers("UEVE"))
    await slack.approve(other, "UEVE")
    await slack.state.until(lambda: len(slack.state.whispers("UEVE")) > before)
    assert scenario.status(request_of(other)).state == "pending"


async def test_a_code_lives_ten_minutes(slack, scenario, visitors_to):
    ann = await visitors_to(slack.url).signed_in()
    code = re.search(r"/approvals link (\w+)", (await ann.http.post("/account/slack/code")).text).group(1)
    scenario.clock.forward(601)
    assert "ten minutes" in (await slack.demo.command("UEVE", f"link {code}")).body["text"]


async def test_by_email_links_only_where_it_is_turned_on(scenario):
    scenario.add_user("eve", roles="reviewer")
    scenario.run("UPDATE user_account SET email = 'eve@example.org' WHERE handle = 'eve'")
    async with fake_slack(scenario) as slack:
        said = await slack.file()
        await slack.approve(said, "UEVE")
        await slack.told("UEVE", "not linked")
    async with fake_slack(scenario, by_email=True) as slack:
        slack.state.users["UEVE"]["is_email_confirmed"] = False
        said = await slack.file(scenario.filing({"order_id": 8, "amount_cents": 8}))
        await slack.approve(said, "UEVE")
        await slack.told("UEVE", "not linked")
        slack.workspace.identities._known.clear()
        slack.state.users["UEVE"]["is_email_confirmed"] = True
        await slack.approve(said, "UEVE")
        assert scenario.status(request_of(said)).state == "approved"


async def test_the_command_lists_what_waits_and_helps(slack, scenario):
    assert "Nothing waits" in (await slack.demo.command("UANN", "list")).body["text"]
    await slack.file()
    assert "Refund $120.00 of order 1042" in (await slack.demo.command("UANN", "")).body["text"]
    assert "not linked" in (await slack.demo.command("UEVE", "list")).body["text"]
    assert "/approvals link CODE" in (await slack.demo.command("UEVE", "what")).body["text"]


@BOTH
async def test_admins_freeze_from_slack_and_confirm_it(slack, scenario):
    scenario.add_user("rey", roles="reviewer")
    slack.link("UEVE", "rey")
    assert "Only admins" in (await slack.demo.command("UEVE", "freeze")).body["text"]
    said = await slack.file()
    assert (await slack.demo.command("UANN", "freeze")).body is None
    values = {"mode": {"mode": {"selected_option": {"value": "refuse"}}}, "reason": {"reason": {"value": "odd calls"}}}
    assert (await slack.demo.submit("UANN", values)).body is None
    assert scenario.rows('SELECT mode, reason FROM "freeze"') == [("refuse", "odd calls")]
    await slack.approve(said)
    await slack.told("UANN", "frozen")
    assert scenario.status(request_of(said)).state == "pending"


async def test_p6_socket_mode_decides_by_the_same_code(scenario):
    async with fake_slack(scenario, signing_secret="", socket=True) as slack:
        await slack.state.until(lambda: slack.state.sockets)
        said = await slack.file()
        assert (await slack.approve(said)).ok
        assert scenario.status(request_of(said)).state == "approved"
        assert (
            await sending.send(
                slack.state,
                slack.body(slack.payload(await slack.file(scenario.filing({"order_id": 8, "amount_cents": 8})))),
            )
        ).status == 404
        assert "Nothing waits" not in (await slack.demo.command("UANN", "list")).body["text"]


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr(slack_socket, "FIRST_WAIT", 0.01)


async def test_p4_no_press_falls_between_two_sockets(scenario, quickly):
    async with fake_slack(scenario, signing_secret="", socket=True) as slack:
        sockets = slack.state.sockets
        await slack.state.until(lambda: sockets)
        first, second = [await slack.file(scenario.filing({"order_id": n, "amount_cents": n})) for n in (1, 2)]
        (old,) = sockets
        await old.ask_for_another("refresh_requested")
        await slack.state.until(lambda: len(sockets) > 1)
        assert (await old.send("interactive", slack.payload(first))).ok, "an old socket is heard until it ends"
        await old.close()
        await slack.state.until(lambda: old not in sockets)
        assert (await slack.approve(second)).ok
        assert {scenario.status(request_of(said)).state for said in (first, second)} == {"approved"}


@pytest.mark.parametrize("word", ["500", "internal_error", "ratelimited", "hang up"])
async def test_a_socket_that_cannot_be_opened_is_tried_again_with_a_new_address_and_everybody_sees(
    scenario, quickly, monkeypatch, word
):
    async with fake_slack(scenario, signing_secret="", socket=True) as slack:
        await slack.state.until(lambda: slack.state.sockets)
        trouble = lambda: slack.workspace.notifier.trouble  # noqa: E731
        assert trouble() is None
        if word == "hang up":
            monkeypatch.setattr("approvals_web.demo.slack.server.TICKET_SECONDS", -1.0)
        else:
            slack.state.fail("apps.connections.open", word, times=10**6, retry_after=0)
        await slack.state.sockets[0].close()
        async with asyncio.timeout(10):
            while not trouble():
                await asyncio.sleep(0.01)
        assert "presses do not arrive" in trouble() and "doctor" in trouble()
        monkeypatch.undo()
        slack.state.faults.clear()
        await slack.state.until(lambda: slack.state.sockets)
        assert (await slack.approve(await slack.file())).ok
        assert trouble() is None


async def test_an_unknown_kind_of_press_is_acknowledged_and_does_nothing(slack, scenario):
    said = await slack.file()
    for change in (
        {"type": "shortcut"},
        {"actions": []},
        {"actions": [{"action_id": "other"}]},
        {"type": "view_submission", "view": {}},
    ):
        assert (await slack.send(slack.payload(said) | change)).status == 200
    assert scenario.status(request_of(said)).state == "pending"


async def test_everything_said_kept_to_slacks_limits(slack, scenario):
    hostile = ["<!channel>", "`" * 50, "<http://evil|click>", "‮evil", "🙂" * 200, "*" * 100, "&" * 3000, "a\n" * 500]
    for n, text in enumerate(hostile):
        said = await slack.file(scenario.filing({"order_id": n, "amount_cents": n, "note": text}, reason=text[:1000]))
        assert message_fault(said.text, said.blocks) is None
        assert "<!channel>" not in words(said) and "<http://evil" not in words(said)
    many = {f"k{n}": "v" * 20 for n in range(200)}
    said = await slack.file(scenario.filing(many | {"order_id": 1, "amount_cents": 1}))
    assert "Shortened" in words(said)
