"""What this process counts, and what it reads from the database when it is asked: for Prometheus.

Whoever reaches the port may read it, so no label names a tool, an argument or a person. Nothing here counts history:
gauges are read from what is open, and from the unlinked end of the record.
"""

from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from sqlalchemy import bindparam, func, or_, select

from approvals.instant import SECOND, Instant
from approvals.protocol.states import OPEN, State
from approvals.service.audit.log import SYSTEM
from approvals.service.controls import freezes
from approvals.service.notifications import outbox
from approvals.service.requests import presence
from approvals.service.requests.transitions import Moved
from approvals.service.storage.database import Database, Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import AuditEvent, AuditLink, table_of
from approvals.service.storage.tables.handles import requests

SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
LONG = (5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
UNLINKED_COUNTED = 10_000

_events = table_of(AuditEvent)
_links = table_of(AuditLink)

_OPEN = Statement(
    select(requests.c.state, requests.c.risk, func.count().label("n"))
    .where(or_(*(requests.c.state == state.value for state in sorted(OPEN))))
    .group_by(requests.c.state, requests.c.risk)
)
_OLDEST = Statement(
    select(requests.c.created_at).where(requests.c.state == State.PENDING.value).order_by(requests.c.id).limit(1)
)
_LAST_LINKED = Statement(select(_links.c.event_id).order_by(_links.c.seq.desc()).limit(1))
_tail = select(_events.c.at).where(_events.c.id > bindparam("after")).limit(UNLINKED_COUNTED).subquery()
_UNLINKED = Statement(select(func.count().label("n"), func.min(_tail.c.at).label("oldest")).select_from(_tail))


@dataclass(frozen=True)
class Standing:
    """What is open in the database now; the same on every process over it."""

    now: Instant
    open: list[Row]
    oldest: Instant | None
    callers: int
    unlinked: int
    oldest_unlinked: Instant | None
    freezes: int
    dead: int


def standing(reader: Reader) -> Standing:
    oldest, last = reader.one(_OLDEST), reader.one(_LAST_LINKED)
    tail = reader.one(_UNLINKED, after=last.event_id if last else 0) or Row(n=0, oldest=None)
    return Standing(
        reader.now,
        reader.all(_OPEN),
        oldest.created_at if oldest else None,
        presence.callers(reader),
        tail.n,
        tail.oldest,
        freezes.number(reader),
        outbox.dead(reader),
    )


class Metrics:
    """One process's, in a registry of its own."""

    def __init__(self, database: Database) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        kind = "postgresql" if database.shared else "sqlite"
        build = Gauge("approvals_build_info", "This version.", ["version", "database"], registry=registry)
        build.labels(version("mcp-approvals"), kind).set(1)

        self._up = Gauge("approvals_database_up", "Whether the database answered this scrape.", registry=registry)
        self._full = Gauge(
            "approvals_database_full", "1: there is no room to write in, and every write fails.", registry=registry
        )
        self._open = Gauge(
            "approvals_open_requests", "Requests that have not ended.", ["state", "risk"], registry=registry
        )
        self._oldest = Gauge(
            "approvals_oldest_pending_seconds", "How long the oldest pending request waits; 0: none.", registry=registry
        )
        self._callers = Gauge("approvals_waiting_callers", "Callers that wait for a request.", registry=registry)
        self._unlinked = Gauge(
            "approvals_audit_unlinked_events", "Audit events after the chain's end.", registry=registry
        )
        self._unlinked_age = Gauge(
            "approvals_audit_unlinked_seconds", "Age of the oldest event after the chain's end.", registry=registry
        )

        self._frozen = Gauge("approvals_frozen", "Freezes in force.", registry=registry)

        self._dead = Gauge("approvals_dead_letters", "Messages that could not be sent at all.", registry=registry)
        self.streams = Gauge("approvals_gate_streams", "Event streams of gates, of this process.", registry=registry)
        self.polls = Gauge(
            "approvals_long_polls", "Requests waited for by polling, of this process.", registry=registry
        )
        self._broken = Gauge(
            "approvals_policy_broken",
            "1: the policy file cannot be used, an older policy is in force.",
            registry=registry,
        )
        self._policy = Gauge("approvals_policy_info", "The policy in force.", ["hash"], registry=registry)
        self._moves = Counter("approvals_moves", "Moves of requests.", ["move"], registry=registry)
        self._decided = Histogram(
            "approvals_decision_seconds", "From filing to a person's decision.", buckets=LONG, registry=registry
        )
        self._executions = Counter("approvals_executions", "Executions that ended.", ["outcome"], registry=registry)
        seconds = Histogram(
            "approvals_database_seconds", "Transactions, with their wait.", ["kind"], buckets=SHORT, registry=registry
        )
        self.writing, self.reading = seconds.labels("write"), seconds.labels("read")
        retries = Counter("approvals_database_retries", "Transactions that were run again.", registry=registry)
        database.on_retry = retries.inc

    def moved(self, moved: Moved) -> None:
        """Count a move that is durable."""
        self._moves.labels(moved.move).inc()
        if moved.was == State.PENDING and moved.row.decided_at is not None and moved.actor != SYSTEM:
            self._decided.observe((moved.row.decided_at - moved.row.created_at) / SECOND)
        elif moved.was == State.EXECUTING:
            self._executions.labels(moved.row.state).inc()

    def policy(self, name: str, *, broken: bool) -> None:
        """The policy in force in this process, and whether its file says something that cannot be used."""
        self._broken.set(broken)
        self._policy.clear()
        self._policy.labels(name[:16]).set(1)

    def full(self, is_full: bool) -> None:
        """Whether the database has no room."""
        self._full.set(is_full)

    def text(self, now: Standing | None) -> bytes:
        """In Prometheus's text format; without a Standing, the database did not answer."""
        self._up.set(now is not None)
        self._open.clear()
        if now is not None:
            for row in now.open:
                self._open.labels(row.state, row.risk).set(row.n)
            self._oldest.set(_age(now, now.oldest))
            self._callers.set(now.callers)
            self._dead.set(now.dead)
            self._unlinked.set(now.unlinked)
            self._frozen.set(now.freezes)
            self._unlinked_age.set(_age(now, now.oldest_unlinked))
        return generate_latest(self.registry)


def _age(now: Standing, since: Instant | None) -> float:
    return 0 if since is None else max(0, now.now - since) / SECOND
