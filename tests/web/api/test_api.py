"""The API over real HTTP: who may call what, what comes back, and what weird input meets."""

import asyncio
import json

import anyio
import pytest

from approvals.protocol.states import State
from approvals.service.identity import credentials, servers
from approvals.service.identity.admins import Operator
from approvals_web.api import events as events_module

FILE = "/requests"


def body(scenario, **changes):
    return scenario.filing(**changes).model_dump(mode="json")


async def events(response):
    """The (event, data) pairs of a stream."""
    kind = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


async def test_a_gate_files_waits_claims_and_reports_over_http(served, scenario):
    async with served.client() as gate:
        filed = (await gate.post(FILE, json=body(scenario))).json()
        assert filed["state"] == "pending"
        waiting = asyncio.create_task(gate.get(f"/requests/{filed['id']}?wait=20"))
        async with anyio.create_task_group():
            await asyncio.to_thread(scenario.decide, filed["id"])
            scenario.service.bus.wake(filed["id"])
            with anyio.fail_after(5):
                assert (await waiting).json()["state"] == "approved"
        claim = {"claim_id": "claim-0001", "session": scenario.session}
        claim |= {"tool_hash": filed["tool_hash"], "digest": filed["digest"]}
        claimed = await gate.put(f"/requests/{filed['id']}/claim", json=claim)
        assert (claimed.status_code, claimed.json()["start_within"]) == (200, 5.0)
        outcome = {"claim_id": "claim-0001", "outcome": "succeeded", "result": "done", "sealed_result": "c2VhbGVk"}
        assert (await gate.put(f"/requests/{filed['id']}/outcome", json=outcome)).json()["state"] == "succeeded"
        again = await gate.post(FILE, json=body(scenario))
        assert (again.status_code, again.json()["replayed"], again.json()["sealed_result"]) == (200, True, "c2VhbGVk")


async def test_the_event_stream_leases_verdicts_and_tells_of_changes(served, scenario):
    filed = scenario.file()
    opening = {"session": scenario.session, "waiting": [filed.request_id]}
    async with served.client() as gate, gate.stream("POST", "/requests/events", json=opening) as response:
        stream = events(response)
        with anyio.fail_after(5):
            kind, lease = await anext(stream)
            assert (kind, lease["tools"]["get_order"]["verdict"]) == ("lease", "run")
            kind, status = await anext(stream)
            assert (kind, status["state"]) == ("request", "pending")
            await scenario.service.write(
                lambda tx: scenario.service.withdrawals.by_admin(tx, filed.request_id, ann(scenario), "")
            )
            kind, status = await anext(stream)
            assert (kind, status["state"]) == ("request", "withdrawn")


async def test_the_event_stream_follows_calls_filed_after_it_opened(served, scenario):
    async with (
        served.client() as gate,
        gate.stream("POST", "/requests/events", json={"session": scenario.session}) as r,
    ):
        stream = events(r)
        with anyio.fail_after(5):
            assert (await anext(stream))[0] == "lease"
            filed = (await gate.post(FILE, json=body(scenario))).json()
            await scenario.service.write(
                lambda tx: scenario.service.withdrawals.by_admin(tx, filed["id"], ann(scenario), "")
            )
            seen = [await anext(stream)]
            while seen[-1][1].get("state") != "withdrawn":
                seen.append(await anext(stream))
            assert {status["id"] for _, status in seen} == {filed["id"]}


async def test_a_stream_forgets_what_has_ended(served, scenario):
    async with (
        served.client() as gate,
        gate.stream("POST", "/requests/events", json={"session": scenario.session}) as r,
    ):
        stream = events(r)
        assert (await anext(stream))[0] == "lease"
        filed = (await gate.post(FILE, json=body(scenario))).json()
        (followed,) = scenario.service.gates._streams[scenario.session]
        assert followed.follows == {filed["id"]}
        await scenario.service.write(
            lambda tx: scenario.service.withdrawals.by_admin(tx, filed["id"], ann(scenario), "")
        )
        with anyio.fail_after(5):
            while (await anext(stream))[1].get("state") != "withdrawn":
                pass
        assert followed.follows == set()
        assert filed["id"] not in scenario.service.bus._listeners


async def test_p1_a_revoked_installation_learns_nothing_more_from_its_open_stream(served, scenario, monkeypatch):
    monkeypatch.setattr(events_module, "RENEW_SECONDS", 0.05)
    filed = scenario.file()
    opening = {"session": scenario.session, "waiting": [filed.request_id]}
    async with served.client() as gate, gate.stream("POST", "/requests/events", json=opening) as response:
        stream = events(response)
        assert [(await anext(stream))[0] for _ in range(2)] == ["lease", "request"]
        at = scenario.installation()

        def revoke_and_withdraw(tx):
            servers.revoke(tx, Operator("test"), "installation", at)
            scenario.service.withdrawals.by_admin(tx, filed.request_id, ann(scenario), "")

        await scenario.service.write(revoke_and_withdraw)
        with anyio.fail_after(5):
            rest = [event async for event in stream]
        assert rest.pop()[0] == "bye"
        told = [data["state"] for kind, data in rest if kind == "request"]
        assert set(told) <= {"pending"}, "at most that it was filed, which another connection may tell late"


async def test_the_event_stream_never_tells_of_anothers_requests(served, scenario):
    filed = scenario.file()
    scenario.add_server("shop", "other")
    other = scenario.installation("shop", "other")
    scenario.register(session="session-0002", installation=other)
    opening = {"session": "session-0002", "waiting": [filed.request_id]}
    async with served.client("other") as gate, gate.stream("POST", "/requests/events", json=opening) as response:
        stream = events(response)
        with anyio.fail_after(5):
            assert (await anext(stream))[0] == "lease"
            await scenario.service.write(
                lambda tx: scenario.service.withdrawals.by_admin(tx, filed.request_id, ann(scenario), "")
            )
            scenario.service.stop()
            assert (await anext(stream))[0] == "bye"


def ann(scenario):
    return scenario.person("ann")


@pytest.mark.parametrize("key", ["shop", "agent"])
async def test_p1_no_agents_or_servers_key_decides(served, scenario, key):
    filed = scenario.file()
    row = scenario.row(filed.request_id)
    decision = {"verdict": "approve", "content_version": row.content_version, "digest": row.digest}
    async with served.client(key) as client:
        answer = await client.post(f"/requests/{filed.request_id}/decisions", json=decision)
        assert answer.status_code == 403
        form = await client.post(f"{served.url}/requests/{filed.request_id}/decisions", data=decision)
        assert form.status_code in {401, 403}
    assert scenario.status(filed.request_id).state is State.PENDING


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/requests/{id}/claim"),
        ("PUT", "/requests/{id}/lease"),
        ("PUT", "/requests/{id}/outcome"),
        ("POST", "/requests"),
        ("POST", "/requests/events"),
        ("POST", "/calls"),
        ("PUT", "/servers/shop/tools"),
        ("POST", "/agents/verify"),
        ("DELETE", "/requests/{id}/callers/callers-1?session=session-0001"),
    ],
)
async def test_p1_an_agents_key_neither_files_nor_claims_nor_reports(served, scenario, method, path):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    async with served.client("agent") as agent:
        answer = await agent.request(method, path.format(id=filed.request_id), json={})
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
    assert scenario.status(filed.request_id).state is State.APPROVED


async def test_an_agent_reads_and_withdraws_only_its_own(served, scenario):
    own = scenario.file()
    other = scenario.file(scenario.filing(assertion=None))
    async with served.client("agent") as agent:
        assert (await agent.get(f"/requests/{own.request_id}")).json()["state"] == "pending"
        assert (await agent.get(f"/requests/{other.request_id}")).status_code == 404
        assert (await agent.post(f"/requests/{other.request_id}/withdrawal", json={})).status_code == 404
        assert (await agent.post(f"/requests/{own.request_id}/withdrawal", json={})).json()["state"] == "withdrawn"


async def test_the_sealed_result_is_for_the_gate_alone(served, scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.report(filed.request_id, sealed_result="c2VhbGVk")
    async with served.client() as gate, served.client("agent") as agent:
        assert (await gate.get(f"/requests/{filed.request_id}")).json()["sealed_result"] == "c2VhbGVk"
        assert (await agent.get(f"/requests/{filed.request_id}")).json().get("sealed_result") is None


async def test_an_unknown_or_revoked_key_is_a_401_that_says_what_to_do(served, scenario):
    scenario.revoke_agent()
    for key in ("agent", "mcpa_none_none", "nonsense", "mcps_"):
        async with served.client(key) as client:
            answer = await client.get("/requests/00000000-0000-7000-8000-000000000000")
            assert answer.status_code == 401
            assert answer.json()["hint"]


@pytest.mark.parametrize("version", ["", "0", "99", "one"])
async def test_a_gate_of_another_wire_version_is_told_so(served, scenario, version):
    async with served.client(**{"Approvals-Wire": version}) as gate:
        answer = await gate.post(FILE, json=body(scenario))
        assert (answer.status_code, answer.json()["type"]) == (426, "urn:mcp-approvals:problem:wire-too-old")
        assert answer.headers["approvals-wire"] == "1"


BAD = {
    "not JSON": (b"{", 400),
    "not UTF-8": (b'{"a": "\xff"}', 400),
    "NaN": (b'{"a": NaN}', 400),
    "infinity": (b'{"a": 1e999}', 400),
    "a duplicate key": (b'{"session": "a", "session": "b"}', 400),
    "a lone surrogate": (b'{"a": "\\ud800"}', 400),
    "too deep": (b"[" * 100_000, 400),
    "deep but closed": (b"[" * 80 + b"]" * 80, 400),
    "an integer of 5,000 digits": (b'{"a": ' + b"9" * 5000 + b"}", 400),
    "too large": (b'"' + b"a" * 1_048_600 + b'"', 413),
    "another type": (b"[]", 422),
    "nothing": (b"", 422),
}


@pytest.mark.parametrize("name", BAD)
async def test_weird_json_is_refused_with_what_to_do(served, scenario, name):
    raw, status = BAD[name]
    async with served.client() as gate:
        answer = await gate.post(FILE, content=raw, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["detail"]


ARGUMENTS = {
    "2^53 + 1 bare": ({"n": 2**53 + 1}, 422),
    "2^53 + 1 encoded": ({"n": {"$int": "9007199254740993"}}, 201),
    "a small encoded integer": ({"n": {"$int": "5"}}, 422),
    "an integer float bare": ({"n": 1.0}, 422),
    "an integer float encoded": ({"n": {"$float": "1.0"}}, 201),
    "an unknown reserved key": ({"n": {"$evil": 1}}, 422),
    "an escaped dollar": ({"n": {"$$int": "5"}}, 201),
    "NUL": ({"n": "a\0b"}, 201),
    "nested 33 deep": ({"n": json.loads("[" * 33 + "]" * 33)}, 422),
    "300 kB": ({"n": "a" * 300_000}, 413),
}


@pytest.mark.parametrize("name", ARGUMENTS)
async def test_p2_arguments_come_in_the_one_form_that_is_digested(served, scenario, name):
    arguments, status = ARGUMENTS[name]
    async with served.client() as gate:
        answer = await gate.post(FILE, json=body(scenario) | {"arguments": arguments})
        assert answer.status_code == status, answer.text


async def test_an_unknown_field_is_refused_by_name(served, scenario):
    async with served.client() as gate:
        answer = await gate.post(FILE, json=body(scenario) | {"summary": "Refund $1.00"})
        assert answer.status_code == 422
        assert "summary" in answer.json()["detail"]


async def test_p8_call_records_are_numbered_and_a_gap_is_refused(served, scenario):
    def batch(*numbers, high):
        calls = [{"number": n, "ago": 0.1, "method": "tools/call", "outcome": "ok"} for n in numbers]
        return {"session": scenario.session, "calls": calls, "high_water": high}

    async with served.client() as gate:
        assert (await gate.post("/calls", json=batch(1, 2, high=2))).json() == {"next_number": 3}
        assert (await gate.post("/calls", json=batch(1, 2, high=2))).json() == {"next_number": 3}
        gap = await gate.post("/calls", json=batch(5, high=5))
        assert (gap.status_code, gap.json()["next_number"]) == (409, 3)
        assert (await gate.post("/calls", json=batch(2, 3, high=3))).json() == {"next_number": 4}
    assert scenario.events("shop").count("calls.recorded") == 2


async def test_the_openapi_document_lists_every_route_and_problem(served):
    async with served.client() as client:
        document = (await client.get("/openapi.json")).json()
    filing = document["paths"]["/api/v1/requests"]["post"]
    assert {"201", "200", "401", "403", "409", "413", "422", "426"} <= filing["responses"].keys()
    assert filing["requestBody"]["required"]
    assert "application/problem+json" in filing["responses"]["409"]["content"]
    assert not [path for path in document["paths"] if not path.startswith("/api/v1/")]


async def test_a_server_with_its_own_key_cannot_register_anothers_tools(served, scenario):
    scenario.add_server("bank")
    async with served.client() as gate:
        answer = await gate.put("/servers/bank/tools", json={"session": "session-0009", "tools": []})
        assert answer.status_code == 403


@pytest.fixture
def token(scenario):
    """Makes ann a personal token."""

    def make(scopes="", **more):
        ann, scenario.tampered_with = scenario.person("ann"), True  # a token that nobody made on record
        return scenario.write(lambda tx: credentials.mint(tx, "user", ann.id, scopes=scopes, **more))

    return make


async def test_a_persons_token_reads_and_searches_and_sees_no_sealed_result(served, scenario, token):
    ids = []
    for order in range(3):
        scenario.clock.forward(1)
        ids.append(scenario.file(scenario.filing({"order_id": order, "amount_cents": 1})).request_id)
    scenario.decide(ids[0], "deny", comment="no")
    async with served.client(token()) as ann:
        page = (await ann.get(f"{FILE}?state=pending&limit=1")).json()
        assert [one["id"] for one in page["requests"]] == [ids[2]]
        following = (await ann.get(f"{FILE}?state=pending&limit=1&cursor={page['cursor']}")).json()
        assert [one["id"] for one in following["requests"]] == [ids[1]]
        assert (await ann.get(f"{FILE}?server=bank")).json() == {"requests": [], "cursor": None}
        assert (await ann.get(f"{FILE}/{ids[0]}")).json()["comment"] == "no"
        assert (await ann.get(f"{FILE}?limit=0")).status_code == 422
        assert (await ann.get(f"{FILE}/{ids[0]}?wait=31")).status_code == 422


@pytest.mark.parametrize("scopes", ["", "decide"])
async def test_p1_a_persons_token_decides_nothing_while_no_rule_allows_the_channel(served, scenario, token, scopes):
    filed = scenario.file()
    row = scenario.row(filed.request_id)
    decision = {"verdict": "approve", "content_version": row.content_version, "digest": row.digest}
    async with served.client(token(scopes)) as ann:
        answer = await ann.post(f"{FILE}/{row.id}/decisions", json=decision)
    assert answer.status_code == 403
    assert scenario.status(row.id).state == "pending"


async def test_a_persons_token_runs_out_and_never_files_or_claims(served, scenario, token):
    expiring = token(expires_at=scenario.clock.now() + 60_000_000)
    async with served.client(expiring) as ann:
        assert (await ann.post(FILE, json=body(scenario))).status_code == 403
        assert (await ann.get(FILE)).status_code == 200
        scenario.clock.forward(60)
        assert (await ann.get(FILE)).status_code == 401


async def test_a_lease_is_renewed_by_its_claim_alone(served, scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    path = f"{FILE}/{filed.request_id}/lease"
    async with served.client() as gate:
        scenario.clock.forward(29)
        assert (await gate.put(path, json={"claim_id": "claim-0001"})).json() == {"lease_seconds": 30.0}
        assert (await gate.put(path, json={"claim_id": "claim-0002"})).status_code == 404
        scenario.clock.forward(29)
        assert scenario.status(filed.request_id).state == "executing"
        scenario.clock.forward(2)
        assert (await gate.put(path, json={"claim_id": "claim-0001"})).status_code == 409
    assert scenario.status(filed.request_id).state == "unknown"


async def test_a_long_poll_ends_when_its_time_is_up_and_when_the_service_stops(served, scenario, until):
    filed = scenario.file()
    async with served.client() as gate:
        with anyio.fail_after(5):
            assert (await gate.get(f"{FILE}/{filed.request_id}?wait=0.05")).json()["state"] == "pending"
        polling = asyncio.create_task(gate.get(f"{FILE}/{filed.request_id}?wait=25"))
        await until(lambda: filed.request_id in scenario.service.bus._listeners)
        scenario.service.stop()
        with anyio.fail_after(5):
            assert (await polling).json()["state"] == "pending"


async def test_p1_a_key_that_is_revoked_during_a_long_poll_is_told_nothing(served, scenario, until):
    filed = scenario.file()
    async with served.client("agent") as agent:
        polling = asyncio.create_task(agent.get(f"{FILE}/{filed.request_id}?wait=25"))
        await until(lambda: filed.request_id in scenario.service.bus._listeners)
        scenario.revoke_agent()
        scenario.service.bus.wake(filed.request_id)
        with anyio.fail_after(5):
            assert (await polling).status_code == 401
