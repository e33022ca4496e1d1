"""Whom the API gives what: what only a gate can use goes to gates, exact results to the gate that sealed them."""

from typing import Any

import pytest

from approvals.protocol.previews import Fact, Preview
from approvals.service.identity import credentials, tokens
from approvals.service.identity.users import require_user
from support.authority import GATES, ROUTES

API = "/api/v1"
OF_GATES = {
    "sealed_result",
    "sealed_arguments",
    "assertion",
    "pepper",
    "start_within",
    "lease_seconds",
    "snapshot",
}
"""Fields of answers that are of use to a gate alone."""
BY_KEY = f"GET {API}/requests/{{request_id}}"
"""Answers each by the kind of their key; the other test looks at what they get."""
SEALED = "0123456789ab.c2VhbGVk"


@pytest.fixture
async def document(served) -> dict[str, Any]:
    async with served.client() as client:
        return (await client.get("/openapi.json")).json()


def fields(document: dict[str, Any], node: Any, seen: frozenset[str] = frozenset()) -> set[str]:
    """The names of all properties in a schema, through its references."""
    if isinstance(node, list):
        return set().union(*(fields(document, item, seen) for item in node))
    if not isinstance(node, dict):
        return set()
    found = set(node.get("properties", {}))
    for key, value in node.items():
        if key == "$ref" and value not in seen:
            name = value.rpartition("/")[2]
            found |= fields(document, document["components"]["schemas"][name], seen | {value})
        else:
            found |= fields(document, value, seen)
    return found


def given(document: dict[str, Any], route: str) -> set[str]:
    """The fields of a route's good answers."""
    method, path = route.split(" ")
    answers = document["paths"][path][method.lower()]["responses"]
    return fields(document, [answer for status, answer in answers.items() if status.startswith("2")])


async def test_p1_no_route_gives_a_person_or_an_agent_what_is_a_gates(document):
    routes = [route for route in ROUTES if f" {API}/" in route and not route.endswith("openapi.json")]
    told = {route: given(document, route) & OF_GATES for route in routes}
    for route in routes:
        if not ROUTES[route].who <= GATES and route != BY_KEY:
            assert not told[route], route
    assert set().union(*told.values()) == OF_GATES - {"snapshot"}, "what nobody is given proves nothing"


@pytest.mark.parametrize("who", ["token", "agent"])
async def test_p1_an_exact_result_goes_to_the_gate_that_sealed_it_alone(served, who):
    scenario = served.scenario
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.report(filed.request_id, sealed_result=SEALED)
    person = scenario.person("bob")
    life = 3600 * 1_000_000
    scenario.keys["token"] = scenario.write(lambda tx: tokens.make(tx, person, "script", "read", life))
    paths = [f"/requests/{filed.request_id}", *(["/requests"] if who == "token" else [])]
    async with served.client(who) as client:
        for path in paths:
            answer = await client.get(path)
            assert answer.status_code == 200
            assert filed.request_id in answer.text
            assert "sealed" not in answer.text
    async with served.client() as gate:
        assert (await gate.get(f"/requests/{filed.request_id}")).json()["sealed_result"] == SEALED


async def test_p1_an_agent_that_withdraws_and_a_person_who_decides_are_shown_no_more(served):
    scenario = served.scenario
    filed = scenario.file()
    async with served.client("agent") as agent:
        answer = await agent.post(f"/requests/{filed.request_id}/withdrawal", json={"comment": ""})
    assert answer.json()["state"] == "withdrawn"
    assert "sealed_result" not in answer.json()


async def test_p6_a_person_reads_through_the_api_all_that_a_card_says_and_an_agent_does_not(served):
    scenario = served.scenario
    preview = Preview(effect="Refunds $120.00", facts=(Fact(name="left", value=0, currency="USD"),))
    filing = scenario.filing({"order_id": 1042, "amount_cents": 12000, "x": "a\u202eb"}, preview=preview, hidden=3)
    request_id = scenario.file(filing.model_copy(update={"on_behalf_of": "mia"})).request_id
    scenario.need(request_id, quorum=2)
    scenario.decide(request_id)
    ann = scenario.read(lambda reader: require_user(reader, "ann"))
    scenario.keys["token"] = scenario.write(lambda tx: credentials.mint(tx, "user", ann.id, scopes="read"))
    async with served.client("token") as person, served.client("agent") as agent:
        told = (await person.get(f"/requests/{request_id}")).json()
        own = (await agent.get(f"/requests/{request_id}")).json()
    assert told["arguments"]["amount_cents"] == 12000
    assert (told["agent"], told["on_behalf_of_unverified"], told["risk"]) == ("scout", "mia", "high")
    assert (told["quorum"], told["reason_unverified"]) == (2, "the parcel is lost")
    assert [(vote["by"], vote["verdict"], vote["counts"]) for vote in told["votes"]] == [("Ann", "approve", True)]
    assert told["preview"]["effect"] == "Refunds $120.00"
    assert any("3 characters are hidden" in words for words in told["warnings"])
    assert any(words.startswith("x:") for words in told["warnings"])
    assert "arguments" not in own
    assert "votes" not in own
