"""Connecting a server from the web app: its key once, and a configuration that its client reads."""

import json
import tomllib

import pytest

from approvals_web.pages.connecting import configurations

URL, KEY = "https://approvals.example", "mcps_1_secret"


def test_each_configuration_is_in_its_clients_own_format():
    found = {one.client.partition(",")[0]: one.text for one in configurations("pg", URL, KEY)}
    for text, root in ((found["Cursor"], "mcpServers"), (found["VS Code"], "servers")):
        entry = json.loads(text)[root]["pg"]
        assert entry["command"] == "approvals-proxy"
        assert entry["env"]["APPROVALS_SERVER_KEY"] == KEY
    codex = tomllib.loads(found["Codex"])["mcp_servers"]["pg"]
    assert (codex["args"][:2], codex["env"]["APPROVALS_URL"]) == (["--name", "pg"], URL)
    assert found["Claude Code"].startswith(f"claude mcp add pg -e APPROVALS_URL={URL} -e APPROVALS_SERVER_KEY={KEY} ")


@pytest.mark.parametrize(("assurance", "trusted"), [("enforced", True), ("cooperative", False)])
async def test_an_admin_connects_a_server_and_sees_its_key_once(served, ann, assurance, trusted):
    answer = await ann.http.post("/servers", data={"name": "pg", "assurance": assurance})
    assert answer.status_code == 200
    assert "mcps_" in answer.text
    made = served.scenario.installation("pg")
    assert (made.assurance, bool(made.trusted)) == (assurance, trusted)
    again = (await ann.http.get("/servers")).text
    assert "pg" in again
    assert "mcps_" not in again


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
