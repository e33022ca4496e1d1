"""Connecting a server from the web app: its key once, and a configuration that its client reads."""

import json
import re

import pytest

from approvals.client_configs import CLIENTS
from approvals.service.tools.connections import Connection
from approvals_web.pages import connecting
from approvals_web.pages.connecting import AGENT_KEY, progress

URL = "https://approvals.example"
SECOND = 1_000_000


@pytest.mark.parametrize(("assurance", "trusted"), [("enforced", True), ("cooperative", False)])
async def test_an_admin_connects_a_server_and_sees_its_key_once(served, ann, assurance, trusted):
    answer = await ann.http.post("/servers", data={"name": "pg", "assurance": assurance})
    assert answer.status_code == 200
    assert "mcps_" in answer.text
    made = served.scenario.installation("pg")
    assert (made.assurance, bool(made.trusted)) == (assurance, trusted)
    for address in ("/servers", "/servers/pg"):
        again = (await ann.http.get(address)).text
        assert "pg" in again
        assert "mcps_" not in again


async def test_a_new_agent_gets_its_key_with_it_and_nothing_is_left_to_copy_together(served, ann):
    answer = await ann.http.post("/servers", data={"name": "pg", "assurance": "cooperative", "agent": "helper"})
    text = re.sub(r"&#34;", '"', re.search(r'<pre id="settings-cursor"[^>]*>(.*?)</pre>', answer.text, re.S)[1])
    settings = json.loads(text)["mcpServers"]["pg"]["env"]
    assert settings["APPROVALS_AGENT_KEY"].startswith("mcpa_")
    assert settings["APPROVALS_SERVER_KEY"].startswith("mcps_")
    assert AGENT_KEY not in answer.text
    assert "mcpa_" not in (await ann.http.get("/agents")).text


async def test_p4_an_agent_that_there_is_leaves_no_half_made_server(served, ann):
    twice = await ann.http.post("/servers", data={"name": "pg", "assurance": "enforced", "agent": "scout"})
    assert twice.status_code == 409
    assert "Leave the field empty" in twice.text
    assert served.scenario.rows("SELECT count(*) FROM installation WHERE server = 'pg'") == [(0,)]


async def test_a_label_in_use_and_a_bad_name_are_said_with_what_to_do(served, ann):
    twice = await ann.http.post("/servers", data={"name": "shop", "assurance": "enforced"})
    assert (twice.status_code, "Give this one another label." in twice.text) == (409, True)
    bad = await ann.http.post("/servers", data={"name": "No Name!", "assurance": "enforced"})
    assert bad.status_code == 422
    assert "mcps_" not in twice.text + bad.text


async def test_p1_nobody_but_an_admin_connects_a_server(served, visitors):
    served.scenario.add_user("rex", "reviewer")
    rex = await visitors.signed_in("rex")
    assert (await rex.http.post("/servers", data={"name": "pg", "assurance": "enforced"})).status_code == 403
    assert "Connect a server" not in (await rex.http.get("/servers")).text


def told(waited, sessions=(), tools=0):
    """What is said of a gate that has come so far, after so many seconds."""
    found = Connection(sessions, tools, None, now=(waited + 1) * SECOND)
    return progress("pg", "1", found, SECOND, URL)


def test_a_gate_that_is_silent_for_a_minute_is_told_what_may_be_wrong():
    assert told(connecting.PATIENCE_SECONDS).next.trouble == ""
    late = told(connecting.PATIENCE_SECONDS + 1)
    assert not late.works
    assert f"Can it reach {URL}?" in late.next.trouble


async def test_the_page_of_a_new_server_follows_its_gate_until_the_first_call(served, ann):
    scenario = served.scenario
    key = re.search(r"mcps_\w+", (await ann.http.post("/servers", data={"name": "pg", "assurance": "enforced"})).text)[
        0
    ]
    assert key
    at = scenario.installation("pg")
    address = f"/servers/pg/connection?at={at.id}"
    seen = [(await ann.http.get(address, headers={"HX-Request": "true"})).text]
    scenario.register(scenario.tool(), session="session-pg-1", installation=at)
    seen.append((await ann.http.get(address, headers={"HX-Request": "true"})).text)
    filed = scenario.file(scenario.filing(session="session-pg-1", installation=at), at)
    seen.append((await ann.http.get(address, headers={"HX-Request": "true"})).text)
    assert [page.count('class="done"') for page in seen] == [0, 1, 3]
    assert ["data-eager" in page for page in seen] == [True, True, False]
    assert f'href="/requests/{filed.request_id}"' in seen[2]
    assert not any("<html" in page for page in seen)


async def test_no_progress_is_shown_of_another_servers_installation(served, ann):
    at = served.scenario.installation("shop")
    await ann.http.post("/servers", data={"name": "pg", "assurance": "enforced"})
    assert (await ann.http.get(f"/servers/pg/connection?at={at.id}")).status_code == 404


async def test_a_new_agent_is_followed_until_it_asks_and_its_key_has_a_place_in_each_client(served, ann):
    scenario = served.scenario
    made = (await ann.http.post("/agents", data={"name": "helper"})).text
    key = re.search(r'<pre id="new-key"[^>]*>(mcpa_[\w-]+)</pre>', made)[1]
    assert made.count(key) == 1 + len(CLIENTS)
    address = "/agents/helper/first"
    assert f'hx-get="{address}"' in made
    seen = [(await ann.http.get(address, headers={"HX-Request": "true"})).text]
    filing = scenario.filing(assertion=scenario.assertion(key))
    filed = scenario.file(filing)
    seen.append((await ann.http.get(address, headers={"HX-Request": "true"})).text)
    assert [page.count('class="done"') for page in seen] == [0, 2]
    assert f'href="/requests/{filed.request_id}"' in seen[1]
    scenario.decide(filed.request_id, "deny", comment="no")
    page = re.sub(r"<[^>]*>", "", (await ann.http.get("/agents")).text)
    assert re.search(r"1 request:\s+0 approved, 1 denied, 0 expired", page)
