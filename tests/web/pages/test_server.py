"""The page of one server: where it runs, its keys, its tools, whom it is for."""

import re

import pytest

from approvals.protocol.registration import Annotations


async def test_a_tool_is_shown_with_what_the_policy_makes_of_it_and_its_arguments(served, ann):
    scenario = served.scenario
    schema = {
        "type": "object",
        "properties": {
            "order_id": {"type": "integer", "description": "Which order."},
            "how": {"enum": ["card", "credit"]},
        },
        "required": ["order_id"],
    }
    scenario.register(
        scenario.tool(name="refund", input_schema=schema, summary=None, description="Give it <b>back</b>."),
        scenario.tool(name="look", summary=None, annotations=Annotations(read_only=True)),
        session="session-0002",
    )
    page = (await ann.http.get("/servers/shop")).text
    assert "Give it &lt;b&gt;back&lt;/b&gt;." in page
    shown = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page))
    assert "refund waits for a person" in shown
    assert "look runs without asking" in shown
    assert "order_idintegerWhich order." in shown
    assert "howone of card, credit, optional" in shown


async def test_a_second_key_is_shown_once_and_the_first_can_be_revoked(served, ann):
    scenario = served.scenario
    at = scenario.installation("shop")
    first = scenario.keys["shop"].split("_")[1]
    made = await ann.http.post("/servers/shop/keys", data={"at": at.id, "expires": "30d"})
    key = re.search(r"mcps_[\w-]+", made.text)[0]
    assert key.split("_")[1] != first
    gone = await ann.http.post(f"/servers/shop/keys/{first}/revocation", data={"at": at.id})
    assert gone.status_code == 303
    live = scenario.rows("SELECT id FROM credential WHERE kind = 'installation' AND revoked_at IS NULL")
    assert live == [(key.split("_")[1],)]
    assert "mcps_" not in (await ann.http.get("/servers/shop")).text


async def test_a_revoked_installation_gets_no_key_and_is_shown_as_revoked(served, ann):
    at = served.scenario.installation("shop")
    assert (await ann.http.post("/servers/shop/revocation", data={"at": at.id})).status_code == 303
    answer = await ann.http.post("/servers/shop/keys", data={"at": at.id})
    assert answer.status_code == 409
    assert "This installation was revoked" in answer.text
    page = (await ann.http.get("/servers/shop")).text
    assert '<span class="chip bad">revoked</span>' in page
    assert "Create key" not in page


async def test_similar_calls_are_switched_on_and_off(served, ann):
    at = served.scenario.installation("shop")
    for allowed, words in (("false", "are each asked about"), ("true", "may be allowed together with an approval")):
        assert (await ann.http.post("/servers/shop/grants", data={"at": at.id, "allowed": allowed})).status_code == 303
        assert words in (await ann.http.get("/servers/shop")).text


async def test_agents_are_chosen_from_a_list_and_enforcement_too(served, ann):
    page = (await ann.http.get("/servers/shop")).text
    assert '<option value="agent:scout">scout</option>' in page
    assert '<option value="refund_order">refund_order</option>' in page
    await ann.http.post("/rollout/audience", data={"server": "shop", "entries": ["agent:scout", "group:pilots"]})
    sent = await ann.http.post("/rollout", data={"server": "shop", "tool": "refund_order", "mode": "observe"})
    assert sent.headers["location"] == "/servers/shop#enforcement"
    page = (await ann.http.get("/servers/shop")).text
    assert "Only group pilots, scout." in page or "Only scout, group pilots." in page
    assert "refund_order for everybody" in re.sub(r"\s+", " ", page)


@pytest.mark.parametrize("act", ["keys", "revocation", "grants", "keys/nonesuch/revocation"])
async def test_p1_nothing_is_changed_of_another_servers_installation(served, ann, act):
    scenario = served.scenario
    scenario.add_server("bank")
    at = scenario.installation("bank")
    answer = await ann.http.post(f"/servers/shop/{act}", data={"at": at.id, "allowed": "false"})
    assert answer.status_code == 404
    assert scenario.rows("SELECT count(*) FROM credential WHERE kind = 'installation' AND revoked_at IS NULL") == [(2,)]
    assert bool(scenario.installation("bank").may_grant)


async def test_a_reader_sees_the_server_and_no_form(served, visitors):
    served.scenario.add_user("vera", "viewer")
    vera = await visitors.signed_in("vera")
    page = (await vera.http.get("/servers/shop")).text
    assert "refund_order" in page
    assert 'action="/servers' not in page and 'action="/rollout' not in page


async def test_a_server_that_there_is_not_is_not_found(ann):
    assert (await ann.http.get("/servers/nowhere")).status_code == 404
