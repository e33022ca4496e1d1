"""A crowd over four gates and three replicas on PostgreSQL, while these are killed at random and come back: identical
calls have one effect, different ones one each, and what a killed gate was running is unknown (P3, P4)."""

import contextlib
import random
import threading
from collections import Counter

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from sqlalchemy import text

from approvals.errors import ApprovalsError
from approvals.protocol.messages import Decision
from approvals.protocol.registration import Assurance
from approvals.service.history import queries
from approvals.service.identity import servers, users
from approvals.service.identity.admins import Operator
from approvals.service.identity.users import Person, require_user
from approvals.service.keyring import Keyring
from approvals.service.requests.decisions import Seen
from approvals.service.service import Service
from approvals.service.storage.database import database_at
from approvals.service.storage.statements import Statement
from support import counting_server
from support.fault_proxy import HttpProxy, tcp
from support.processes import Installed, free_port

SECRET = "a secret key for tests, long enough to count"
SEED = 20
CROWD = 200
GATES, REPLICAS, KILLS = 4, 3, 6
SAME = 0
"""The order that the identical calls are about; the different ones are about the orders from 1."""
RUN_OUT = Statement(
    text(
        "UPDATE execution SET lease_until = lease_until - 60000000 WHERE finished_at IS NULL"
        " AND session_id IN (SELECT id FROM gate_session WHERE gone_at IS NOT NULL)"
    )
)
AGAIN = ("STILL RUNNING", "NOT EXECUTED")


class Town:
    """Replicas, gates with a way to each replica, and reviewers who approve all along."""

    def __init__(self, folder, url):
        self.product = Installed(folder)
        self.random = random.Random(SEED)  # noqa: S311 — which process dies
        self.service = Service(database_at(url), Keyring(SECRET), self.product.url)
        self.environment = {"APPROVALS_DATABASE_URL": url, "APPROVALS_SECRET_KEY": SECRET}
        self.keys, self.people = self.write(self.found)
        self.replica_ports = [free_port() for _ in range(REPLICAS)]
        self.gate_ports = [free_port() for _ in range(GATES)]
        self.roads = []
        for number in range(GATES):
            order = self.replica_ports[number % REPLICAS :] + self.replica_ports[: number % REPLICAS]
            self.roads.append(HttpProxy(*(tcp(port) for port in order)))
        self.replicas = [self.start_replica(number) for number in range(REPLICAS)]
        for replica in self.replicas:
            replica.line("Review queue:")
        self.gates = [self.start_gate(number) for number in range(GATES)]
        self.over = threading.Event()
        self.reviewers = [threading.Thread(target=self.review, args=(name,)) for name in self.people]
        for reviewer in self.reviewers:
            reviewer.start()

    def write(self, work):
        return self.service.database.write_now(work)

    def found(self, tx):
        self.service.check_key(tx)
        facts = {"label": "main", "assurance": Assurance.ENFORCED, "trusted": True}
        keys = {"server": servers.add_server(tx, Operator("test"), "shop", **facts)}
        keys["agent"] = servers.add_agent(tx, Operator("test"), "scout")
        for name in ("ann", "bob"):
            users.add(tx, "test", subject=name, name=name, roles="reviewer", password_hash=None)
        return keys, {name: require_user(tx, name).id for name in ("ann", "bob")}

    def start_replica(self, number):
        port = str(self.replica_ports[number])
        return self.product.start(("-m", "approvals_web.cli", "serve", "--port", port), **self.environment)

    def start_gate(self, number):
        return self.product.start(
            (counting_server.__file__, str(self.gate_ports[number])),
            APPROVALS_URL=f"http://127.0.0.1:{self.roads[number].port}",
            APPROVALS_SERVER_KEY=self.keys["server"],
            EFFECTS=str(self.product.folder / "effects.log"),
        )

    def review(self, name):
        person = Person(self.people[name], name, frozenset({"reviewer"}), "web", "password", 0)
        while not self.over.wait(0.05):
            for row in self.service.read_now(lambda reader: queries.page(reader, state="pending", limit=20)):
                verdict = Decision(verdict="approve", content_version=row.content_version, digest=row.digest)
                with contextlib.suppress(ApprovalsError):  # the other one was faster
                    self.write(self.deciding(row.id, person, verdict))

    def deciding(self, request_id, person, verdict):
        return lambda tx: self.service.decisions.decide(tx, request_id, person, verdict, Seen())

    async def kill_at_random(self):
        """Gates and replicas in turn, one replica at a time."""
        for turn in range(KILLS):
            await anyio.sleep(self.random.uniform(0.5, 1.5))
            if turn % 2:
                number = self.random.randrange(REPLICAS)
                self.replicas[number].kill()
                self.replicas[number] = self.start_replica(number)
                await anyio.to_thread.run_sync(self.replicas[number].line, "Review queue:")
            else:
                number = self.random.randrange(GATES)
                self.gates[number].kill()
                self.gates[number] = self.start_gate(number)
        while True:  # as if a minute passed, for whatever a killed gate still seems to run
            await anyio.sleep(2)
            self.write(lambda tx: tx.execute(RUN_OUT))

    async def agents(self, number, orders, answers):
        """One MCP client of this gate, connected again when it breaks; each call again while it is told to."""
        left = list(orders)

        async def call(client, order):
            while True:
                answer = await client.call_tool("slow_write", {"order_id": order})
                words = "\n".join(block.text for block in answer.content)
                if not words.startswith(AGAIN):
                    left.remove(order)
                    answers.append((order, words))
                    return
                await anyio.sleep(0.2)

        url = f"http://127.0.0.1:{self.gate_ports[number]}/mcp"
        headers = {"Authorization": f"Bearer {self.keys['agent']}"}
        while left:
            with contextlib.suppress(OSError, httpx2.HTTPError, BaseExceptionGroup):
                async with (
                    httpx2.AsyncClient(
                        headers=headers, timeout=30, trust_env=False, limits=httpx2.Limits(max_connections=None)
                    ) as http,
                    Client(streamable_http_client(url, http_client=http)) as client,
                    anyio.create_task_group() as calls,
                ):
                    for order in tuple(left):
                        calls.start_soon(call, client, order)
            await anyio.sleep(0.1)

    def rows(self, sql):
        found = self.service.read_now(lambda reader: reader.all(Statement(text(sql))))
        return [tuple(row.values()) for row in found]

    def close(self):
        self.over.set()
        for reviewer in self.reviewers:
            reviewer.join()
        self.product.close()
        for road in self.roads:
            road.close()
        self.service.database.stop()


@pytest.fixture
def town(postgres, tmp_path):
    with postgres.database() as url:
        made = Town(tmp_path, url)
        yield made
        made.close()


@pytest.mark.slow
async def test_p3_p4_a_crowd_over_killed_replicas_and_gates_has_each_effect_once(town):
    answers = []
    share = CROWD // GATES
    with anyio.fail_after(240):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(town.kill_at_random)
            async with anyio.create_task_group() as agents:
                for number in range(GATES):
                    different = range(1 + number * share, 1 + (number + 1) * share)
                    agents.start_soon(town.agents, number, [*different, *[SAME] * share], answers)
            tasks.cancel_scope.cancel()

    assert len(answers) == 2 * CROWD
    done = Counter((town.product.folder / "effects.log").read_text().split("slow ")[1:])
    happened = Counter({int(order): times for order, times in done.items()})
    told = {
        order: {words.startswith("OUTCOME UNKNOWN") for at, words in answers if at == order} for order, _ in answers
    }
    unknown = {order for order, words in told.items() if words == {True}}
    assert all(len(words) == 1 for words in told.values()), "callers of one call are told the same"
    assert max(happened.values()) == 1, "nothing runs twice"
    missing = {order for order in range(CROWD + 1) if not happened[order]}
    assert missing <= unknown, "nothing is lost, but what is unknown"
    assert len(unknown) <= CROWD // 4

    states = Counter(state for (state,) in town.rows("SELECT state FROM request"))
    assert set(states) <= {"succeeded", "unknown", "not_executed", "revoked"}
    assert (states["succeeded"], states["unknown"]) == (CROWD + 1 - len(unknown), len(unknown))
    unapproved = (
        "SELECT e.id FROM execution e JOIN permission p ON p.id = e.permission_id LEFT JOIN decision d"
        " ON d.request_id = e.request_id AND d.digest = p.digest AND d.verdict = 'approve' WHERE d.id IS NULL"
    )
    assert town.rows(unapproved) == []
    assert "Intact" in town.product.cli("audit", "verify", **town.environment)
