"""One server, its installation, an agent and two reviewers; and the moves of a call, one line each."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import text

from approvals import ids
from approvals.protocol.messages import (
    Claim,
    Decision,
    Filing,
    Outcome,
    RequestStatus,
    Verification,
)
from approvals.protocol.registration import Annotations, Assurance, Registered, Registration, ToolDefinition
from approvals.service.audit import chain
from approvals.service.identity import roles as user_roles
from approvals.service.identity import servers, users
from approvals.service.identity.admins import Operator
from approvals.service.identity.servers import agent_named, installation_named
from approvals.service.identity.users import Person, require_user
from approvals.service.requests import presence
from approvals.service.requests.callers import assert_agent
from approvals.service.requests.contents import content_of
from approvals.service.requests.decisions import Seen
from approvals.service.requests.filing import Filed
from approvals.service.requests.rate_limits import Allowance
from approvals.service.requests.settlements import Truth
from approvals.service.service import Service
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Row, Statement
from approvals.service.tools.registrations import examine
from approvals.service.verification.verify import Verified, verify
from support.hand_clock import HandClock

T = TypeVar("T")

HERE = "http://127.0.0.1:8700"

UNLIMITED = Allowance(None, None)
"""Most tests are about other things than how much an agent may ask."""

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
class Scenario:
    """One server, its installation, an agent and two reviewers; and the moves of a call, one line each."""

    service: Service
    clock: HandClock
    url: str
    keys: dict[str, str] = field(default_factory=dict)
    session: str = "session-0001"
    tampered_with: bool = False
    """Whether a test changed the database behind the service's back."""

    def write(self, work: Callable[[Transaction], T]) -> T:
        return self.service.database.write_now(work)

    def read(self, work: Callable[[Reader], T]) -> T:
        return self.service.read_now(work)

    def build(self) -> None:
        self.write(self.service.check_key)
        self.add_server("shop")
        self.keys["agent"] = self.write(lambda tx: servers.add_agent(tx, Operator("test"), "scout"))
        for name in ("ann", "bob"):
            self.add_user(name)
        self.register()

    def add_server(
        self, name: str, label: str = "main", *, trusted: bool = True, assurance: Assurance = Assurance.ENFORCED
    ) -> str:
        self.keys[name if label == "main" else label] = key = self.write(
            lambda tx: servers.add_server(tx, Operator("test"), name, label=label, assurance=assurance, trusted=trusted)
        )
        return key

    def add_user(self, name: str, roles: str = "admin reviewer") -> str:
        return self.write(
            lambda tx: users.add(tx, "test", subject=name, name=name.title(), roles=roles, password_hash=None)
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
        self.write(lambda tx: self.service.offers.accept(tx, "shop", name, tool_hash, self.person(), at))

    def settle(self, request_id: str, truth: Truth, note: str = "looked it up", *, who: str = "ann") -> Row:
        person = self.person(who)
        return self.write(lambda tx: self.service.settlements.settle(tx, request_id, person, truth, note))

    def withdraw(self, request_id: str) -> None:
        agent = self.read(lambda reader: agent_named(reader, "scout"))
        self.write(lambda tx: self.service.withdrawals.by_agent(tx, request_id, agent, ""))

    def need(self, request_id: str, *, quorum: int) -> None:
        """As if the rule had asked for more people."""
        self.run("UPDATE request SET quorum = :quorum WHERE id = :id", quorum=quorum, id=request_id)

    def rate(self, request_id: str, risk: str) -> None:
        """As if the rule had said so of it."""
        self.run("UPDATE request SET risk = :risk WHERE id = :id", risk=risk, id=request_id)

    def set_roles(self, name: str, roles: str) -> None:
        user = self.read(lambda reader: require_user(reader, name))
        self.write(lambda tx: user_roles.set_roles(tx, user, roles, Operator("test")))

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
        self.write(lambda tx: servers.revoke(tx, Operator("test"), "agent", agent))

    def events(self, subject: str) -> list[str]:
        """The kinds of audit events about a subject, in order."""
        rows = self.rows("SELECT kind FROM audit_event WHERE subject = :subject ORDER BY id", subject=subject)
        return [kind for (kind,) in rows]

    def run(self, sql: str, **parameters: Any) -> None:
        """Change the database behind the service's back."""
        self.tampered_with = True
        self.write(lambda tx: tx.execute(Statement(text(sql)), **parameters))

    def tamper(self, *statements: str) -> None:
        """Change the record as somebody who owns the database could: without triggers and foreign keys."""
        self.tampered_with = True
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
