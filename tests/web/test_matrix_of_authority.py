"""Every route against every principal: whoever the table does not let in is refused, and nothing has changed then."""

import hashlib
import itertools
import json
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from authority import ACTS, PRINCIPALS, ROUTES, page

from approvals import credentials
from approvals.decision import Seen
from approvals.grant_terms import Anything, Between, GrantTerms
from approvals.instant import SECOND
from approvals.models import SlackLink
from approvals.people import person_of, require_user
from approvals.policy import DefaultPolicy
from approvals.reviewers import Channels, Reviewers
from approvals.wire import WIRE_HEADER, WIRE_VERSION, Decision, State
from approvals_web.app import create_app
from approvals_web.assets import address
from approvals_web.card import seen_token

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
TO: dict[str, tuple[str, ...]] = {
    "pending": (),
    "approved": ("approve",),
    "denied": ("deny",),
    "expired": ("expire",),
    "withdrawn": ("withdraw",),
    "lapsed": ("approve", "expire"),
    "revoked": ("approve", "withdraw"),
    "executing": ("approve", "claim"),
    "succeeded": ("approve", "claim", "succeed"),
    "failed": ("approve", "claim", "fail"),
    "not_executed": ("approve", "claim", "skip"),
    "unknown": ("approve", "claim", "lose"),
    "contradicted": ("approve", "claim", "lose", "settle", "succeed"),
}
"""How a request comes to a state."""
SHORT_LIVED = 3600


class EveryChannel(DefaultPolicy):
    """Little risk, and scripts may decide, too."""

    def judge(self, call):
        asked = super().judge(call)
        return replace(asked, risk="low", reviewers=Reviewers(channels=Channels(api="decide")))


class World:
    """A house with one of every principal, and requests in any state."""

    def __init__(self, served) -> None:
        self.served, self.house = served, served.house
        self._numbers = itertools.count(1)
        self._untouched: dict[str, tuple[str, int]] = {}
        """Requests by state that nobody has changed."""

    async def build(self) -> None:
        house = self.house
        house.service.policy.present = EveryChannel()
        for name, roles in {"vic": "viewer", "aud": "auditor", "rev": "reviewer", "own": "reviewer"}.items():
            house.add_user(name, roles)
        house.add_server("bank")
        house.keys["other agent"] = house.write(lambda tx: house.service.principals.add_agent(tx, "test", "stranger"))
        house.run(
            "INSERT INTO agent_owner (agent_id, user_id) SELECT a.id, u.id FROM agent a, user_account u"
            " WHERE a.name = 'scout' AND u.subject = 'own'"
        )
        house.write(lambda tx: house.service.freezes.make(tx, "test", "server", "bank", "refuse", ""))
        house.write(lambda tx: house.service.rollouts.set(tx, "test", "bank", "", "", "observe"))
        self.bearers = {
            "gate": house.keys["shop"],
            "other gate": house.keys["bank"],
            "agent": house.keys["agent"],
            "other agent": house.keys["other agent"],
            "token": self._token("read"),
            "deciding token": self._token("read decide"),
        }
        names = {"viewer": "vic", "auditor": "aud", "reviewer": "rev", "owner": "own", "admin": "ann"}
        self.cookies = {principal: self.session(name) for principal, name in names.items()}
        self._names = names

    def session(self, name: str) -> str:
        user = self.house.read(lambda reader: require_user(reader, name))
        return self.house.write(
            lambda tx: self.house.service.people.sign_in(tx, user, "password", "127.0.0.1", "tests")
        )

    def client(self, principal: str) -> httpx2.AsyncClient:
        headers = {"Sec-Fetch-Site": "same-origin", WIRE_HEADER: str(WIRE_VERSION)}
        if principal in self.bearers:
            headers["Authorization"] = f"Bearer {self.bearers[principal]}"
        http = httpx2.AsyncClient(base_url=self.served.url, headers=headers, trust_env=False)
        if principal in self.cookies:
            http.cookies.set("approvals", self.cookies[principal])
        return http

    @property
    def number(self) -> int:
        """Of the request made last."""
        return self._last

    def request(self, state: str) -> str:
        """A request of the agent's, in that state. The policy of the house lets the API decide on low risk."""
        if state not in self._untouched:
            self._untouched[state] = self._make(state)
        request_id, self._last = self._untouched[state]
        return request_id

    def changed(self) -> None:
        """Whoever comes next needs requests of their own."""
        self._untouched.clear()

    def _make(self, state: str) -> tuple[str, int]:
        house, number = self.house, next(self._numbers)
        request_id = house.file(house.filing({"order_id": number, "amount_cents": 5})).request_id
        for step in TO[state]:
            getattr(self, f"_{step}")(request_id, f"claim-{number:04}")
        return request_id, number

    def _approve(self, request_id: str, _: str) -> None:
        self.house.decide(request_id, who="rev")

    def _deny(self, request_id: str, _: str) -> None:
        self.house.decide(request_id, "deny", who="rev", comment="no")

    def _expire(self, request_id: str, _: str) -> None:
        self.house.run("UPDATE request SET expires_at = 1, execute_by = 1 WHERE id = :id", id=request_id)
        self.house.sweep()

    def _withdraw(self, request_id: str, _: str) -> None:
        self.house.withdraw(request_id)

    def _claim(self, request_id: str, claim: str) -> None:
        assert self.house.claim(request_id, claim) is None

    def _lose(self, request_id: str, _: str) -> None:
        self.house.run("UPDATE execution SET lease_until = 0 WHERE request_id = :id", id=request_id)
        self.house.sweep()

    def _succeed(self, request_id: str, claim: str) -> None:
        self.house.report(request_id, "succeeded", claim)

    def _fail(self, request_id: str, claim: str) -> None:
        self.house.report(request_id, "failed", claim)

    def _skip(self, request_id: str, claim: str) -> None:
        self.house.report(request_id, "not_executed", claim)

    def _settle(self, request_id: str, _: str) -> None:
        self.house.settle(request_id, "not_executed", who="rev")

    def records(self) -> list[tuple]:
        """What a refused attempt must leave as it is."""
        return self.house.rows(
            "SELECT (SELECT count(*) FROM audit_event), (SELECT max(changed_at) FROM request),"
            " (SELECT max(lease_until) FROM execution)"
        )

    def ids(self, principal: str) -> dict[str, str]:
        """What addresses name beside the request; sessions and tokens are the principal's own."""
        name, cookie = self._names.get(principal, "ann"), self.cookies.get(principal, "")
        return {
            "call_id": "call-0001",
            "delivery_id": "d1",
            "form": "csv",
            "team_id": "T1",
            "slack_user_id": self._slack_user(name),
            "credential_id": self._token("read", name).split("_")[1],
            "digest": address("app.css").split("/")[2],
            "grant_id": self._grant(),
            "key": self.house.keys["agent"].split("_")[1],
            "server": "shop",
            "session": self.house.session,
            "session_id": hashlib.sha256(cookie.encode()).hexdigest(),
            "user_id": self.house.person("vic").id,
        }

    def _slack_user(self, name: str) -> str:
        """A Slack user linked to this person."""
        user = self.house.person(name)
        if not self.house.rows("SELECT 1 FROM slack_link WHERE user_id = :id", id=user.id):
            facts = {"team_id": "T1", "slack_user_id": f"U{name.upper()}", "slack_name": name, "by": "code"}
            self.house.write(lambda tx: tx.insert(SlackLink, user_id=user.id, linked_at=tx.now, **facts))
        return f"U{name.upper()}"

    def _grant(self) -> str:
        found = self.house.rows("SELECT id FROM standing_grant WHERE revoked_at IS NULL")
        if found:
            return found[0][0]
        row, person = self.house.row(self._make("pending")[0]), self.house.person("rev")
        terms = GrantTerms(3, 15, {"order_id": Anything(), "amount_cents": Between(0, 4)}).dump()
        decision = Decision(verdict="approve", content_version=row.content_version, digest=row.digest)
        decisions = self.house.service.decisions
        self.house.write(lambda tx: decisions.decide(tx, row.id, person, decision, Seen(), terms))
        return self._grant()

    def _token(self, scopes: str, name: str = "rev") -> str:
        user = self.house.read(lambda reader: require_user(reader, name))
        until = self.house.clock.now() + SHORT_LIVED * SECOND
        return self.house.write(lambda tx: credentials.mint(tx, "user", user.id, scopes=scopes, expires_at=until))


def bodies(world: World, request_id: str, number: int) -> dict[str, dict]:
    """What a rightful caller would send; JSON for the API, forms for the pages."""
    house = world.house
    row = house.row(request_id)
    content = {"content_version": row.content_version, "digest": row.digest}
    claim = {"claim_id": f"claim-{number:04}"}
    tool = house.tool(name="refund_order").model_dump(mode="json")
    api = "/api/v1/requests/{request_id}"
    return {
        "PUT /api/v1/servers/{name}/tools": {"json": {"session": f"session-{number:06}", "tools": [tool]}},
        "POST /api/v1/requests": {
            "json": house.filing({"order_id": number, "amount_cents": 9}).model_dump(mode="json")
        },
        f"PUT {api}/verification": {"json": {"session": house.session, "outcome": "unclear"}},
        f"PUT {api}/claim": {
            "json": {**claim, "session": house.session, "tool_hash": row.tool_hash, "digest": row.digest}
        },
        f"PUT {api}/lease": {"json": claim},
        f"PUT {api}/outcome": {"json": {**claim, "outcome": "succeeded", "result": "done"}},
        "POST /api/v1/requests/events": {"json": {"session": house.session, "waiting": []}},
        "POST /api/v1/calls": {"json": {"session": house.session, "calls": [], "high_water": 0}},
        "POST /api/v1/agents/verify": {"json": {"key": house.keys["agent"]}},
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
    "GET /static/{digest}/{name}": "app.css",
}
"""Of an agent elsewhere; of a policy's version under /policy."""
QUERIES = {
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
async def world(served):
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
    name = world.house.service.policy.hash if "/policy/" in route else NAMES.get(route, "scout")
    where = path.format(request_id=request_id, name=name, **world.ids(principal))
    async with world.client(principal) as http:
        body = dict(bodies(world, request_id, world.number).get(route, {}))
        if route == "POST /requests/{request_id}/decisions":
            body = {"data": form(world, principal, request_id)}
        if route == "POST /selection":
            sent = form(world, principal, request_id) | {"id": request_id}
            line = [sent.get(name, "") for name in ("id", "content_version", "digest", "card_hash", "seen")]
            body = {"data": {"verdict": "approve", "shown": json.dumps(line)}}
        before = world.records()
        world.house.clock.forward(0.001)  # so that whatever is written shows
        async with http.stream(method, where + QUERIES.get(route, ""), **body) as response:
            pass
    changed = world.records() != before
    if changed:
        world.changed()
    return response, changed, world.house.row(request_id).state


def form(world: World, principal: str, request_id: str) -> dict[str, str]:
    """The card's form as this person would be shown it, whether or not they are shown one."""
    house, row = world.house, world.house.row(request_id)
    content = {"content_version": str(row.content_version), "digest": row.digest, "verdict": "approve"}
    if principal not in world.cookies:
        return content
    person = house.read(lambda reader: person_of(reader, world.cookies[principal], ""))
    seen = seen_token(house.service, person, row.id, row.content_version, row.digest, "")
    return content | {"seen": seen}


def refused(response: httpx2.Response) -> bool:
    """By its key, its role, or as none of its business; a page sends a stranger to the sign-in page."""
    to_sign_in = response.status_code == 303 and response.headers["location"].startswith("/login?")
    return response.status_code in {401, 403, 404} or to_sign_in
