"""The approval service, put together: what the API, the pages and the commands all call."""

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import Callable, Iterator
from typing import TypeVar

from sqlalchemy import bindparam, select

from approvals import chain, credentials, people, presence
from approvals.audit import AuditLog
from approvals.bus import Bus
from approvals.calls import Calls
from approvals.claim import Claims
from approvals.claimed_identity import Admissions
from approvals.database import Database, Reader, Statement, Transaction
from approvals.decision import Decisions
from approvals.erasure import Erasures
from approvals.errors import ApprovalsError, Invalid, Unavailable
from approvals.expiry import Expiry, next_due
from approvals.filing import Filings
from approvals.gate_stream import GateStream, GateStreams
from approvals.keyring import Keyring
from approvals.metrics import Metrics, standing
from approvals.models import Meta
from approvals.people import People
from approvals.personal_tokens import PersonalTokens
from approvals.policy import DefaultPolicy, Policy
from approvals.policy_in_force import PolicyInForce
from approvals.principals import Principals
from approvals.registry import Registry
from approvals.replicas import POLL_SECONDS, Replicas
from approvals.restoration import Restorations
from approvals.retention import Retention
from approvals.roster import Roster
from approvals.settlement import Settlements
from approvals.sightings import Sightings
from approvals.status import Statuses
from approvals.transition import Moved, Transitions
from approvals.verification import Verifications
from approvals.web_sessions import WebSessions
from approvals.withdrawal import Withdrawals

T = TypeVar("T")
logger = logging.getLogger("approvals")

SWEEP_SECONDS = 60.0
FAR_LOOK = 20
"""Of so many looks for events to link (10 s), one looks as far back as any can come from."""

_meta = Meta.__table__  # type: ignore[attr-defined]
_FACT = Statement(select(_meta).where(_meta.c.name == bindparam("name")))


class Service:
    """Every part of the service over one database. Event loop only, but for `database.write_now`."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        public_url: str,
        *,
        policy: Policy | None = None,
        retention: Retention | None = None,
        emit_head: Callable[[chain.Head, int], None] | None = None,
    ) -> None:
        self.policy = PolicyInForce(policy or DefaultPolicy())
        self.database = database
        self.keyring = keyring
        self.public_url = public_url.rstrip("/")
        self.metrics = Metrics(database)
        self.bus = Bus()
        self.sightings = Sightings()
        self.gates = GateStreams(self.bus, self._stream_ended)
        self.replicas = Replicas(self.bus, self.gates)
        self._partings: set[asyncio.Task[None]] = set()
        self.log = AuditLog(keyring.audit, keyring.audit_id)
        self.people = People(self.log)
        self.roster = Roster(self.log)
        self.admissions = Admissions(self.log)
        self.web_sessions = WebSessions(self.log)
        self.personal_tokens = PersonalTokens(self.log)
        self.principals = Principals(self.log)
        self.statuses = Statuses(self.public_url)
        self.transitions = Transitions(self.log, self.bus.wake, self._moved)
        self.registry = Registry(self.log, self.policy, self.public_url)
        self.filings = Filings(self.transitions, self.registry, keyring, self.policy)
        self.decisions = Decisions(self.transitions)
        self.claims = Claims(self.transitions, self.registry, self.policy)
        self.settlements = Settlements(self.transitions)
        self.verifications = Verifications(self.transitions)
        self.withdrawals = Withdrawals(self.transitions)
        self.expiry = Expiry(self.transitions)
        self.restorations = Restorations(self.transitions)
        self.calls = Calls(self.log)
        self.erasures = Erasures(self.transitions, retention or Retention())
        self.stopping = asyncio.Event()
        """Set when the server begins to stop: streams and long-polls end."""
        self._look = asyncio.Event()
        """Set when there may be changes that nobody announced to this process."""
        self._halted: set[str] = set()
        self._emit_head = emit_head or (lambda head, at: None)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run one transaction; what it returns as an error is raised after the commit."""
        with self.metrics.writing.time():
            result = await self.database.write(work)
        if isinstance(result, ApprovalsError):
            raise result
        return result

    async def read(self, work: Callable[[Reader], T]) -> T:
        """Run a short, indexed read."""
        with self.metrics.reading.time():
            return await self.database.read(work)

    async def measured(self) -> bytes:
        """What /metrics says. It answers without the database, too."""
        try:
            now = await self.read(standing)
        except Unavailable:
            now = None
        self.metrics.streams.set(self.gates.number())
        return self.metrics.text(now)

    def read_now(self, work: Callable[[Reader], T]) -> T:
        """As `read`, from a thread."""
        return self.database.read_now(work)

    def check_key(self, tx: Transaction) -> None:
        """Raises Invalid when the database belongs to another secret key."""
        known = self.known_key(tx)
        if known is None:
            tx.insert(Meta, name="audit_key_id", value=self.keyring.audit_id)
        elif not secrets.compare_digest(known, self.keyring.audit_id):
            raise Invalid(
                "This database belongs to another APPROVALS_SECRET_KEY.",
                hint="Set the key it was made with (for SQLite: the file beside the database that ends in .key).",
            )

    def known_key(self, reader: Reader) -> str | None:
        """The id of the key that this database belongs to; None while it belongs to nobody."""
        row = reader.one(_FACT, name="audit_key_id")
        return None if row is None else str(row.value)

    def stop(self) -> None:
        """End streams, long-polls and timers."""
        self.stopping.set()
        self._look.set()
        self.gates.stop()
        self.bus.wake_all()

    async def finish(self) -> None:
        """The last words, once nobody asks any more."""
        await asyncio.gather(*self._partings, return_exceptions=True)
        await self.link_events()

    async def keep_time(self) -> None:
        """Move what is due, forever. The longest it sleeps is a second, so a clock that jumps is noticed."""
        while not self.stopping.is_set():
            with self._going_on("the timer"):
                due = await self.read(next_due)
                if due is not None and due <= self.database.clock.now():
                    await self.write(self.expiry.sweep)
                await self._watch_gates()
            await self._pause(1.0)

    async def keep_up(self) -> None:
        """Hear what other processes over this database do, and look for what was not heard, forever."""
        if not self.database.shared:
            return
        listening = asyncio.create_task(self.database.listen(self.replicas.hear, self._look.set))
        try:
            while not self.stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._look.wait(), POLL_SECONDS)
                self._look.clear()
                with self._going_on("the poll for changes"):
                    self.replicas.take(await self.read(self.replicas.changes))
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def keep_retention(self) -> None:
        """Erase what was kept long enough, forever: batch by batch, others in between."""
        while not self.stopping.is_set():
            with self._going_on("the retention sweep"):
                while await self.write(self.erasures.sweep) and not self.stopping.is_set():
                    pass
            await self._pause(SWEEP_SECONDS)

    async def keep_chain(self) -> None:
        """Link new audit events within a second of their writing, and emit each new head."""
        looks = 0
        while not self.stopping.is_set():
            with self._going_on("the audit sequencer"):
                await self.link_events(chain.NEAR if looks % FAR_LOOK else chain.LATE)
                looks += 1
            await self._pause(0.5)

    async def link_events(self, back: int = chain.LATE) -> None:
        """Link all that is there now."""
        while head := await self.database.write(lambda tx: chain.link(tx, self.keyring.audit, back)):
            self._emit_head(head, self.database.clock.now())

    def _moved(self, moved: Moved) -> None:
        self.metrics.moved(moved)
        if logger.isEnabledFor(logging.INFO):
            facts = {"request": moved.row.id, "move": moved.move.value, "state": str(moved.row.state)}
            facts["actor"] = moved.actor.partition(":")[0]
            logger.info("request %s: %s by %s", moved.row.id, facts["state"], facts["actor"], extra=facts)

    @contextlib.contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        """One round of an endless task: its error is logged, and the next round comes. A database that is away is said
        once, and once when it is back."""
        try:
            yield
        except Unavailable as error:
            if what not in self._halted:
                logger.warning("%s waits: %s", what, error.detail)
            self._halted.add(what)
        except Exception:
            logger.exception("%s stumbled; it goes on", what)
        else:
            if what in self._halted:
                logger.warning("%s goes on", what)
            self._halted.discard(what)

    async def _watch_gates(self) -> None:
        if not self.sightings.due(self.database.clock.now()):
            return
        seen = self.gates.sessions(), *self.sightings.take()
        streaming, used, browsing = map(
            sorted, seen
        )  # every replica in one order, so that none holds what another needs

        def watch(tx: Transaction) -> None:
            self.expiry.heard(tx, streaming)
            self.expiry.lose_silent(tx)
            presence.tidy(tx)
            for credential in used:
                credentials.used(tx, credential)
            for session in browsing:
                people.touch(tx, session)

        await self.write(watch)

    def _stream_ended(self, stream: GateStream) -> None:
        if self.stopping.is_set():
            return  # the gate is about to follow another process, or this one again
        task = asyncio.create_task(self._part(stream))
        self._partings.add(task)
        task.add_done_callback(self._partings.discard)

    async def _part(self, stream: GateStream) -> None:
        """The callers of a gate process that is gone no longer wait."""

        def gone(tx: Transaction) -> None:
            for request_id in presence.stream_closed(tx, stream.session, stream.id):
                self.transitions.woken(tx, request_id)

        with contextlib.suppress(ApprovalsError):
            await self.write(gone)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return


def head_line(head: chain.Head, at: int) -> str:
    """The chain's new head, as one line of JSON for whoever keeps it outside."""
    return json.dumps({"audit_head": str(head), "at": at})
