"""Signing in: one-time links, passwords, sessions, and how they end."""

import asyncio

import pytest

from approvals.service.identity import roles, sign_in_limit, sign_in_links, users
from approvals.service.identity.admins import Operator
from approvals.service.identity.sessions import SESSION_IDLE, SESSION_LIFE
from approvals.service.tasks import watch_gates

PASSWORD = "correct horse battery"
OUT = [
    "//evil.example",
    "https://evil.example",
    "https:evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "/%09/evil.example\r\nX: y",
    "javascript:x",
    "evil.example",
    "",
]


def link(served, purpose, **more):
    return served.scenario.write(lambda tx: sign_in_links.make(tx, Operator("test"), purpose, **more))


@pytest.fixture
async def carl(served, visitors):
    """An account made by its own invitation."""
    visitor = visitors.stranger()
    token = link(served, "invite", name="carl", roles="reviewer")
    answer = await visitor.http.post("/setup", data={"t": token, "name": "carl", "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return visitor


async def test_an_invitation_makes_one_account_and_signs_it_in(served, carl, visitors):
    assert (await carl.http.get("/")).status_code == 200
    cookie = next(iter(carl.http.cookies.jar))
    assert (cookie.name, cookie.has_nonstandard_attr("HttpOnly"), cookie.secure) == ("approvals", True, False)
    connection = served.scenario.service.database.connect()
    rows = connection.execute("SELECT roles, password_hash FROM user_account WHERE subject = 'carl'").fetchall()
    sessions = connection.execute("SELECT id FROM web_session").fetchall()
    connection.close()
    assert rows[0][0] == "reviewer"
    assert rows[0][1].startswith("$argon2id$")
    assert cookie.value not in str(sessions)


async def test_p6_looking_at_a_link_spends_nothing_and_posting_spends_it_once(served, visitors):
    token = link(served, "invite", name="carl", roles="reviewer")
    scanner = visitors.stranger()
    for _ in range(3):
        assert (await scanner.http.get(f"/setup?t={token}")).status_code == 200
    form = {"t": token, "name": "carl", "password": PASSWORD}
    assert (await scanner.http.post("/setup", data=form | {"password": "short"})).status_code == 422
    assert (await scanner.http.post("/setup", data=form)).status_code == 303
    assert (await scanner.http.post("/setup", data=form | {"name": "carla"})).status_code == 401
    assert (await scanner.http.get(f"/setup?t={token}")).status_code == 401


async def test_a_taken_name_is_said_and_the_first_accounts_link_stays_good(served, visitors, monkeypatch):
    monkeypatch.setattr(users, "count", lambda reader: 0)
    token = link(served, "setup", roles="reviewer")
    visitor = visitors.stranger()
    taken = await visitor.http.post("/setup", data={"t": token, "name": "ann", "password": PASSWORD})
    assert taken.status_code == 409
    assert "taken" in taken.text
    assert (
        await visitor.http.post("/setup", data={"t": token, "name": "anna", "password": PASSWORD})
    ).status_code == 303


async def test_p1_whoever_is_invited_gets_the_name_they_were_invited_as_and_no_other(served, visitors):
    token = link(served, "invite", name="carl", roles="reviewer")
    form = {"t": token, "name": "the-boss", "password": PASSWORD}
    assert (await visitors.stranger().http.post("/setup", data=form)).status_code == 303
    names = served.scenario.rows("SELECT subject, name, handle FROM user_account WHERE subject IN ('carl', 'the-boss')")
    assert names == [("carl", "carl", "carl")]
    taken = link(served, "invite", name="carl", roles="admin")
    assert (await visitors.stranger().http.post("/setup", data=form | {"t": taken})).status_code == 409


async def test_p1_the_first_accounts_link_is_dead_once_there_is_an_account(served, visitors):
    token = link(served, "setup", roles="admin reviewer")
    answer = await visitors.stranger().http.post("/setup", data={"t": token, "name": "eve", "password": PASSWORD})
    assert answer.status_code == 401


async def test_links_run_out(served, visitors):
    user = served.scenario.person("ann")
    token = link(served, "sign_in", user_id=user.id)
    served.scenario.clock.forward(15 * 60)
    assert (await visitors.stranger().http.post("/setup", data={"t": token})).status_code == 401
    fresh = link(served, "sign_in", user_id=user.id)
    assert (await visitors.stranger().http.post("/setup", data={"t": fresh})).status_code == 303


async def test_a_password_signs_in_and_a_wrong_one_does_not_say_which_part_was_wrong(carl, visitors):
    visitor = visitors.stranger()
    answers = [
        await visitor.http.post("/login", data={"name": name, "password": password})
        for name, password in (("carl", "wrong wrong wrong"), ("nobody", PASSWORD), ("ann", PASSWORD))
    ]
    assert [answer.status_code for answer in answers] == [401] * 3
    assert len({answer.text.split('role="alert">')[1].split("<")[0] for answer in answers}) == 1
    good = await visitor.http.post("/login", data={"name": "carl", "password": PASSWORD, "next": "/history"})
    assert (good.status_code, good.headers["location"]) == (303, "/history")


@pytest.mark.parametrize("following", OUT)
async def test_signing_in_leads_to_no_other_site(carl, visitors, following):
    answer = await visitors.stranger().http.post(
        "/login", data={"name": "carl", "password": PASSWORD, "next": following}
    )
    assert answer.headers["location"] == "/"


async def test_guessing_is_slowed_down_and_the_right_password_waits_too(carl, visitors, monkeypatch):
    monkeypatch.setitem(sign_in_limit.FREE, "name", 2)
    visitor = visitors.stranger()
    wrong = {"name": "carl", "password": "wrong wrong wrong"}
    codes = [(await visitor.http.post("/login", data=wrong)).status_code for _ in range(3)]
    assert codes == [401, 401, 429]
    assert (await visitor.http.post("/login", data=wrong | {"password": PASSWORD})).status_code == 429


async def test_p4_strangers_guesses_shut_nobody_out_of_a_browser_that_is_known(carl, visitors):
    """The same address, and even the same name: a demo, an office, a proxy."""
    stranger = visitors.stranger()
    for number in range(sign_in_limit.FREE["address"] + 1):
        wrong = {"name": f"nobody-{number % 3}", "password": "wrong wrong wrong"}
        answer = await stranger.http.post("/login", data=wrong)
    assert answer.status_code == 429
    right = {"name": "carl", "password": PASSWORD}
    assert (await stranger.http.post("/login", data=right)).status_code == 429
    await carl.http.post("/logout")
    assert (await carl.http.post("/login", data=right)).status_code == 303


async def test_p1_a_known_browser_is_known_for_its_owner_alone_and_guesses_from_it_are_counted(
    carl, visitors, monkeypatch
):
    monkeypatch.setitem(sign_in_limit.FREE, "address", 0)
    monkeypatch.setitem(sign_in_limit.FREE, "name", 0)
    monkeypatch.setitem(sign_in_limit.FREE, "browser", 2)
    cookie = carl.http.cookies["approvals-known"]
    owner, browser, mac = cookie.split(".")
    right = {"name": "carl", "password": PASSWORD}
    wrong = right | {"password": "wrong wrong wrong"}
    await visitors.stranger().http.post("/login", data=wrong)
    for forged in (f"{owner}.{browser}x.{mac}", f"{owner}.{browser}.{mac[:-1]}", f"someone.{browser}.{mac}", "", "é"):
        stranger = visitors.stranger(Cookie=f"approvals-known={forged}".encode())
        assert (await stranger.http.post("/login", data=right)).status_code == 429, forged
    await carl.http.post("/logout")
    other = right | {"name": "ann"}
    assert (await carl.http.post("/login", data=other)).status_code == 429
    codes = [(await carl.http.post("/login", data=wrong)).status_code for _ in range(3)]
    assert codes == [401, 401, 429]


async def test_signing_out_ends_the_session_for_good(carl, visitors):
    token = carl.http.cookies["approvals"]
    assert (await carl.http.post("/logout")).headers["location"] == "/login"
    carl.http.cookies.set("approvals", token)
    assert (await carl.http.get("/")).status_code == 303


async def test_sessions_end_with_idleness_age_and_the_account(served, visitors):
    scenario = served.scenario
    idle = await visitors.signed_in()
    scenario.clock.forward(SESSION_IDLE)
    assert (await idle.http.get("/")).status_code == 303
    busy = await visitors.signed_in()
    for _ in range(SESSION_LIFE // (SESSION_IDLE - 60)):
        assert (await busy.http.get("/")).status_code == 200
        await watch_gates(scenario.service)
        scenario.clock.forward(SESSION_IDLE - 60)
    scenario.clock.forward(SESSION_IDLE)
    assert (await busy.http.get("/")).status_code == 303
    disabled = await visitors.signed_in("bob")
    scenario.write(lambda tx: roles.disable(tx, scenario.person("bob").id, Operator("test")))
    assert (await disabled.http.get("/")).status_code == 303


async def test_what_an_open_page_does_by_itself_keeps_nobody_signed_in(served, visitors):
    scenario = served.scenario
    away = await visitors.signed_in()
    for _ in range(2):
        await away.http.get("/", headers={"HX-Request": "true"})
        await watch_gates(scenario.service)
        scenario.clock.forward(SESSION_IDLE / 2)
    assert (await away.http.get("/")).status_code == 303


async def test_behind_https_the_cookie_is_bound_to_the_host(served, visitors):
    served.scenario.service.public_url = "https://approvals.example"
    token = link(served, "invite", name="carl", roles="reviewer")
    answer = await visitors.stranger().http.post("/setup", data={"t": token, "name": "carl", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-approvals=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}


async def test_guessing_many_at_once_is_slowed_down_as_well(carl, visitors):
    visitor = visitors.stranger()
    guesses = [
        {"name": "carl", "password": f"guess number {number}"} for number in range(sign_in_limit.FREE["name"] + 5)
    ]
    answers = await asyncio.gather(*(visitor.http.post("/login", data=guess, timeout=60) for guess in guesses))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [401] * sign_in_limit.FREE["name"] + [429] * 5


async def test_signing_in_rightly_is_never_counted_against_anybody(carl, visitors, monkeypatch):
    monkeypatch.setitem(sign_in_limit.FREE, "name", 2)
    for _ in range(4):
        answer = await visitors.stranger().http.post("/login", data={"name": "carl", "password": PASSWORD})
        assert answer.status_code == 303
