"""Every route against every principal: whoever the table does not let in is refused, and nothing has changed then."""

import json
from pathlib import Path

import httpx2
import pytest

from approvals.protocol.states import State
from approvals.service import gate_answers
from approvals.service.identity.sessions import person_of
from approvals_web.app import create_app
from approvals_web.pages.card.view import seen_token
from support.authority import ACTS, PRINCIPALS, ROUTES, page
from support.world import World

pytestmark = pytest.mark.databases("one")

OPEN = {"POST /login", "GET /login/oidc", "GET /login/oidc/callback", "GET /setup", "POST /setup"}
"""Whoever has the password or the link is let in: that a wrong one is not says nothing of the route."""
STATES = {
    "PUT /api/v1/requests/{request_id}/claim": "approved",
    "PUT /api/v1/requests/{request_id}/lease": "executing",
    "PUT /api/v1/requests/{request_id}/outcome": "executing",
    "PUT /api/v1/requests/{request_id}/verification": "unknown",
    "POST /requests/{request_id}/settlement": "unknown",
    "POST /requests/{request_id}/revocation": "approved",
    "POST /requests/{request_id}/acknowledgement": "contradicted",
}


def bodies(world: World, request_id: str, number: int) -> dict[str, dict]:
    """What a rightful caller would send; JSON for the API, forms for the pages."""
    scenario = world.scenario
    row = scenario.row(request_id)
    content = {"content_version": row.content_version, "digest": row.digest}
    claim = {"claim_id": f"claim-{number:04}"}
    tool = scenario.tool(name="refund_order").model_dump(mode="json")
    api = "/api/v1/requests/{request_id}"
    return {
        "PUT /api/v1/servers/{name}/tools": {"json": {"session": f"session-{number:06}", "tools": [tool]}},
        "POST /api/v1/requests": {
            "json": scenario.filing({"order_id": number, "amount_cents": 9}).model_dump(mode="json")
        },
        f"PUT {api}/verification": {"json": {"session": scenario.session, "outcome": "unclear"}},
        f"PUT {api}/claim": {
            "json": {**claim, "session": scenario.session, "tool_hash": row.tool_hash, "digest": row.digest}
        },
        f"PUT {api}/lease": {"json": claim},
        f"PUT {api}/outcome": {"json": {**claim, "outcome": "succeeded", "result": "done"}},
        "POST /api/v1/requests/events": {"json": {"session": scenario.session, "waiting": []}},
        "POST /api/v1/calls": {"json": {"session": scenario.session, "calls": [], "high_water": 0}},
        "POST /api/v1/agents/verify": {"json": {"key": scenario.keys["agent"]}},
        f"POST {api}/edits": {"json": {"arguments": {"amount_cents": 4}, "reason": "less", **content}},
        f"PUT {api}/edits/{{edit_id}}": {
            "json": {
                "session": scenario.session,
                "tool_hash": row.tool_hash,
                "arguments": {"order_id": number, "amount_cents": 4},
            }
        },
        "POST /requests/{request_id}/edits": {"data": {"v1": "4", "reason": "less", "act": "edit", **content}},
        f"POST {api}/withdrawal": {"json": {"comment": "no longer needed"}},
        f"POST {api}/decisions": {"json": {"verdict": "approve", "comment": "", **content}},
        "POST /requests/{request_id}/settlement": {"data": {"truth": "succeeded", "note": "looked it up"}},
        "POST /requests/{request_id}/withdrawal": {"data": {"comment": "no longer needed"}},
        "POST /requests/{request_id}/revocation": {"data": {"comment": "no longer wanted"}},
        "PUT /api/v1/gates/{session}/freezes": {"json": {"freezes": []}},
        "POST /requests/{request_id}/grant": {"data": {"uses": "1", "minutes": "5"}},
        "POST /policy/trial": {"data": {"tool": "shop.refund_order", "agent": "scout", "arguments": "{}"}},
        "POST /freeze": {"data": {"over": "all", "mode": "refuse", "confirm": "yes"}},
        "POST /freeze/lift": {"data": {"scope": "server", "of": "bank", "confirm": "yes"}},
        "POST /rollout": {"data": {"server": "shop", "mode": "observe"}},
        "POST /rollout/clear": {"data": {"server": "bank"}},
        "POST /rollout/audience": {"data": {"server": "shop", "entries": ""}},
        "POST /servers/{server}/keys": {"data": {"at": scenario.installation("shop").id}},
        "POST /servers/{server}/keys/{key}/revocation": {"data": {"at": scenario.installation("shop").id}},
        "POST /servers/{server}/revocation": {"data": {"at": scenario.installation("shop").id}},
        "POST /servers/{server}/grants": {"data": {"at": scenario.installation("shop").id, "allowed": "true"}},
        "POST /users/{user_id}/state": {"data": {"state": "disabled"}},
        "POST /notices/seen": {"data": {"up_to": "1"}},
        "POST /account/slack/confirmation": {"data": {"slack_user": "U1"}},
        "POST /account/tokens": {"data": {"label": "mine", "scopes": "read", "hours": "1"}},
        "POST /login": {"data": {"name": "nobody", "password": "wrong password"}},
        "POST /setup": {"data": {"t": "no link", "name": "nobody", "password": "long enough, that"}},
    }


NAMES = {
    "PUT /api/v1/servers/{name}/tools": "shop",
    "POST /servers/{server}/tools/{name}/acceptance": "refund_order",
    "POST /servers/{server}/tools/{name}/rejection": "refund_order",
    "GET /static/{digest}/{name}": "app.css",
}
"""Of an agent elsewhere; of a policy's version under /policy."""
QUERIES = {
    "GET /servers/{server}/connection": "?at={at}",
    "GET /api/v1/requests/unsettled": "?session=session-0001",
    "DELETE /api/v1/requests/{request_id}/callers/{call_id}": "?session=session-0001",
    "GET /setup": "?t=no-link",
}


def routes_of(app) -> set[str]:
    """Every method and path that the application answers."""
    return {f"{method} {route.path}" for route in app.routes for method in route.methods - {"HEAD"}}


def test_p1_every_route_is_in_the_table_and_no_other(service):
    assert routes_of(create_app(service)) == set(ROUTES)


def test_the_table_in_the_docs_is_the_one_that_is_tested():
    assert page() == (Path(__file__).parents[2] / "docs" / "authority.md").read_text()


@pytest.fixture
async def world(served, monkeypatch):
    monkeypatch.setattr(gate_answers, "EDIT_SECONDS", 0.0)  # no gate answers here
    world = World(served)
    await world.build()
    return world


@pytest.mark.parametrize(
    "route", [pytest.param(route, marks=() if "decisions" in route else pytest.mark.slow) for route in ROUTES]
)
async def test_p1_whoever_the_table_does_not_let_in_is_refused(world, route):
    for principal in PRINCIPALS:
        answer, changed, _ = await attempt(world, route, principal, STATES.get(route, "pending"))
        said = refused(answer) and route not in OPEN
        assert said is (principal not in ROUTES[route].who), (principal, answer.status_code)
        assert not (said and changed), principal


@pytest.mark.slow
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("route", ACTS)
async def test_p1_nobody_does_in_a_state_what_cannot_be_done_in_it(world, route, state):
    for principal in PRINCIPALS:
        answer, changed, after = await attempt(world, route, principal, state)
        may = principal in ROUTES[route].who and state in ACTS[route]
        assert changed is may, (principal, answer.status_code, after)
        assert answer.status_code < 500


async def attempt(world: World, route: str, principal: str, state: str) -> tuple[httpx2.Response, bool, str]:
    """The answer, whether anything changed, and the state of the request afterwards."""
    method, path = route.split(" ", 1)
    request_id = world.request(state)
    if "edits" in route:
        world.edit(request_id)
    name = world.scenario.service.policy.hash if "/policy/" in route else NAMES.get(route, "scout")
    named = world.ids(principal) | ({"key": world.scenario.keys["shop"].split("_")[1]} if "/servers/" in path else {})
    where = path.format(request_id=request_id, name=name, **named)
    query = QUERIES.get(route, "").format(at=world.scenario.installation("shop").id)
    async with world.client(principal) as http:
        body = dict(bodies(world, request_id, world.number).get(route, {}))
        if route == "POST /requests/{request_id}/decisions":
            body = {"data": form(world, principal, request_id)}
        if route == "POST /selection":
            sent = form(world, principal, request_id) | {"id": request_id}
            line = [sent.get(name, "") for name in ("id", "content_version", "digest", "card_hash", "seen")]
            body = {"data": {"verdict": "approve", "shown": json.dumps(line)}}
        before = world.records()
        world.scenario.clock.forward(0.001)  # so that whatever is written shows
        async with http.stream(method, where + query, **body) as response:
            pass
    changed = world.records() != before
    if changed:
        world.changed()
    return response, changed, world.scenario.row(request_id).state


def form(world: World, principal: str, request_id: str) -> dict[str, str]:
    """The card's form as this person would be shown it, whether or not they are shown one."""
    scenario, row = world.scenario, world.scenario.row(request_id)
    content = {"content_version": str(row.content_version), "digest": row.digest, "verdict": "approve"}
    if principal not in world.cookies:
        return content
    person = scenario.read(lambda reader: person_of(reader, scenario.service.keyring, world.cookies[principal], ""))
    seen = seen_token(scenario.service, person, row.id, row.content_version, row.digest, "")
    return content | {"seen": seen}


def refused(response: httpx2.Response) -> bool:
    """By its key, its role, or as none of its business; a page sends a stranger to the sign-in page."""
    to_sign_in = response.status_code == 303 and response.headers["location"].startswith("/login?")
    return response.status_code in {401, 403, 404} or to_sign_in
