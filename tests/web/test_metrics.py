"""/metrics and /readyz: what whoever is on call sees."""

import re

import anyio
import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.dialects import sqlite

from approvals.service import metrics
from approvals.service.audit import chain
from approvals_web.app import create_app


async def scrape(served):
    """{(sample, its labels, by name): value}"""
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{served.url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {(sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value for sample in samples}


async def test_metrics_tell_what_is_open_what_moved_and_how_long_it_took(served):
    scenario = served.scenario
    first, second = (scenario.file(scenario.filing({"order_id": n, "amount_cents": 1})).request_id for n in (1, 2))
    scenario.clock.forward(40)
    scenario.decide(first)
    scenario.claim(first)
    at = await scrape(served)
    assert at[("approvals_open_requests", "high", "pending")] == 1
    assert at[("approvals_open_requests", "high", "executing")] == 1
    assert at[("approvals_oldest_pending_seconds",)] == 40
    assert at[("approvals_waiting_callers",)] == 2
    assert (at[("approvals_moves_total", "approve")], at[("approvals_moves_total", "claim")]) == (1, 1)
    assert (at[("approvals_decision_seconds_bucket", "30.0")], at[("approvals_decision_seconds_bucket", "60.0")]) == (
        0,
        1,
    )
    scenario.report(first)
    scenario.withdraw(second)
    at = await scrape(served)
    assert not [name for name, *_ in at if name == "approvals_open_requests"]
    assert at[("approvals_oldest_pending_seconds",)] == 0
    assert at[("approvals_executions_total", "succeeded")] == 1
    assert at[("approvals_decision_seconds_count",)] == 1, "a withdrawal is no decision"
    assert at[("approvals_database_up",)] == 1
    assert at[("approvals_database_seconds_count", "read")] > 0


async def test_metrics_tell_of_streams_and_long_polls(served, until):
    scenario = served.scenario
    request_id = scenario.file().request_id
    polls = scenario.service.metrics.polls
    async with served.client() as gate, anyio.create_task_group() as tasks:
        body = {"session": scenario.session, "waiting": []}
        async with gate.stream("POST", "/requests/events", json=body, timeout=30) as stream:
            lines = stream.aiter_lines()
            await anext(lines)
            tasks.start_soon(lambda: gate.get(f"/requests/{request_id}?wait=20", timeout=30))
            await until(lambda: polls._value.get() == 1)
            with anyio.fail_after(10):  # between two looks whether its caller is there, a long-poll is none
                while True:
                    at = await scrape(served)
                    if (at[("approvals_gate_streams",)], at[("approvals_long_polls",)]) == (1, 1):
                        break
        scenario.decide(request_id)
        await until(lambda: polls._value.get() == 0)


def test_metrics_tell_how_much_of_the_record_is_not_linked_and_since_when(scenario):
    def end():
        now = scenario.read(metrics.standing)
        return now.unlinked, now.oldest_unlinked

    request_id = scenario.file().request_id
    assert end()[0] > 0
    scenario.write(lambda tx: chain.link(tx, scenario.service.keyring.audit))
    assert end() == (0, None)
    scenario.withdraw(request_id)
    assert end() == (1, scenario.row(request_id).changed_at)


async def test_metrics_name_no_tool_no_person_and_no_argument(served):
    scenario = served.scenario
    scenario.decide(scenario.file().request_id)
    said = str(await scrape(served))
    for word in ("refund", "shop", "ann", "scout", "1042", "parcel", *scenario.keys.values()):
        assert word not in said.lower(), word


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # PostgreSQL's planner walks through small tables
@pytest.mark.parametrize("statement", [metrics._OPEN, metrics._OLDEST, metrics._LAST_LINKED, metrics._UNLINKED])
def test_no_metric_walks_through_history(scenario, statement):
    compiled = statement.compiled(sqlite.dialect(paramstyle="named"))
    given = compiled.bind({"after": 0} if ":after" in compiled.sql else {})
    with scenario.service.database.connect() as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", given)]
    connection.close()
    walks = [step for step in plan if re.match(r"SCAN (request|audit_event)\b(?!.*INDEX)", step)]
    assert not walks, plan


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_p5_while_the_database_is_away_it_is_not_ready_and_says_so_once(served, postgres, caplog, until):
    async with httpx2.AsyncClient(base_url=served.url, trust_env=False) as http:
        assert (await http.get("/readyz")).status_code == 200
        with postgres.cut_off(served.scenario.url):
            away = await http.get("/readyz")
            assert (away.status_code, away.json()["status"]) == (503, "unavailable")
            assert "OperationalError" in away.json()["detail"]
            assert "dbname" not in away.text
            assert (await http.get("/healthz")).status_code == 200
            assert (await scrape(served))[("approvals_database_up",)] == 0
            await until(lambda: "the audit sequencer waits" in caplog.text)
        await until(lambda: "the audit sequencer goes on" in caplog.text)
        assert caplog.text.count("the audit sequencer waits") == 1
        assert "Traceback" not in caplog.text
        assert (await http.get("/readyz")).status_code == 200
        assert (await scrape(served))[("approvals_database_up",)] == 1


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_p5_a_database_that_hangs_is_not_ready_either(served, postgres, monkeypatch):
    monkeypatch.setattr("approvals_web.health.READY_SECONDS", 0.2)
    with postgres.locked(served.scenario.url, "meta"):
        async with httpx2.AsyncClient(base_url=served.url, trust_env=False) as http:
            away = await http.get("/readyz")
    assert (away.status_code, away.json()["detail"]) == (503, "The database does not answer.")


TOKEN = "a token for whoever scrapes"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("host", "headers", "sees"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("203.0.113.9", {}, False),
        ("", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, False),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}, False),
        ("203.0.113.9", BEARER, True),
        ("203.0.113.9", {"Authorization": f"Bearer {TOKEN}x"}, False),
        ("203.0.113.9", {"Authorization": "Bearer é".encode()}, False),
    ],
)
async def test_p5_a_stranger_learns_that_the_service_is_up_and_no_more(service, host, headers, sees):
    if service.database.shared:
        pytest.skip("the same routes")
    app = create_app(service, metrics_token=TOKEN)
    transport = httpx2.ASGITransport(app, client=(host, 4711))
    async with httpx2.AsyncClient(transport=transport, base_url="http://approvals", headers=headers) as http:
        ready, metrics = await http.get("/readyz"), await http.get("/metrics")
        assert (await http.get("/healthz")).json() == {"status": "alive"}
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert (metrics.status_code, "approvals_frozen" in metrics.text) == ((200, True) if sees else (401, False))
    assert (set(ready.json()) == {"status"}) is not sees


async def test_p5_without_a_token_none_opens_the_figures(service):
    if service.database.shared:
        pytest.skip("the same routes")
    transport = httpx2.ASGITransport(create_app(service), client=("203.0.113.9", 4711))
    async with httpx2.AsyncClient(transport=transport, base_url="http://approvals") as http:
        for given in ("Bearer ", "", "Bearer"):
            assert (await http.get("/metrics", headers={"Authorization": given})).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_health_can_be_asked_for_without_its_words(service, path):
    transport = httpx2.ASGITransport(create_app(service))
    async with httpx2.AsyncClient(transport=transport, base_url="http://approvals") as http:
        asked = await http.head(path)
        assert asked.status_code == (await http.get(path)).status_code == 200
