"""Several processes over one PostgreSQL: file here, wait there, decide elsewhere, and what if a word is lost."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from dataclasses import replace

import anyio
import pytest
from mcp import Client

from approvals.errors import NotPossible
from approvals.protocol.messages import Decision
from approvals.protocol.states import State
from approvals.service import tasks
from approvals.service.audit import chain
from approvals.service.identity.admins import Operator
from approvals.service.keyring import Keyring
from approvals.service.realtime import replicas
from approvals.service.realtime.bus import EVERYTHING
from approvals.service.requests.decisions import Seen
from approvals.service.requests.rate_limits import Allowance
from approvals.service.service import Service
from approvals.service.storage.database import database_at
from support.counting_server import create
from support.round_robin import RoundRobin
from support.serving import SECRET, serving

NEVER = 3600.0


@pytest.fixture
def database_url(postgres):
    with postgres.database() as url:
        yield url


class Replicas:
    """Three served replicas; each can be stopped and started again on its port."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.services = [self._service() for _ in range(3)]
        self.urls = ["", "", ""]
        self._open = [None, None, None]

    def _service(self):
        return Service(
            database_at(self.scenario.url, self.scenario.clock),
            Keyring(SECRET),
            "http://127.0.0.1:8700",
            allowance=Allowance(None, None),
        )

    async def start(self, number):
        port = int(self.urls[number].rpartition(":")[2] or 0)
        self._open[number] = serving(self.services[number], port)
        self.urls[number] = await self._open[number].__aenter__()

    async def stop(self, number):
        await self._open[number].__aexit__(None, None, None)
        self._open[number] = None
        self.services[number] = self._service()

    async def restart(self, number):
        await self.stop(number)
        await self.start(number)

    async def decide(self, number, request_id, verdict="approve", **changes):
        """On that replica."""
        person, row = self.scenario.person(), self.scenario.row(request_id)
        given = {"verdict": verdict, "comment": "", "content_version": row.content_version, "digest": row.digest}
        decision = Decision(**given | changes)
        service = self.services[number]
        return await service.write(lambda tx: service.decisions.decide(tx, request_id, person, decision, Seen()))


@pytest.fixture
async def three(scenario, monkeypatch):
    """Three replicas whose slow poll never comes: what wakes them is a word."""
    monkeypatch.setattr(tasks, "CHANGES", replace(tasks.CHANGES, seconds=NEVER))
    scenario.service.database.stop()
    made = Replicas(scenario)
    for number in range(3):
        await made.start(number)
    yield made
    for number in range(3):
        if made._open[number] is not None:
            await made.stop(number)


async def file_on(three, http, **changes):
    body = three.scenario.filing(**changes).model_dump(mode="json")
    answer = await http.post("/requests", json=body)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()["id"]


async def next_event(lines, state):
    """The next event about a request in this state."""
    async for line in lines:
        if line.startswith("data: ") and f'"state":"{state}"' in line:
            return line
    raise AssertionError("the stream ended")


async def test_p4_filed_on_one_replica_waited_for_on_another_decided_on_a_third(three, client_to):
    async with client_to(three.urls[0]) as a, client_to(three.urls[1]) as b:
        request_id = await file_on(three, a)
        with anyio.fail_after(10):
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(b.get(f"/requests/{request_id}?wait=25", timeout=30))
                await subscribed(three.services[1], request_id)
                await three.decide(2, request_id)
        assert waiting.result().json()["state"] == "approved"


async def subscribed(service, key):
    with anyio.fail_after(5):
        while key not in service.bus._listeners:
            await anyio.lowlevel.checkpoint()


async def test_p4_a_gates_stream_hears_of_calls_filed_and_decided_on_other_replicas(three, client_to):
    scenario = three.scenario
    async with client_to(three.urls[0]) as a, client_to(three.urls[1]) as b:
        waiting = {"session": scenario.session, "waiting": []}
        async with b.stream("POST", "/requests/events", json=waiting, timeout=30) as stream:
            lines = stream.aiter_lines()
            with anyio.fail_after(10):
                await anext(lines)
                request_id = await file_on(three, a)
                await next_event(lines, "pending")
                await three.decide(2, request_id, "deny", comment="no")
                assert request_id in await next_event(lines, "denied")


async def test_p4_a_call_filed_while_the_stream_connected_is_followed_all_the_same(three, client_to):
    scenario = three.scenario
    async with client_to(three.urls[0]) as a, client_to(three.urls[1]) as b:
        request_id = await file_on(three, a)
        waiting = {"session": scenario.session, "waiting": []}
        async with b.stream("POST", "/requests/events", json=waiting, timeout=30) as stream:
            with anyio.fail_after(10):
                assert request_id in await next_event(stream.aiter_lines(), "pending")


async def test_p4_what_nobody_announced_the_slow_poll_finds(three, client_to, monkeypatch):
    async with client_to(three.urls[0]) as a, client_to(three.urls[1]) as b:
        deaf = three.services[1]
        monkeypatch.setattr(deaf.replicas, "_deeds", {})
        request_id = await file_on(three, a)
        with anyio.fail_after(10):
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(b.get(f"/requests/{request_id}?wait=25", timeout=30))
                await subscribed(deaf, request_id)
                await three.decide(2, request_id)
                assert not waiting.done()
                deaf.look.set()  # the poll comes round
        assert waiting.result().json()["state"] == "approved"


async def test_p4_after_its_listener_broke_a_replica_reads_again_what_it_missed(three, client_to, postgres):
    async with client_to(three.urls[0]) as a, client_to(three.urls[1]) as b:
        request_id = await file_on(three, a)
        listening = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query = 'SELECT 1'"
        with anyio.fail_after(15):
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(b.get(f"/requests/{request_id}?wait=25", timeout=30))
                await subscribed(three.services[1], request_id)
                three.scenario.rows(f"SELECT pg_terminate_backend(pid) FROM ({listening}) AS them")
                await three.decide(2, request_id)
        assert waiting.result().json()["state"] == "approved"


async def test_presence_is_the_same_on_every_replica(three, client_to, until):
    scenario = three.scenario
    async with client_to(three.urls[0]) as a, client_to(three.urls[1]) as b:
        filing = scenario.filing()
        request_id = (await a.post("/requests", json=filing.model_dump(mode="json"))).json()["id"]
        assert scenario.waiting(request_id) == 1
        pages = asyncio.Event()
        three.services[2].bus.subscribe(lambda _: pages.set(), [EVERYTHING])
        left = await b.delete(f"/requests/{request_id}/callers/{filing.call_id}?session={scenario.session}")
        assert left.status_code == 204
        assert scenario.waiting(request_id) == 0
        with anyio.fail_after(5):
            await pages.wait()


async def test_presence_ends_with_the_newest_stream_of_a_gate_and_not_with_an_older_one(three, client_to, until):
    scenario = three.scenario
    body = {"session": scenario.session, "waiting": []}
    async with client_to(three.urls[0]) as a, client_to(three.urls[1]) as b:
        request_id = await file_on(three, a)
        async with contextlib.AsyncExitStack() as newer:
            async with a.stream("POST", "/requests/events", json=body, timeout=30) as old:
                await anext(old.aiter_lines())
                second = await newer.enter_async_context(b.stream("POST", "/requests/events", json=body, timeout=30))
                await anext(second.aiter_lines())
            await until(lambda: not three.services[0].gates.sessions() and not three.services[0]._disconnects)
            assert scenario.waiting(request_id) == 1
        await until(lambda: scenario.waiting(request_id) == 0)


async def test_p4_a_rolling_restart_is_not_noticed_by_who_waits(three, tmp_path, gate_to, until, monkeypatch):
    def balanced(url: str, headers: dict[str, str], most: int) -> RoundRobin:
        return RoundRobin(three.urls, headers, most)

    monkeypatch.setattr("approvals.gate.client.Exchange", balanced)
    gate = gate_to(three.urls[0])
    log = tmp_path / "effects.log"
    with anyio.fail_after(60):
        async with Client(create(log, gate=gate)) as agent, asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(agent.call_tool("refund_order", {"order_id": n})) for n in range(5)]
            await until(lambda: len(three.scenario.rows("SELECT id FROM request")) == 5)
            ids = [row for (row,) in three.scenario.rows("SELECT id FROM request")]
            for number, request_id in enumerate(ids[:3]):
                await three.restart(number)
                await three.decide((number + 1) % 3, request_id)
            for request_id in ids[3:]:
                await three.decide(2, request_id)
    assert not any(call.result().is_error for call in calls)
    assert len(log.read_text().splitlines()) == 5


async def test_p4_every_replica_tidies_and_one_of_them_says_so(three):
    scenario = three.scenario
    filed = scenario.file()
    scenario.clock.forward(4000)
    await asyncio.gather(*(service.write(service.expiry.sweep) for service in three.services for _ in range(4)))
    await asyncio.gather(*(service.link_events() for service in three.services for _ in range(4)))
    assert scenario.events(filed.request_id) == ["request.filed", "request.expired"]
    await three.services[0].link_events()  # who found another at it left the rest to the next look
    found = scenario.read(lambda reader: chain.verify(reader, scenario.service.keyring.audit))
    assert (found.finding, found.unlinked) == (None, 0)


def test_p8_an_event_that_is_committed_after_a_later_one_is_linked_all_the_same(scenario):
    """Numbers are given before the commit: a lower one may become visible last."""
    begun, later = threading.Event(), threading.Event()

    def slow(tx):
        tx.record("test.slow", "test", "subject")
        tx.one(replicas._CHANGED, after=0, last="")  # sends it
        begun.set()
        assert later.wait(10)

    thread = threading.Thread(target=lambda: scenario.write(slow))
    thread.start()
    assert begun.wait(10)
    scenario.write(lambda tx: tx.record("test.quick", "test", "subject"))
    key = scenario.service.keyring.audit
    while scenario.write(lambda tx: chain.link(tx, key)):
        pass
    later.set()
    thread.join()
    assert scenario.read(lambda reader: chain.verify(reader, key)).unlinked == 1
    scenario.write(lambda tx: chain.link(tx, key))
    found = scenario.read(lambda reader: chain.verify(reader, key))
    assert (found.finding, found.unlinked) == (None, 0)
    assert scenario.events("subject") == ["test.slow", "test.quick"]


def test_p1_whoever_waited_for_a_lock_decides_as_of_afterwards(scenario):
    """A decision that was sent in time, and had its turn too late, finds the request expired."""
    filed = scenario.file()
    held, release = threading.Event(), threading.Event()
    outcome = []

    def holder(tx):
        scenario.service.transitions.lock(tx, filed.request_id)
        held.set()
        assert release.wait(10)

    def late():
        try:
            scenario.decide(filed.request_id)
        except NotPossible as error:
            outcome.append(error.extra["state"])

    first = threading.Thread(target=lambda: scenario.write(holder))
    first.start()
    assert held.wait(10)
    second = threading.Thread(target=late)
    second.start()
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while scenario.rows(blocked) != [(1,)]:
        pass
    scenario.clock.forward(4000)
    release.set()
    first.join()
    second.join()
    assert outcome == [State.EXPIRED]


@pytest.mark.slow
def test_replicas_that_start_at_once_migrate_once(postgres):
    command = [sys.executable, "-m", "approvals_web.cli", "migrate"]
    with postgres.database(migrated=False) as url:
        here = os.environ | {"APPROVALS_DATABASE_URL": url}
        started = [subprocess.Popen(command, env=here, stdout=subprocess.PIPE) for _ in range(4)]
        said = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert all(b"is at the newest schema" in words for words in said)


async def test_p1_a_freeze_made_at_one_replica_reaches_gates_of_another_and_binds_every_claim(three, client_to):
    scenario = three.scenario
    async with client_to(three.urls[0]) as a, client_to(three.urls[1]) as b:
        request_id = await file_on(three, a)
        await three.decide(2, request_id)
        waiting = {"session": scenario.session, "waiting": [request_id]}
        async with b.stream("POST", "/requests/events", json=waiting, timeout=30) as stream:
            lines = stream.aiter_lines()
            with anyio.fail_after(4):  # sooner than the next lease
                await next_event(lines, "approved")
                service = three.services[2]
                await service.write(
                    lambda tx: service.freezes.make(tx, Operator("ops"), "all", "", "refuse", "bad deploy")
                )
                heard = set()
                async for line in lines:
                    heard |= {word for word in ('"words":"All writes are frozen', '"state":"revoked"') if word in line}
                    if len(heard) == 2:
                        break
        refused = await a.post(
            "/requests", json=scenario.filing({"order_id": 9, "amount_cents": 1}).model_dump(mode="json")
        )
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:mcp-approvals:problem:frozen")
