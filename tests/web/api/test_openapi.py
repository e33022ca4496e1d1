"""The API keeps what its OpenAPI document says, whoever asks and whatever they send: both come from the document."""

import asyncio
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from approvals.protocol.messages import WIRE_HEADER, WIRE_VERSION
from approvals.service.realtime.wakeup import Wakeup
from support.authority import ACTS, ROUTES
from support.world import World

pytestmark = pytest.mark.databases("every case")

API = "/api/v1"
EVENTS = f"POST {API}/requests/events"
OPERATIONS = [route for route in ROUTES if f" {API}/" in route and not route.endswith("/openapi.json")]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
WHO = ("anonymous", "stray key", "gate", "agent", "token", "deciding token")
STATES = frozenset({"pending", "approved", "executing", "succeeded", "unknown", "denied"})
EVERY_DAY = {
    f"POST {API}/requests",
    f"GET {API}/requests/{{request_id}}",
    f"POST {API}/requests/{{request_id}}/decisions",
}
LET_IN, REFUSED = 25, 4
"""Cases for each operation and principal: whoever is refused is so before anything is read."""


@pytest.fixture
async def world(served):
    made = World(served)
    await made.build()
    return made


@pytest.fixture
async def document(served) -> dict[str, Any]:
    async with served.client() as client:
        return (await client.get("/openapi.json")).json()


def real(world: World, states: frozenset[str]) -> list[dict[str, Any]]:
    """What is really there, by the names that the document gives it: requests in these states, and what belongs to
    each."""
    return [_about(world, state) for state in sorted(states)]


def _about(world: World, state: str) -> dict[str, Any]:
    scenario, request_id = world.scenario, world.request(state)
    row = scenario.row(request_id)
    return {
        "request_id": request_id,
        "continues": request_id,
        "repeat_of": request_id,
        "waiting": [request_id],
        "digest": row.digest,
        "content_version": row.content_version,
        "tool_hash": row.tool_hash,
        "tool": row.tool,
        "arguments": {"order_id": world.number, "amount_cents": 5},
        "claim_id": f"claim-{world.number:04}",
        "session": scenario.session,
        "call_id": "call-0001",
        "edit_id": "edit-0001",
        "assertion": scenario.assertion(),
        "key": scenario.keys["agent"],
        "name": "shop",
        "server": "shop",
    }


@st.composite
def cases(draw: st.DrawFn, operation: Any, there: list[dict[str, Any]]) -> Case:
    """A case that fits the document, or just not; most are about something that is there, but perhaps for one name."""
    case = draw(operation.as_strategy(draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))))
    if draw(st.integers(0, 3)):
        about = draw(st.sampled_from(there))
        but = draw(st.just("") | st.sampled_from(sorted(about)))
        for part in (case.path_parameters, case.query, case.body):
            if isinstance(part, dict):
                part.update({name: value for name, value in about.items() if name in part and name != but})
    return case


@pytest.mark.parametrize(
    "route", [pytest.param(route, marks=() if route in EVERY_DAY else pytest.mark.slow) for route in OPERATIONS]
)
async def test_every_answer_is_one_that_the_document_describes(served, world, document, route, monkeypatch):
    method, path = route.split(" ")
    operation = openapi.from_dict(document)[path][method]
    there = real(world, STATES) + 3 * real(world, ACTS.get(route, frozenset()))
    wait = Wakeup.wait
    monkeypatch.setattr(Wakeup, "wait", lambda wakeup, seconds: wait(wakeup, min(seconds, 0.01)))  # else up to 30 s
    if route == EVENTS:
        served.scenario.service.stop()  # else a stream does not end; so it says what it has to say, and good-bye
    for who in WHO:
        headers = {WIRE_HEADER: str(WIRE_VERSION)}
        if who != "anonymous":
            headers["Authorization"] = f"Bearer {world.bearers.get(who, 'mcpx_some_thing')}"
        let_in = who in ROUTES[route].who
        await asyncio.to_thread(_try, served.url, cases(operation, there), headers, LET_IN if let_in else REFUSED)


def _try(url: str, some: st.SearchStrategy[Case], headers: dict[str, str], number: int) -> None:
    @settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(some)
    def conforms(case: Case) -> None:
        answer = case.call(base_url=url, session=session, headers=headers)
        case.validate_response(answer, checks=CHECKS)

    with requests.Session() as session:
        session.trust_env = False
        conforms()


async def test_another_method_is_refused_with_all_those_that_there_are(served, world, document):
    about = _about(world, "pending")
    async with served.client() as client:
        for path, offered in document["paths"].items():
            answer = await client.request("PATCH", served.url + path.format_map(about))
            assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
            assert answer.json()["type"] == "urn:mcp-approvals:problem:method-not-allowed"
            there = set(answer.headers["allow"].split(", "))
            assert there >= {method.upper() for method in offered}
            assert "PATCH" not in there


async def test_a_body_where_none_is_asked_for_is_read_as_strictly(served, document):
    async with served.client() as client:
        answer = await client.request("GET", "/requests/unsettled", content=b"{")
    assert str(answer.status_code) in document["paths"][f"{API}/requests/unsettled"]["get"]["responses"]


async def test_the_document_says_which_operations_are_a_gates_alone(document):
    """They speak the wire's version; whoever does not hears so."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            spoken = WIRE_HEADER in {one["name"] for one in operation.get("parameters", ())}
            of_gates = ROUTES[f"{method.upper()} {path}"].who <= {"gate", "other gate"}
            assert spoken is of_gates is ("426" in operation["responses"])
