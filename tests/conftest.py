"""What the tests stand on: a migrated database, a service over it, a clock that only tests move, and a filed call."""

import asyncio
import contextlib
import functools
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import httpcore2
import httpx2
import pytest
from chromium import chromium
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from playwright.async_api import Browser
from postgres import PostgresServer
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from serving import SECRET, serving
from sqlalchemy import text

from approvals import Gate, GateSettings, ids
from approvals.instant import SECOND, Clock, Instant
from approvals.protocol.messages import (
    WIRE_HEADER,
    WIRE_VERSION,
    Claim,
    Decision,
    Filing,
    Outcome,
    RequestStatus,
    Verification,
)
from approvals.protocol.registration import Annotations, Assurance, Registered, Registration, ToolDefinition
from approvals.service.audit import chain
from approvals.service.history import queries
from approvals.service.identity.servers import agent_named, installation_named
from approvals.service.identity.users import Person, require_user
from approvals.service.keyring import Keyring
from approvals.service.realtime.bus import EVERYTHING
from approvals.service.requests import presence
from approvals.service.requests.callers import assert_agent
from approvals.service.requests.contents import content_of
from approvals.service.requests.decisions import Seen
from approvals.service.requests.filing import Filed
from approvals.service.requests.rate_limits import Allowance
from approvals.service.requests.settlements import Truth
from approvals.service.service import Service
from approvals.service.storage import migrate
from approvals.service.storage.database import Reader, Transaction, database_at
from approvals.service.storage.statements import Row, Statement
from approvals.service.tools.registrations import examine
from approvals.service.verification.verify import Verified, verify
from approvals_web.app import create_app
from approvals_web.auth import passwords

T = TypeVar("T")
HERE = "http://127.0.0.1:8700"
UNLIMITED = Allowance(None, None)
"""Most tests are about other things than how much an agent may ask."""


httpcore2.default_ssl_context = functools.cache(httpcore2.default_ssl_context)
"""Every client reads all certificates of the machine: 50 ms, hundreds of times."""

passwords.HASHER = PasswordHash([Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)])
"""A password that is as dear to check as it should be costs 0.1 s; `serve` is told nothing of this."""

settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
"""How long an example takes says how busy the machine is."""

ON_BOTH = {"test_matrix", "test_model", "test_races", "test_schema", "test_word_index"}
"""The modules that `make test` runs on PostgreSQL, too; `make check` runs the others as well."""
BEHIND_HTTP = {
    "test_browser",
    "test_browser_network",
    "test_browser_card",
    "test_browser_tabs",
    "test_browser_values",
    "test_bursts",
    "test_card_of_a_run",
    "test_effects",
    "test_clients",
    "test_gate_faults",
    "test_gated_server",
    "test_grant_pages",
    "test_honest_answers",
    "test_hosts",
    "test_hostile_calls",
    "test_lever_pages",
    "test_lost_messages",
    "test_manners",
    "test_matrix_of_authority",
    "test_oidc",
    "test_oidc_certified",
    "test_pages",
    "test_rounds",
    "test_same_as_without",
    "test_secrets_stay",
    "test_service_away",
    "test_transports",
    "test_typescript",
    "test_what_runs",
    "test_who_decides",
    "test_who_sees_what",
}
"""What a gate, its clients and browsers do: they cannot see which database the service has."""
GENERATED = {"test_openapi"}
"""What is sent reaches for the edges of the databases: NUL, wide numbers."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    on_postgres = [item for item in items if _database(item) == "postgres"]
    for item in on_postgres:
        if item.path.stem not in ON_BOTH:
            item.add_marker(pytest.mark.slow)
    left_out = {item for item in on_postgres if item.path.stem in BEHIND_HTTP} | set(_more_of_a_page(on_postgres))
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def _more_of_a_page(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """All cases but the first of a page's or a route's test: the statements are the same, whatever is sent to it."""
    seen = set()
    for item in items:
        test = item.path, getattr(item, "originalname", item.name)
        if test in seen and item.path.parent.name == "web" and item.path.stem not in ON_BOTH | GENERATED:
            yield item
        seen.add(test)


def _database(item: pytest.Item) -> str | None:
    of = getattr(item, "callspec", None)
    return None if of is None else of.params.get("database_url")


def pytest_collection_finish() -> None:
    """Let a test's garbage be found by looking at what that test made: none of it grows old (`nothing_left_open`)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 1_000_000, 1_000_000)


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """What a test leaves open fails that test, and none that comes after: garbage warns where it is collected. This is
    the first fixture, so all others and the event loop are gone by then. All that is alive costs 0.2 s to look at."""
    yield
    gc.collect(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class HandClock(Clock):
    """A clock that tests move. `wall` may be set back; `ticks` never."""

    def __init__(self) -> None:
        self.at: Instant = 1_800_000_000 * SECOND
        self.ticked: Instant = 0
        super().__init__(lambda: self.at, lambda: self.ticked)

    def forward(self, seconds: float) -> None:
        self.at += round(seconds * SECOND)
        self.ticked += round(seconds * SECOND)

    def set_back(self, seconds: float) -> None:
        self.at -= round(seconds * SECOND)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file at the newest schema, to copy."""
    path = tmp_path_factory.mktemp("schema") / "migrated.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL, shared by all workers; pytest's own folders are closed to the user that it runs as."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    server = PostgresServer(Path(tempfile.gettempdir()) / f"approvals-tests-{run[:12]}")
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh, migrated database of each kind."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


MEMORY = Path("/dev/shm")  # noqa: S108 — a folder of its own in it


@pytest.fixture
def sqlite_url(migrated: Path, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database file. In memory where there is room: what a process leaves behind when it is killed
    is the same there, and thousands of synced commits take no time."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2**30
    with tempfile.TemporaryDirectory(prefix="approvals-test-", dir=MEMORY if roomy else tmp_path) as folder:
        path = Path(folder) / "approvals.db"
        shutil.copyfile(migrated, path)
        yield f"sqlite:///{path}"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def service(database_url: str, clock: HandClock) -> Iterator[Service]:
    """A service whose transactions run where they are called: `house.write`."""
    service = Service(database_at(database_url, clock), Keyring(SECRET), "http://127.0.0.1:8700", allowance=UNLIMITED)
    yield service
    service.database.stop()


REFUND = ToolDefinition(
    name="refund_order",
    description="Refund an order.",
    input_schema={
        "type": "object",
        "properties": {"order_id": {"type": "integer"}, "amount_cents": {"type": "integer"}},
    },
    annotations=Annotations(),
    summary="Refund {amount_cents:usd} of order {order_id}",
)
LOOK = ToolDefinition(
    name="get_order", input_schema={"type": "object", "properties": {}}, annotations=Annotations(read_only=True)
)
ARGUMENTS: dict[str, Any] = {"order_id": 1042, "amount_cents": 12000}


@dataclass
class House:
    """One server, its installation, an agent and two reviewers; and the moves of a call, one line each."""

    service: Service
    clock: HandClock
    url: str
    keys: dict[str, str] = field(default_factory=dict)
    session: str = "session-0001"
    meddled: bool = False
    """Whether a test changed the database behind the service's back."""

    def write(self, work: Callable[[Transaction], T]) -> T:
        return self.service.database.write_now(work)

    def read(self, work: Callable[[Reader], T]) -> T:
        return self.service.read_now(work)

    def build(self) -> None:
        self.write(self.service.check_key)
        self.add_server("shop")
        self.keys["agent"] = self.write(lambda tx: self.service.principals.add_agent(tx, "test", "scout"))
        for name in ("ann", "bob"):
            self.add_user(name)
        self.register()

    def add_server(
        self, name: str, label: str = "main", *, trusted: bool = True, assurance: Assurance = Assurance.ENFORCED
    ) -> str:
        self.keys[name if label == "main" else label] = key = self.write(
            lambda tx: self.service.principals.add_server(
                tx, "test", name, label=label, assurance=assurance, trusted=trusted
            )
        )
        return key

    def add_user(self, name: str, roles: str = "admin reviewer") -> str:
        return self.write(
            lambda tx: self.service.people.add(
                tx, "test", subject=name, name=name.title(), roles=roles, password_hash=None
            )
        )

    def installation(self, server: str = "shop", label: str = "main") -> Row:
        return self.read(lambda reader: installation_named(reader, server, label))

    def person(self, name: str = "ann") -> Person:
        user = self.read(lambda reader: require_user(reader, name))
        return Person(user.id, user.name, frozenset(user.roles.split()), "web", "password", self.clock.now())

    def register(
        self, *tools: ToolDefinition, session: str | None = None, installation: Row | None = None, code: str = ""
    ) -> Registered:
        served = tools or (REFUND, LOOK)
        codes = {tool.name: code for tool in served if code}
        registration = Registration(session=session or self.session, tools=served, code_versions=codes)
        at = installation or self.installation()
        return self.take(registration, at)

    def take(self, registration: Registration, at: Row) -> Registered:
        """As the service's own `register`."""
        part, registry = examine(registration), self.service.registry
        self.write(lambda tx: self.service.registrations.take(tx, at, part))
        return self.read(lambda reader: registry.registered(reader, at, registration.session, refused=part.refused))

    def assertion(self, key: str | None = None, installation: Row | None = None) -> str:
        at = installation or self.installation()
        return self.read(
            lambda reader: assert_agent(reader, self.service.keyring, at, key or self.keys["agent"])
        ).assertion

    def filing(self, arguments: dict[str, Any] | None = None, **changes: Any) -> Filing:
        session = changes.pop("session", self.session)
        tool = changes.pop("tool", "refund_order")
        at = changes.pop("installation", None) or self.installation()
        standing = self.read(lambda reader: self.service.registry.standing(reader, at, session, tool))
        return Filing(
            **{
                "session": session,
                "call_id": ids.new(self.clock.now()),
                "tool": tool,
                "tool_hash": standing.tool_hash,
                "arguments": ARGUMENTS if arguments is None else arguments,
                "assertion": self.assertion(installation=at),
                "reason": "the parcel is lost",
            }
            | changes
        )

    def file(self, filing: Filing | None = None, installation: Row | None = None) -> Filed:
        at = installation or self.installation()
        content = content_of(filing or self.filing())
        return self.write(lambda tx: self.service.filings.file(tx, at, content))

    def row(self, request_id: str) -> Row:
        return self.read(lambda reader: self.service.statuses.row(reader, request_id))

    def status(self, request_id: str) -> RequestStatus:
        return self.read(lambda reader: self.service.statuses.read(reader, request_id))

    def decide(self, request_id: str, verdict: str = "approve", *, who: str = "ann", **changes: Any) -> Row:
        row, person = self.row(request_id), self.person(who)
        decision = Decision(
            **{"verdict": verdict, "comment": "", "content_version": row.content_version, "digest": row.digest}
            | changes
        )
        return self.write(lambda tx: self.service.decisions.decide(tx, request_id, person, decision, Seen()))

    def tool(self, **changes: Any) -> ToolDefinition:
        """The refund tool, redefined."""
        return REFUND.model_copy(update=changes)

    def accept(self, name: str, tool_hash: str, at: str = "") -> None:
        self.write(lambda tx: self.service.registry.accept(tx, "shop", name, tool_hash, self.person().actor, at))

    def settle(self, request_id: str, truth: Truth, note: str = "looked it up", *, who: str = "ann") -> Row:
        person = self.person(who)
        return self.write(lambda tx: self.service.settlements.settle(tx, request_id, person, truth, note))

    def withdraw(self, request_id: str) -> None:
        agent = self.read(lambda reader: agent_named(reader, "scout"))
        self.write(lambda tx: self.service.withdrawals.by_agent(tx, request_id, agent, ""))

    def need(self, request_id: str, *, quorum: int) -> None:
        """As if the rule had asked for more people."""
        self.run("UPDATE request SET quorum = :quorum WHERE id = :id", quorum=quorum, id=request_id)

    def claim(self, request_id: str, claim_id: str = "claim-0001", **changes: Any) -> Exception | None:
        """What the service answers: None when the claim holds."""
        row = self.row(request_id)
        at = changes.pop("installation", None) or self.installation()
        claim = Claim(
            **{"claim_id": claim_id, "session": self.session, "tool_hash": row.tool_hash, "digest": row.digest}
            | changes
        )
        return self.write(lambda tx: self.service.claims.claim(tx, at, request_id, claim))

    def report(self, request_id: str, outcome: str = "succeeded", claim_id: str = "claim-0001", **more: Any) -> None:
        at = self.installation()
        body = Outcome(**{"claim_id": claim_id, "outcome": outcome, "result": "refunded"} | more)
        self.write(lambda tx: self.service.claims.report(tx, at, request_id, body))

    def waiting(self, request_id: str) -> int:
        """How many callers are known to wait."""
        return self.read(lambda reader: presence.waiting(reader, request_id))

    def lose(self, filing: Filing | None = None) -> str:
        """A request that was approved and claimed, and whose gate died; long enough ago for anybody to say so."""
        filed = self.file(filing)
        self.decide(filed.request_id)
        self.claim(filed.request_id, f"claim-{filed.request_id}"[:60])
        self.clock.forward(91)
        self.sweep()
        return filed.request_id

    def verify(
        self, request_id: str, outcome: str = "succeeded", note: str = "", *, session: str = "", **at: Row
    ) -> None:
        """What a gate reports of its tool's own check."""
        installation = at.get("installation") or self.installation()
        found = Verification(session=session or self.session, outcome=outcome, note=note)
        self.write(lambda tx: self.service.verifications.verify(tx, installation, request_id, found))

    def sweep(self) -> int:
        return self.write(self.service.expiry.sweep)

    def revoke_agent(self) -> None:
        agent = self.read(lambda reader: agent_named(reader, "scout"))
        self.write(lambda tx: self.service.principals.revoke(tx, "test", "agent", agent))

    def events(self, subject: str) -> list[str]:
        """The kinds of audit events about a subject, in order."""
        rows = self.rows("SELECT kind FROM audit_event WHERE subject = :subject ORDER BY id", subject=subject)
        return [kind for (kind,) in rows]

    def run(self, sql: str, **parameters: Any) -> None:
        """Change the database behind the service's back."""
        self.meddled = True
        self.write(lambda tx: tx.execute(Statement(text(sql)), **parameters))

    def tamper(self, *statements: str) -> None:
        """Change the record as somebody who owns the database could: without triggers and foreign keys."""
        self.meddled = True
        with contextlib.closing(self.service.database.connect()) as connection:
            if self.service.database.shared:
                connection.execute("SET session_replication_role = replica")
            else:
                connection.execute("PRAGMA foreign_keys = OFF")
                self.drop_triggers(connection)
            for statement in statements:
                connection.execute(statement)

    @staticmethod
    def drop_triggers(connection: Any) -> None:
        """SQLite's, that keep records append-only."""
        found = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%\\_no\\_%' ESCAPE '\\'"
        for (trigger,) in connection.execute(found).fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")

    def verify_record(self, head: chain.Head | None = None) -> Verified:
        """As `approvals audit verify`, with all linked."""
        key = self.service.keyring.audit
        while self.write(lambda tx: chain.link(tx, key)):
            pass
        return verify(self.service.database, key, head)

    def check_record(self) -> None:
        """Whatever honestly happened is told by its events (P8)."""
        found = self.verify_record()
        assert found.intact, found.faults

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Look into the database."""
        return [tuple(row.values()) for row in self.read(lambda reader: reader.all(Statement(text(sql)), **parameters))]


@pytest.fixture(scope="session")
def built(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A database file in which a house is built, to copy, and the house's keys."""
    path = tmp_path_factory.mktemp("built") / "built.db"
    shutil.copyfile(migrated, path)
    clock, url = HandClock(), f"sqlite:///{path}"
    house = House(Service(database_at(url, clock), Keyring(SECRET), HERE, allowance=UNLIMITED), clock, url)
    house.build()
    house.service.database.stop()
    return path, house.keys


@pytest.fixture
def house(service: Service, clock: HandClock, database_url: str, request: pytest.FixtureRequest) -> Iterator[House]:
    house = House(service, clock, database_url)
    if service.database.shared:
        house.build()
    else:
        path, keys = request.getfixturevalue("built")
        shutil.copyfile(path, database_url.removeprefix("sqlite:///"))
        house.keys |= keys
    yield house
    if not house.meddled:
        house.check_record()
    house.service.database.stop()


@pytest.fixture
def open_house() -> Callable[..., House]:
    """Makes a house over any database, not built yet; several over one database share a clock and keys."""

    def make(url: str, clock: HandClock | None = None, keys: dict[str, str] | None = None, **options: Any) -> House:
        clock = clock or HandClock()
        service = Service(database_at(url, clock), Keyring(SECRET), HERE, **{"allowance": UNLIMITED} | options)
        return House(service, clock, url, {} if keys is None else keys)

    return make


@dataclass
class Served:
    """The service behind a real HTTP port, in the test's own event loop."""

    url: str
    house: House
    app: FastAPI | None = None

    def client(self, key: str = "shop", **headers: str) -> httpx2.AsyncClient:
        """A client with one of the house's keys, speaking the wire's version."""
        bearer = {"Authorization": f"Bearer {self.house.keys.get(key, key)}", WIRE_HEADER: str(WIRE_VERSION)}
        return httpx2.AsyncClient(base_url=f"{self.url}/api/v1", headers=bearer | headers, trust_env=False)

    def gate(self, server: str = "shop", *, agent: str | None = "agent", **options: Any) -> Gate:
        """A gate to this service, with an agent's key as over stdio."""
        keys = self.house.keys
        return Gate(server, GateSettings(self.url, keys[server], keys[agent] if agent else None), **options)

    async def pending(self) -> Row:
        """The one pending request, once it is there."""
        with anyio.fail_after(10):
            while True:
                rows = self.house.read(lambda reader: queries.page(reader, state="pending"))
                if rows:
                    assert len(rows) == 1
                    return rows[0]
                await self._filed()

    async def decide(self, verdict: str = "approve", *, who: str = "ann", **changes: Any) -> Row:
        """Decide the pending request, as the pages do."""
        row, person = await self.pending(), self.house.person(who)
        given = {"verdict": verdict, "comment": "", "content_version": row.content_version, "digest": row.digest}
        decision = Decision(**given | changes)
        return await self.house.service.write(
            lambda tx: self.house.service.decisions.decide(tx, row.id, person, decision, Seen())
        )

    async def _filed(self) -> None:
        """Until any request changes."""
        changed = asyncio.Event()

        def listener(_: str) -> None:
            changed.set()

        self.house.service.bus.subscribe(listener, [EVERYTHING])
        try:
            with anyio.move_on_after(0.2):
                await changed.wait()
        finally:
            self.house.service.bus.unsubscribe(listener, [EVERYTHING])


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits for a condition that other tasks of this event loop bring about."""

    async def wait(condition: Callable[[], bool]) -> None:
        with anyio.fail_after(10):
            while not condition():
                await anyio.lowlevel.checkpoint()

    return wait


@pytest.fixture
def serve(house: House) -> Callable[[str], contextlib.AbstractAsyncContextManager[Served]]:
    """The service over HTTP, for as long as a test likes; again on the same port when given the URL."""

    @contextlib.asynccontextmanager
    async def run(url: str = "") -> AsyncIterator[Served]:
        fresh = Service(database_at(house.url, house.clock), Keyring(SECRET), url or HERE, allowance=UNLIMITED)
        house.service.database.stop()
        house.service = fresh
        app = create_app(fresh)
        async with serving(fresh, int(url.rpartition(":")[2]) if url else 0, app) as where:
            yield Served(where, house, app)

    return run  # type: ignore[return-value]


@pytest.fixture
async def served(serve: Callable[..., contextlib.AbstractAsyncContextManager[Served]]) -> AsyncIterator[Served]:
    async with serve() as running:
        yield running


@pytest.fixture
def client_to(house: House) -> Callable[[str], httpx2.AsyncClient]:
    """A client of any replica, with the shop's key."""
    return lambda url: Served(url, house).client()


@pytest.fixture
def gate_to(house: House) -> Callable[[str], Gate]:
    """A gate to any replica."""
    return lambda url: Served(url, house).gate()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running
