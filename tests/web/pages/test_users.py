"""People as admins manage them, one's own account, and what every admin is told."""

import re

import pytest

from approvals.errors import (
    Duplicate,
    Forbidden,
    Invalid,
    NotPossible,
    TooMany,
    Unauthenticated,
)
from approvals.service.audit.kinds import Kind
from approvals.service.identity import credentials, handles, roles, sign_in_limit, sign_in_links, tokens, users
from approvals.service.identity.admins import Operator
from approvals.service.identity.sign_in_limit import counters
from approvals.service.identity.tokens import (
    DECIDE,
    FRESH,
    HOUR,
    READ,
)
from approvals.service.identity.users import require_user
from approvals_web.auth import passwords

PASSWORD = "correct horse battery"
EVERY_POST = [
    ("/users/invitations/revocation", {"name": "eve"}),
    ("/users/invitations", {"name": "eve", "roles": "admin"}),
    ("/users/{bob}/roles", {"roles": "admin"}),
    ("/users/{bob}/groups", {"groups": "payments"}),
    ("/users/{bob}/state", {"state": "disabled"}),
    ("/users/{bob}/sign-out", {}),
    ("/notices/seen", {"up_to": "1"}),
    ("/account/password", {"new": PASSWORD, "present": PASSWORD}),
    ("/account/confirmation", {"present": PASSWORD}),
    ("/account/other-sessions/revocation", {}),
    ("/account/sessions/" + "0" * 64 + "/revocation", {}),
    ("/account/tokens", {"label": "x", "scopes": "read", "hours": "1"}),
    ("/account/tokens/abc/revocation", {}),
]


def user_of(scenario, name):
    return scenario.read(lambda reader: require_user(reader, name))


def fresh(scenario, name="ann", ago=0):
    person = scenario.person(name)
    return type(person)(**vars(person) | {"proved_at": scenario.clock.now() - ago})


@pytest.fixture
async def carl(served, visitors):
    """A local account with a password, signed in by it."""
    known = await passwords.hashed(PASSWORD)
    await served.scenario.service.write(
        lambda tx: users.add(tx, "test", subject="carl", name="Carl", roles="reviewer", password_hash=known)
    )
    visitor = visitors.stranger()
    assert (await visitor.http.post("/login", data={"name": "Carl ", "password": PASSWORD})).status_code == 303
    return visitor


# what admins do


async def test_an_admin_invites_gives_roles_and_groups_and_takes_them_back(served, visitors, ann):
    scenario = served.scenario
    shown = await ann.http.post(
        "/users/invitations", data={"name": "Dora", "roles": ["reviewer", "auditor"]}, headers={"Host": "evil.example"}
    )
    link = re.search(r"http://\S+/setup\?t=[\w-]+", shown.text).group()
    assert link.startswith(scenario.service.public_url + "/"), "never from the Host header"
    assert link not in (await ann.http.get("/users")).text
    dora = visitors.stranger()
    token = link.partition("?t=")[2]
    assert (await dora.http.post("/setup", data={"t": token, "password": PASSWORD})).status_code == 303
    user = user_of(scenario, "dora")
    assert user.roles == "reviewer auditor"
    where = f"/users/{user.id}"
    for path, form in (
        ("roles", {"roles": ["viewer"]}),
        ("groups", {"groups": "payments  on-call payments"}),
        ("sign-out", {}),
        ("state", {"state": "disabled"}),
        ("state", {"state": "enabled"}),
    ):
        answer = await ann.http.post(f"{where}/{path}", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, where), path
    user = user_of(scenario, "dora")
    assert (user.roles, user.groups, user.disabled_at) == ("viewer", "on-call payments", None)
    assert (await dora.http.get("/")).status_code == 303, "signed out"
    kinds = scenario.events(f"user:{user.id}")
    assert kinds[-5:] == [
        "user.roles_set",
        "user.groups_set",
        "user.signed_out_everywhere",
        "user.disabled",
        "user.enabled",
    ]
    page = (await ann.http.get(where)).text
    assert "Re-enable" not in page
    assert "on-call payments" in page


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/users/invitations", {"name": "ann", "roles": "reviewer"}),
        ("/users/invitations", {"name": "two words", "roles": "reviewer"}),
        ("/users/invitations", {"name": "eve"}),
        ("/users/invitations", {"name": "eve", "roles": "king"}),
        ("/users/{bob}/roles", {}),
        ("/users/{bob}/roles", {"roles": "king"}),
        ("/users/{bob}/groups", {"groups": "<b>"}),
        ("/users/{bob}/groups", {"groups": " ".join(f"g{i}" for i in range(51))}),
        ("/users/{bob}/state", {"state": "king"}),
        ("/users/nobody/roles", {"roles": "viewer"}),
    ],
)
async def test_what_makes_no_sense_gets_a_clear_error_and_changes_nothing(served, ann, path, form):
    before = dict(user_of(served.scenario, "bob"))
    answer = await ann.http.post(path.format(bob=before["id"]), data=form)
    assert answer.status_code in {404, 409, 422}
    assert dict(user_of(served.scenario, "bob")) == before


async def test_p1_only_admins_manage_and_only_admins_and_auditors_look(served, visitors):
    scenario = served.scenario
    scenario.add_user("rex", "reviewer viewer")
    scenario.add_user("aud", "auditor")
    bob = user_of(scenario, "bob").id
    rex, aud = await visitors.signed_in("rex"), await visitors.signed_in("aud")
    managing = [(path, form) for path, form in EVERY_POST if path.startswith(("/users", "/notices"))]
    for visitor in (rex, aud):
        for path, form in managing:
            assert (await visitor.http.post(path.format(bob=bob), data=form)).status_code == 403, path
        assert (await visitor.http.get("/notices")).status_code == 403
    for path, codes in (("/users", (403, 200)), (f"/users/{bob}", (403, 200))):
        assert ((await rex.http.get(path)).status_code, (await aud.http.get(path)).status_code) == codes
    assert "Set the roles" not in (await aud.http.get(f"/users/{bob}")).text
    assert 'href="/users"' not in (await rex.http.get("/")).text


FROM_ELSEWHERE: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
]


@pytest.mark.parametrize(("path", "form"), EVERY_POST)
async def test_p6_a_post_from_elsewhere_changes_nothing(served, visitors, ann, path, form):
    ann.http.headers.pop("Sec-Fetch-Site")
    before = served.scenario.rows("SELECT COUNT(*) FROM audit_event")
    for headers in FROM_ELSEWHERE:
        answer = await ann.http.post(path.format(bob=user_of(served.scenario, "bob").id), data=form, headers=headers)
        assert answer.status_code == 403, headers
    assert served.scenario.rows("SELECT COUNT(*) FROM audit_event") == before


@pytest.mark.parametrize(("path", "form"), EVERY_POST)
async def test_strangers_and_keys_do_none_of_it(served, visitors, path, form):
    path = path.format(bob=user_of(served.scenario, "bob").id)
    for key in ("shop", "agent"):
        stranger = visitors.stranger(Authorization=f"Bearer {served.scenario.keys[key]}")
        assert (await stranger.http.post(path, data=form)).status_code == 401
        assert (await stranger.http.get(path)).status_code in {303, 404, 405}


def test_p1_the_last_admin_stays_one(scenario):
    ann, bob = user_of(scenario, "ann"), user_of(scenario, "bob")
    scenario.write(lambda tx: roles.set_roles(tx, bob, "reviewer", Operator("x")))
    for change in (
        lambda tx: roles.set_roles(tx, ann, "reviewer auditor", Operator("x")),
        lambda tx: roles.disable(tx, ann.id, Operator("x")),
    ):
        with pytest.raises(NotPossible, match="last admin"):
            scenario.write(change)
    scenario.write(lambda tx: roles.set_roles(tx, ann, "admin", Operator("x")))
    scenario.write(lambda tx: roles.disable(tx, bob.id, Operator("x")))
    assert user_of(scenario, "ann").roles == "admin"


def test_a_handle_is_nobodys_choice_and_nobodys_twice(scenario):
    bob = scenario.person("bob").id
    scenario.tampered_with = True  # a handle is taken with a sign-in, which records it
    assert scenario.write(lambda tx: handles.take(tx, bob, "zoe@example.org"))

    def add(name):
        people_add = {"subject": name, "name": name, "roles": "viewer", "password_hash": None}
        scenario.write(lambda tx: users.add(tx, "test", **people_add))

    for name in ("zoe@example.org", "ann"):
        with pytest.raises(Duplicate):
            add(name)
    for name in ("", "Zoe", "z oe", " zoe", "z\u00f6e", "-zoe", "z" * 101, "zoe\n"):
        with pytest.raises(Invalid):
            add(name)
    add("zoe")
    assert user_of(scenario, "zoe").handle == "zoe"


def test_a_group_that_is_taken_away_is_gone_at_once(scenario):
    ann = user_of(scenario, "ann")
    scenario.write(lambda tx: roles.set_groups(tx, ann, ["b", "a"], Operator("test")))
    assert user_of(scenario, "ann").groups == "a b"
    scenario.write(lambda tx: roles.set_groups(tx, ann, [], Operator("test")))
    assert user_of(scenario, "ann").groups == ""


# one's own account


async def test_a_new_password_needs_the_present_one_and_ends_all_other_sessions(served, visitors, carl):
    other = visitors.stranger()
    await other.http.post("/login", data={"name": "carl", "password": PASSWORD})
    wrong = await carl.http.post("/account/password", data={"new": "a new long password", "present": "wrong"})
    assert wrong.status_code == 401
    assert (await other.http.get("/")).status_code == 200
    short = await carl.http.post("/account/password", data={"new": "short", "present": PASSWORD})
    assert short.status_code == 422
    done = await carl.http.post("/account/password", data={"new": "a new long password", "present": PASSWORD})
    assert done.status_code == 303
    assert (await carl.http.get("/account")).status_code == 200
    assert (await other.http.get("/")).status_code == 303
    for password, code in ((PASSWORD, 401), ("a new long password", 303)):
        answer = await visitors.stranger().http.post("/login", data={"name": "carl", "password": password})
        assert answer.status_code == code


async def test_a_sign_in_link_used_just_now_stands_for_a_forgotten_password(served, visitors, carl):
    scenario = served.scenario
    user = user_of(scenario, "carl")
    links = [
        scenario.write(lambda tx: sign_in_links.make(tx, Operator("test"), "sign_in", user_id=user.id))
        for _ in range(2)
    ]
    visitor = visitors.stranger()
    await visitor.http.post("/setup", data={"t": links[0]})
    scenario.clock.forward(601)
    late = await visitor.http.post("/account/password", data={"new": "a new long password"})
    assert late.status_code == 401
    scenario.clock.set_back(601)
    again = scenario.write(lambda tx: sign_in_links.make(tx, Operator("test"), "sign_in", user_id=user.id))
    await visitor.http.post("/setup", data={"t": again})
    assert (await visitor.http.post("/account/password", data={"new": "a new long password"})).status_code == 303


async def test_ones_own_sessions_are_listed_and_ended_and_nobody_elses(served, visitors, carl):
    other, bob = visitors.stranger(**{"User-Agent": "Phone <b>"}), await visitors.signed_in("bob")
    await other.http.post("/login", data={"name": "carl", "password": PASSWORD})
    page = (await carl.http.get("/account")).text
    assert "Phone &lt;b&gt;" in page
    assert page.count("/revocation") == 2, "one other session, and all others"
    sessions = served.scenario.rows("SELECT id, user_agent, user_id FROM web_session")
    bobs = next(one for one, _, user in sessions if user == user_of(served.scenario, "bob").id)
    assert (await carl.http.post(f"/account/sessions/{bobs}/revocation")).status_code == 404
    assert (await bob.http.get("/")).status_code == 200
    phone = next(one for one, agent, _ in sessions if agent.startswith("Phone"))
    assert (await carl.http.post(f"/account/sessions/{phone}/revocation")).status_code == 303
    assert (await other.http.get("/")).status_code == 303
    await other.http.post("/login", data={"name": "carl", "password": PASSWORD})
    assert (await carl.http.post("/account/other-sessions/revocation")).status_code == 303
    assert [(await one.http.get("/")).status_code for one in (other, carl, bob)] == [303, 200, 200]


async def test_an_event_stream_ends_with_its_session(served, visitors, carl):
    async with carl.http.stream("GET", "/events") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: hello"
        assert (await anext(lines)).startswith("data: ")
        assert await anext(lines) == "retry: 1000"
        user = user_of(served.scenario, "carl")
        await served.scenario.service.write(lambda tx: roles.sign_out_everywhere(tx, user, Operator("test")))
        served.scenario.service.bus.wake("anything")
        assert [line async for line in lines if line] == []


async def test_a_personal_token_is_shown_once_works_and_is_revoked(served, carl):
    form = {"label": "my <script>", "scopes": READ, "hours": "24"}
    shown = (await carl.http.post("/account/tokens", data=form)).text
    token = re.search(r"mcpu_[0-9a-f]+_[\w-]+", shown).group()
    page = (await carl.http.get("/account")).text
    assert token not in page
    assert "my &lt;script&gt;" in page
    async with served.client(token) as api:
        assert (await api.get("/requests")).status_code == 200
        public = token.split("_")[1]
        assert (await carl.http.post(f"/account/tokens/{public}/revocation")).status_code == 303
        assert (await api.get("/requests")).status_code == 401
    assert (await carl.http.post(f"/account/tokens/{public}/revocation")).status_code == 404


async def test_a_token_that_decides_needs_the_password_again(served, visitors, carl):
    form = {"label": "night shift", "scopes": DECIDE, "hours": "24"}
    served.scenario.clock.forward(601)
    assert (await carl.http.post("/account/tokens", data=form)).status_code == 403
    assert (await carl.http.post("/account/confirmation", data={"present": "wrong"})).status_code == 401
    before = carl.http.cookies["approvals"]
    assert (await carl.http.post("/account/confirmation", data={"present": PASSWORD})).status_code == 303
    assert carl.http.cookies["approvals"] != before
    shown = await carl.http.post("/account/tokens", data=form)
    assert "mcpu_" in shown.text
    ((created, expires, scopes),) = served.scenario.rows(
        "SELECT created_at, expires_at, scopes FROM credential WHERE user_id IS NOT NULL"
    )
    assert (expires - created, scopes) == (24 * HOUR, "read decide")


def test_p1_only_a_reviewer_makes_a_token_that_decides_and_it_ends_with_the_role(scenario):
    bob = user_of(scenario, "bob")
    scenario.add_user("vera", "viewer auditor admin")

    def make(name, scopes):
        return scenario.write(lambda tx: tokens.make(tx, fresh(scenario, name), "x", scopes, HOUR))

    with pytest.raises(Forbidden, match="Only a reviewer's token decides"):
        make("vera", DECIDE)
    deciding, reading = make("bob", DECIDE), make("bob", READ)
    others = make("ann", DECIDE)
    scenario.write(lambda tx: roles.set_roles(tx, bob, "reviewer admin auditor", Operator("test")))
    assert is_known(scenario, deciding)
    scenario.write(lambda tx: roles.set_roles(tx, bob, "viewer", Operator("test")))
    assert [is_known(scenario, token) for token in (deciding, reading, others)] == [False, True, True]
    scenario.write(lambda tx: roles.set_roles(tx, bob, "reviewer", Operator("test")))
    assert not is_known(scenario, deciding), "what has ended stays ended"
    with pytest.raises(Forbidden):  # the page was open since before the role was taken
        demoted = fresh(scenario, "bob")
        scenario.write(lambda tx: roles.set_roles(tx, bob, "viewer", Operator("test")))
        scenario.write(lambda tx: tokens.make(tx, demoted, "x", DECIDE, HOUR))


def is_known(scenario, token):
    try:
        return scenario.read(lambda reader: credentials.authenticate(reader, token, "user")) is not None
    except Unauthenticated:
        return False


async def test_p1_a_changed_password_ends_every_token_of_the_account(served, carl):
    scenario = served.scenario
    made = [
        scenario.write(lambda tx, scopes=scopes: tokens.make(tx, fresh(scenario, "carl"), "x", scopes, HOUR))
        for scopes in (READ, DECIDE)
    ]
    assert "ends your other sessions and all your tokens" in (await carl.http.get("/account")).text
    done = await carl.http.post("/account/password", data={"new": "a new long password", "present": PASSWORD})
    assert done.status_code == 303
    assert [is_known(scenario, token) for token in made] == [False, False]


async def test_a_token_that_decides_is_offered_to_reviewers_alone(served, visitors):
    served.scenario.add_user("vera", "viewer")
    vera, bob = await visitors.signed_in("vera"), await visitors.signed_in("bob")
    assert "token that decides" in (await bob.http.get("/account")).text
    assert "token that decides" not in (await vera.http.get("/account")).text


def test_p1_tokens_that_decide_are_fresh_short_and_few(scenario):

    def make(scopes=DECIDE, life=HOUR, label="x", ago=0):
        return scenario.write(lambda tx: tokens.make(tx, fresh(scenario, ago=ago), label, scopes, life))

    make(ago=FRESH)
    with pytest.raises(Forbidden):
        make(ago=FRESH + 1)
    with pytest.raises(Forbidden):
        scenario.write(lambda tx: tokens.make(tx, scenario.person(), "x", DECIDE, HOUR))
    for scopes, life in ((DECIDE, 24 * HOUR + 1), (READ, 365 * 24 * HOUR + 1), (READ, 0), (READ, -1), ("decide", HOUR)):
        with pytest.raises(Invalid):
            make(scopes, life)
    for label in ("", "  ", "x" * 61):
        with pytest.raises(Invalid):
            make(label=label)
    for _ in range(tokens.AT_MOST - 1):
        make(READ)
    with pytest.raises(TooMany):
        make(READ)
    scenario.clock.forward(3600)
    make(READ)


def test_disabling_and_signing_out_end_tokens_for_good(scenario):
    person = scenario.person("bob")
    token = scenario.write(lambda tx: tokens.make(tx, person, "x", READ, HOUR))
    scenario.read(lambda reader: credentials.authenticate(reader, token, "user"))
    scenario.write(lambda tx: roles.disable(tx, person.id, Operator("test")))
    scenario.write(lambda tx: roles.enable(tx, user_of(scenario, "bob"), Operator("test")))
    assert scenario.read(lambda reader: tokens.live(reader, person.id)) == []
    scenario.write(lambda tx: tokens.make(tx, person, "x", READ, HOUR))
    scenario.write(lambda tx: roles.sign_out_everywhere(tx, user_of(scenario, "bob"), Operator("test")))
    assert scenario.read(lambda reader: tokens.live(reader, person.id)) == []


# guessing


def test_guesses_are_counted_for_all_replicas_and_wait_longer_each_time(scenario, open_scenario):
    other = open_scenario(scenario.url, scenario.clock, scenario.keys)
    scenarios = [scenario, other]

    def take(which=0, name="ann", address="192.0.2.1"):
        scenarios[which].write(lambda tx: sign_in_limit.take(tx, counters(name, address)))

    for number in range(sign_in_limit.FREE["name"]):
        take(number % 2)
    for which in (0, 1):
        with pytest.raises(TooMany, match="Too many"):
            take(which)
    take(name="bob")
    waits = []
    for _ in range(8):
        waited = 0
        while True:
            try:
                take(address=f"198.51.100.{len(waits)}")
                break
            except TooMany:
                scenario.clock.forward(15)
                waited += 15
        waits.append(waited)
    assert waits == [15, 30, 60, 120, 240, 480, 900, 900]
    scenario.clock.forward(3601)
    take()
    assert scenario.rows("SELECT failures FROM sign_in_attempts") == [(1,), (1,)], "and the old ones are forgotten"
    other.service.database.stop()


def test_one_address_guesses_many_names_not_for_long(scenario):
    for number in range(sign_in_limit.FREE["address"]):
        scenario.write(lambda tx, number=number: sign_in_limit.take(tx, counters(f"name-{number}", "192.0.2.1")))
    with pytest.raises(TooMany):
        scenario.write(lambda tx: sign_in_limit.take(tx, counters("ann", "192.0.2.1")))
    scenario.write(lambda tx: sign_in_limit.take(tx, counters("ann", "192.0.2.2")))


def test_a_known_browser_is_counted_by_itself(scenario):
    for number in range(sign_in_limit.FREE["address"]):
        scenario.write(lambda tx, number=number: sign_in_limit.take(tx, counters(f"name-{number}", "192.0.2.1")))
    known = counters("ann", "192.0.2.1", "a-browser")
    for _ in range(sign_in_limit.FREE["browser"]):
        scenario.write(lambda tx: sign_in_limit.take(tx, known))
    with pytest.raises(TooMany):
        scenario.write(lambda tx: sign_in_limit.take(tx, known))
    scenario.write(lambda tx: sign_in_limit.take(tx, counters("ann", "192.0.2.2")))


def test_an_account_of_ones_own_does_not_undo_the_limit(scenario):
    for _ in range(sign_in_limit.FREE["name"]):
        scenario.write(lambda tx: sign_in_limit.take(tx, counters("ann", "192.0.2.1")))
    scenario.write(lambda tx: sign_in_limit.take(tx, counters("eve", "192.0.2.1")))
    scenario.write(lambda tx: sign_in_limit.succeeded(tx, counters("eve", "192.0.2.1")))
    with pytest.raises(TooMany):
        scenario.write(lambda tx: sign_in_limit.take(tx, counters("ann", "192.0.2.1")))


async def test_a_name_that_nobody_has_costs_as_much_as_one_that_somebody_has(served, visitors, carl, monkeypatch):
    """What is compared is the work, not the clock."""
    verified = []
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda *given: verified.append(given[1]) or verify(*given))
    for name in ("carl", "nobody", "ann"):  # ann has no password
        answer = await visitors.stranger().http.post("/login", data={"name": name, "password": "wrong wrong"})
        assert answer.status_code == 401
    assert len(verified) == 3
    assert len({known.rpartition("$")[0].rpartition("$")[0] for known in verified}) == 1, "the same parameters"
    assert verified[1] == verified[2]


# notices


async def test_every_admin_is_told_once_and_nobody_else(served, visitors, ann):
    scenario = served.scenario
    scenario.add_user("rex", "reviewer")
    assert "since your last visit" in (await ann.http.get("/")).text
    page = (await ann.http.get("/notices")).text
    assert "A new account: rex. Roles: reviewer" in page
    up_to = re.search(r'name="up_to" value="(\d+)"', page).group(1)
    assert (await ann.http.post("/notices/seen", data={"up_to": up_to})).status_code == 303
    assert "since your last visit" not in (await ann.http.get("/")).text
    bob, rex = await visitors.signed_in("bob"), await visitors.signed_in("rex")
    assert "since your last visit" in (await bob.http.get("/")).text
    assert "since your last visit" not in (await rex.http.get("/")).text
    await ann.http.post("/notices/seen", data={"up_to": str(2**62)})
    scenario.add_user("zoe", "viewer")
    assert "1 security change since your last visit" in (await ann.http.get("/")).text, (
        "seen is never ahead of what there is"
    )


def test_notices_say_what_happened_and_no_secret(scenario):
    agent_key = scenario.keys["agent"]
    token = scenario.write(lambda tx: tokens.make(tx, fresh(scenario), "cron {x}", DECIDE, HOUR))
    link = scenario.write(lambda tx: sign_in_links.make(tx, Operator("test"), "invite", name="eve", roles="viewer"))
    scenario.revoke_agent()
    rows = scenario.rows("SELECT kind, words FROM admin_notice ORDER BY id")
    kinds = [kind for kind, _ in rows]
    assert kinds == [
        "server.added",
        "agent.added",
        "user.added",
        "user.added",
        "token.made",
        "link.made",
        "agent.revoked",
    ]
    said = " ".join(words for _, words in rows)
    assert "enforced" in said
    for secret in (agent_key, scenario.keys["shop"], token, link):
        assert secret[-32:] not in said


def test_a_notice_is_written_with_its_event_or_not_at_all(scenario):
    before = scenario.rows("SELECT COUNT(*) FROM admin_notice")

    def fail(tx):
        tx.record(Kind.FREEZE_MADE, "test", "all", reason="x")
        raise ValueError

    with pytest.raises(ValueError):
        scenario.write(fail)
    assert scenario.rows("SELECT COUNT(*) FROM admin_notice") == before
    scenario.write(lambda tx: tx.record(Kind.FREEZE_MADE, "test", "all", reason="x"))
    assert scenario.rows("SELECT words FROM admin_notice ORDER BY id DESC LIMIT 1") == [("Writes were frozen",)]
