"""The agents' page: everybody reads it, admins change it, and a key is shown once."""

import re

import pytest
from playwright.async_api import expect

from approvals.errors import Conflict, Duplicate
from approvals.service.identity import agents, servers
from approvals.service.identity.admins import Operator
from approvals.service.identity.credentials import live
from approvals.service.identity.servers import agent_named

KEY = re.compile(r"mcpa_\w{12}_[\w-]{43}")


def agent(served, name="scout"):
    return served.scenario.read(lambda reader: agent_named(reader, name))


def keys(served, name="scout"):
    return served.scenario.read(lambda reader: live(reader, "agent", agent_named(reader, name).id))


async def test_an_admin_adds_an_agent_and_sees_its_key_once(served, ann):
    form = {"name": "builder", "owners": "ann bob", "scopes": "shop/refund_*", "expires": "30d"}
    answer = await ann.http.post("/agents", data=form)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    (key,) = set(KEY.findall(answer.text))
    assert served.scenario.assertion(key)
    page = (await ann.http.get("/agents")).text
    assert not KEY.findall(page)
    for words in ("ann, bob", "shop/refund_*", "expires", keys(served, "builder")[0].id):
        assert words in page
    assert served.scenario.events(f"agent:{agent(served, 'builder').id}") == ["agent.added"]


async def test_an_admin_changes_everything_of_an_agent_and_each_change_is_on_record(served, ann):
    key = keys(served)[0].id
    for path, form in (
        ("owners", {"owners": "bob"}),
        ("groups", {"groups": "nightly builders"}),
        ("limits", {"pending": "3", "minute": ""}),
        (f"keys/{key}/scopes", {"scopes": "shop/*"}),
    ):
        assert (await ann.http.post(f"/agents/scout/{path}", data=form)).status_code == 303
    row = agent(served)
    assert (row.groups, row.pending_limit, row.minute_limit) == ("builders nightly", 3, None)
    rotated = await ann.http.post("/agents/scout/keys", data={"expires": "1d"})
    assert len(set(KEY.findall(rotated.text))) == 1
    assert [one.scopes for one in keys(served)] == ["shop/*", "shop/*"]
    assert (await ann.http.post(f"/agents/scout/keys/{key}/revocation")).status_code == 303
    assert len(keys(served)) == 1
    assert (await ann.http.post("/agents/scout/revocation")).status_code == 303
    assert agent(served).disabled_at is not None
    assert served.scenario.events(f"agent:{row.id}") == [
        "agent.added",
        "agent.owners_set",
        "agent.groups_set",
        "agent.limits_set",
        "agent.scopes_set",
        "agent.key_rotated",
        "agent.revoked",
        "agent.revoked",
    ]


FORMS = ["", "/scout/owners", "/scout/groups", "/scout/limits", "/scout/keys", "/scout/revocation"]


@pytest.mark.parametrize("path", [*FORMS, "/scout/keys/abcdef012345/scopes", "/scout/keys/abcdef012345/revocation"])
async def test_p1_nobody_but_an_admin_changes_an_agent(served, visitors, ann, path):
    served.scenario.add_user("carol", roles="reviewer auditor viewer")
    carol = await visitors.signed_in("carol")
    form = {"name": "x1"}
    assert (await carol.http.post(f"/agents{path}", data=form)).status_code == 403
    assert (await visitors.stranger().http.post(f"/agents{path}", data=form)).status_code in {303, 401}
    key = {"Authorization": f"Bearer {served.scenario.keys['agent']}"}
    assert (await visitors.stranger(**key).http.post(f"/agents{path}", data=form)).status_code in {303, 401}
    crossed = await ann.http.post(f"/agents{path}", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert crossed.status_code == 403
    assert served.scenario.events(f"agent:{agent(served).id}") == ["agent.added"]
    page = (await carol.http.get("/agents")).text
    assert "scout" in page
    assert '<form class="line"' not in page


@pytest.mark.parametrize(
    ("path", "form", "words"),
    [
        ("", {"name": "scout"}, "There is an agent"),
        ("", {"name": "new", "owners": "nobody"}, "no live account"),
        ("", {"name": "new", "scopes": "shop"}, "is no scope"),
        ("", {"name": "new", "expires": "soon"}, "no time that a key can live"),
        ("/scout/owners", {"owners": "nobody"}, "no live account"),
        ("/scout/groups", {"groups": "A!"}, "cannot name a group"),
        ("/ghost/owners", {"owners": "ann"}, "There is no agent"),
        ("/scout/keys/abcdef012345/revocation", {}, "no live key"),
        ("/scout/limits", {"pending": "many"}, "pending"),
    ],
)
async def test_a_change_that_cannot_be_is_said_on_the_page(ann, path, form, words):
    answer = await ann.http.post(f"/agents{path}", data=form)
    assert 400 <= answer.status_code < 500
    assert words in answer.text


async def test_a_flood_is_shown_to_admins_on_the_queue(served, ann):
    of = agent(served).id
    await served.scenario.service.write(lambda tx: served.scenario.service.allowances.tell(tx, of))
    for page in ("/", "/agents"):
        assert "is being rate-limited" in (await ann.http.get(page)).text


async def test_the_card_says_whom_an_agent_says_it_acts_for_and_history_finds_it(served, ann):
    said = '<b>ann</b>"&'
    served.scenario.file(served.scenario.filing(on_behalf_of=said, agent_session="run 7", trace_id="a" * 32))
    row = await served.pending()
    card = (await ann.http.get(f"/requests/{row.id}")).text
    assert "on behalf of" in card
    assert said not in card
    for by, value in (("on_behalf_of", said), ("agent_session", "run 7"), ("trace_id", "a" * 32)):
        assert row.summary in (await ann.http.get("/history", params={"by": by, "value": value})).text
        assert row.summary not in (await ann.http.get("/history", params={"by": by, "value": "other"})).text


async def test_a_script_searches_by_what_agents_said(served):
    served.scenario.file(served.scenario.filing(agent_session="run 7"))
    user = served.scenario.person().id
    from approvals.service.identity import credentials

    served.scenario.tampered_with = True  # a token that nobody made on record
    token = await served.scenario.service.write(lambda tx: credentials.mint(tx, "user", user))
    async with served.client(token) as script:
        assert len((await script.get("/requests", params={"agent_session": "run 7"})).json()["requests"]) == 1
        assert (await script.get("/requests", params={"agent_session": "run 8"})).json()["requests"] == []
        assert (await script.get("/requests", params={"agent_session": ""})).json()["requests"] == []


async def test_p1_a_servers_key_files_for_no_other_server_nor_with_anothers_assertion(served):
    scenario = served.scenario
    scenario.add_server("pg")
    stolen = scenario.filing()
    async with served.client("pg") as other:
        answer = await other.post("/requests", json=stolen.model_dump(mode="json"))
        assert answer.json()["type"].endswith("stale"), "that gate process is none of its own"
        scenario.register(session="session-of-pg", installation=scenario.installation("pg"))
        theirs = stolen.model_copy(update={"session": "session-of-pg"})
        assert (await other.post("/requests", json=theirs.model_dump(mode="json"))).status_code == 401
    assert scenario.rows("SELECT count(*) FROM request") == [(0,)]


async def test_a_flood_is_refused_over_http_with_a_time_to_come_back(served):
    scenario = served.scenario
    row = agent(served)
    scenario.write(lambda tx: agents.set_limits(tx, Operator("test"), row, pending=0, minute=None))
    async with served.client() as gate:
        answer = await gate.post("/requests", json=scenario.filing().model_dump(mode="json"))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    assert answer.json()["type"] == "urn:mcp-approvals:problem:too-many"


@pytest.mark.parametrize("width", [1100, 390])
@pytest.mark.slow
async def test_the_page_fits_its_screen(served, visitors, browser, width, tmp_path):
    scenario, row = served.scenario, agent(served)
    await scenario.service.write(lambda tx: agents.set_owners(tx, Operator("test"), row, ["ann", "bob"]))
    await scenario.service.write(lambda tx: scenario.service.allowances.tell(tx, row.id))
    await scenario.service.write(
        lambda tx: servers.rotate(tx, Operator("test"), "agent", row, covers="shop/refund_* pg/*", life=86400)
    )
    context = await browser.new_context(base_url=served.url, viewport={"width": width, "height": 900})
    ann = await visitors.signed_in()
    await context.add_cookies([{"name": "approvals", "value": ann.http.cookies["approvals"], "url": served.url}])
    opened = await context.new_page()
    await opened.goto("/agents")
    await opened.click("main summary")
    await expect(opened.locator("h1")).to_have_text("Agents")
    assert await opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    await opened.screenshot(path=tmp_path / f"agents-{width}.png", full_page=True)
    await context.close()


def test_what_is_said_of_a_revoked_agent_leads_on(scenario):
    scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "gone"))
    gone = scenario.read(lambda reader: agent_named(reader, "gone"))
    scenario.write(lambda tx: servers.revoke(tx, Operator("test"), "agent", gone))
    with pytest.raises(Conflict) as rotated:
        scenario.write(lambda tx: servers.rotate(tx, Operator("test"), "agent", gone))
    assert rotated.value.hint == "Add one, by another name."
    with pytest.raises(Duplicate) as added:
        scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "gone"))
    assert "choose another name" in added.value.hint
