"""A disk that is full: nothing is written, and everything says so."""

import contextlib
import json
import sqlite3

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from approvals.service.storage import room
from approvals.service.storage.sqlite import Sqlite

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def fill(monkeypatch):
    """Takes the room from the database, and gives it back."""
    connections = []
    connect = Sqlite.connect

    def remembered(self):
        connections.append(connect(self))
        return connections[-1]

    monkeypatch.setattr(Sqlite, "connect", remembered)

    def fill(pages):
        for connection in connections:
            with contextlib.suppress(sqlite3.ProgrammingError):  # it is closed
                connection.execute(f"PRAGMA max_page_count = {pages}")

    return fill


def metric(text, name):
    return next(s.value for f in text_string_to_metric_families(text) for s in f.samples if s.name == name)


async def filed_until_refused(scenario, gate):
    for number in range(400):
        body = json.loads(scenario.filing({"order_id": number, "amount_cents": 1}).model_dump_json())
        answer = await gate.post("/requests", json=body)
        if answer.status_code not in {200, 201}:
            return answer
    raise AssertionError("there was room for all of them")


async def test_p5_on_a_full_disk_writes_are_refused_with_words_and_go_on_when_there_is_room(fill, served, scenario):
    async with served.client() as gate, httpx2.AsyncClient(base_url=served.url, trust_env=False) as http:
        assert (await http.get("/readyz")).status_code == 200
        fill(1)  # as small as it can be: what it has now
        refused = await filed_until_refused(scenario, gate)
        assert (refused.status_code, "disk" in refused.json()["detail"]) == (503, True), refused.text
        assert "Make room" in refused.json()["hint"]
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "full")
        metrics = (await http.get("/metrics")).text
        assert (metric(metrics, "approvals_database_full"), metric(metrics, "approvals_database_up")) == (1, 1)
        fill(1_000_000)
        body = json.loads(scenario.filing({"order_id": 9_999, "amount_cents": 1}).model_dump_json())
        assert (await gate.post("/requests", json=body)).status_code == 201
        assert (await http.get("/readyz")).status_code == 200


async def test_a_disk_with_next_to_nothing_left_is_full_before_a_write_fails(served, monkeypatch):
    monkeypatch.setattr(room, "LEAST", 1 << 62)
    async with httpx2.AsyncClient(base_url=served.url, trust_env=False) as http:
        assert (await http.get("/readyz")).status_code == 503
        assert metric((await http.get("/metrics")).text, "approvals_database_full") == 1
