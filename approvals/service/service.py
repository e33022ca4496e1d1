"""The approval service, put together: what the API, the pages and the commands all call."""

import asyncio
import contextlib
import itertools
import json
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar
from weakref import WeakValueDictionary

from approvals.errors import (
    ApprovalsError,
    Invalid,
    TooMany,
    Unavailable,
)
from approvals.policy.model import DefaultPolicy, Policy
from approvals.protocol.messages import Filing
from approvals.protocol.registration import Registered, Registration
from approvals.service.audit import address, chain
from approvals.service.audit.log import SYSTEM, AuditLog
from approvals.service.authority import Authority
from approvals.service.dispatcher import Sender
from approvals.service.history import fulltext
from approvals.service.keyring import Keyring
from approvals.service.metrics import Metrics, standing
from approvals.service.notifications.notifier import Notifier
from approvals.service.notifications.outbox import Outbox
from approvals.service.policies import versions
from approvals.service.policies.current import PolicyInForce
from approvals.service.policies.file import PolicyFile
from approvals.service.policies.watcher import PolicyWatch
from approvals.service.realtime.activity import ActivityBuffer
from approvals.service.realtime.bus import Bus
from approvals.service.realtime.gate_streams import GateStream, GateStreams
from approvals.service.realtime.replicas import Replicas
from approvals.service.realtime.stream_limits import Places
from approvals.service.realtime.wakeup import Wakeup
from approvals.service.requests import freeze_messages, freeze_releases, freezing, presence, vote_messages
from approvals.service.requests.call_records import Calls
from approvals.service.requests.claims import Claims
from approvals.service.requests.contents import content_of
from approvals.service.requests.decisions import Decisions
from approvals.service.requests.edit_answers import EditAnswers
from approvals.service.requests.edits import Edits
from approvals.service.requests.expiry import Expiry
from approvals.service.requests.filing import Filed, Filings
from approvals.service.requests.freeze_releases import Releases
from approvals.service.requests.freezing import Freezes
from approvals.service.requests.grant_revocations import GrantRevocations
from approvals.service.requests.rate_limits import Allowance, Allowances
from approvals.service.requests.reminders import Reminders
from approvals.service.requests.request_content import StoredPolicies
from approvals.service.requests.settlements import Settlements
from approvals.service.requests.status import Statuses
from approvals.service.requests.transitions import Moved, Transitions
from approvals.service.requests.verifications import Verifications
from approvals.service.requests.withdrawals import Withdrawals
from approvals.service.retention.erasure import Erasures
from approvals.service.retention.restore import Restorations
from approvals.service.retention.schedule import Retention
from approvals.service.storage import database_facts as facts
from approvals.service.storage.channels import CONTROLS_CHANGED
from approvals.service.storage.database import Database, Effects, Reader, Transaction
from approvals.service.storage.tables import Installation
from approvals.service.tools.offers import Offers
from approvals.service.tools.registrations import Registrations, examine
from approvals.service.tools.registry import Registry

T = TypeVar("T")
logger = logging.getLogger("approvals")

FAR_LOOK = 20
"""Of so many looks for events to link (10 s), one looks as far back as any can come from."""


class Service:
    """Every part of the service over one database. Event loop only, but for `database.write_now`."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        public_url: str,
        *,
        policy: Policy | None = None,
        policy_file: PolicyFile | None = None,
        retention: Retention | None = None,
        allowance: Allowance | None = None,
        emit_head: Callable[[chain.Head, int], None] | None = None,
        notifiers: Iterable[Notifier] = (),
    ) -> None:
        self.policy = PolicyInForce(policy or DefaultPolicy())
        self.database = database
        self.keyring = keyring
        self._registering: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.public_url = public_url.rstrip("/")
        self.metrics = Metrics(database)
        self.bus = Bus()
        self.activity = ActivityBuffer()
        self.browsers = Places(20, "pages open in this browser that listen for changes")
        self.gate_places = Places(1000, "event streams of this installation")
        self.poll_places = {
            "installation": Places(10_000, "long-polls of this installation"),
            "agent": Places(100, "long-polls of this agent"),
            "user": Places(100, "long-polls of this person"),
        }
        self.gates = GateStreams(self.bus, self._stream_ended)
        self.keys_revoked = asyncio.Event()
        """Set when keys or agents may have been revoked."""
        self.replicas = Replicas(self.bus, self.gates, self._controls_changed, self.keys_revoked.set)
        self._disconnects: set[asyncio.Task[None]] = set()
        self.log = AuditLog(keyring.audit, keyring.audit_id)
        self.allowances = Allowances(allowance or Allowance())
        self.statuses = Statuses(self.public_url)
        self._filled = Wakeup()
        self.outbox = Outbox({notifier.name: notifier for notifier in notifiers}, self._filled.set)
        self.authority = Authority(self.policy)
        self.sender = Sender(database, self.outbox, self.statuses, self.authority, self._filled)
        database.effects = Effects(self.log, self.replicas.hear, self.outbox.tell)
        self.transitions = Transitions(self._moved)
        self.registry = Registry(self.policy, self.public_url)
        self.offers = Offers(self.registry)
        self.registrations = Registrations(self.offers)
        policies = StoredPolicies()
        self.filings = Filings(
            self.transitions, self.registry, keyring, self.policy, self.authority, self.allowances, policies
        )
        self.edits = Edits(self.transitions, self.registry, self.authority)
        self.edit_answers = EditAnswers(self.transitions, self.registry, self.policy, policies)
        self.decisions = Decisions(self.transitions, self.authority, self.registry)
        self.claims = Claims(self.transitions, self.registry, self.policy, self.authority)
        self.settlements = Settlements(self.transitions, self.authority)
        self.policy_watch = PolicyWatch(policy_file, database, self.registry.known_tools) if policy_file else None
        self.freezes = Freezes(self.transitions)
        self.releases = Releases(self.transitions, self.registry, self.policy)
        self.verifications = Verifications(self.transitions)
        self.withdrawals = Withdrawals(self.transitions, self.authority)
        self.grant_revocations = GrantRevocations(self.transitions, self.authority)
        self.expiry = Expiry(self.transitions)
        self.reminders = Reminders(self.transitions)
        self.restorations = Restorations(self.transitions)
        self.calls = Calls()
        self.erasures = Erasures(self.transitions, retention or Retention())
        self.stopping = asyncio.Event()
        """Set when the server begins to stop: streams and long-polls end."""
        self.look = asyncio.Event()
        """Set when there may be changes that nobody announced to this process."""
        self._begun = False
        self.look_back = itertools.cycle([chain.LATE, *[chain.NEAR] * (FAR_LOOK - 1)])
        """How far back the next looks for events to link go."""
        self._refused: set[int] = set()
        """Events that the sequencer did not link, and has said so of."""
        self._emit_head = emit_head or (lambda head, at: None)

    def trouble(self) -> dict[str, str]:
        """What keeps notifiers from speaking, by name; empty while all is well."""
        return {name: said for name, notifier in self.outbox.notifiers.items() if (said := notifier.trouble)}

    async def write(self, work: Callable[[Transaction], T | ApprovalsError]) -> T:
        """Run one transaction; what it returns as an error is raised after the commit."""
        with self.metrics.writing.time():
            result = await self.database.write(work)
        if isinstance(result, ApprovalsError):
            raise result
        return result

    async def file(self, installation: Installation, filing: Filing, *, long: bool = False) -> Filed:
        """File a call, or attach it; a `long` one is looked through beside the event loop. Raises as `content_of` and
        `Filings.file`; of an agent that asks too much its owners are told."""
        content = await asyncio.to_thread(content_of, filing) if long else content_of(filing)
        try:
            return await self.write(lambda tx: self.filings.file(tx, installation, content))
        except TooMany as error:
            agent = error.extra.get("agent")
            if agent is not None:
                await self.write(lambda tx: self.allowances.tell(tx, agent))
            raise

    async def register(self, installation: Installation, registration: Registration) -> Registered:
        """Take down what a gate process serves, or a part of it. Raises as `Registrations.take`."""
        part = await asyncio.to_thread(examine, registration)
        session = registration.session
        async with self._registering.setdefault(session, asyncio.Lock()):  # one after the other, also if sent again
            for piece in part.pieces():
                await self.write(partial(self.registrations.take, installation=installation, part=piece))
        return await self.leased(installation, session, refused=part.refused, complete=registration.complete)

    async def leased(
        self,
        installation: Installation,
        session: str,
        *,
        refused: Mapping[str, str] | None = None,
        complete: bool = True,
    ) -> Registered:
        """As `Registry.registered`. A gate may serve ten thousand tools: their verdicts are judged beside the loop."""
        registered = self.registry.registered
        return await asyncio.to_thread(
            self.read_now, lambda reader: registered(reader, installation, session, refused=refused, complete=complete)
        )

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
        self.metrics.full(self.database.is_full)
        self.metrics.policy(self.policy.hash, broken=self.policy.trouble is not None)
        return self.metrics.text(now)

    def read_now(self, work: Callable[[Reader], T]) -> T:
        """As `read`, from a thread."""
        return self.database.read_now(work)

    def check_key(self, tx: Transaction) -> None:
        """The database belongs to this secret key from now on. Raises Invalid when it belongs to another."""
        self.compare_key(tx)
        if self.known_key(tx) is None:
            facts.put(tx, facts.KEY_ID, self.keyring.audit_id)

    def compare_key(self, reader: Reader) -> None:
        """Raises Invalid when the database belongs to another secret key."""
        known = self.known_key(reader)
        if known is not None and not secrets.compare_digest(known, self.keyring.audit_id):
            raise Invalid(
                "This database belongs to another APPROVALS_SECRET_KEY.",
                hint="Set the key it was made with (for SQLite: the file beside the database that ends in .key).",
            )

    def begin_policy(self) -> None:
        """Put the policy in force that the service starts with, once. Blocking. Raises Invalid for a file that
        cannot be used. Nothing may be judged before."""
        if self._begun:
            return
        self._begun = True
        if self.policy_watch is not None:
            self.policy.present = self.policy_watch.begin()
        else:
            self.database.write_now(lambda tx: versions.load(tx, self.policy.present, SYSTEM))

    def known_key(self, reader: Reader) -> str | None:
        """The id of the key that this database belongs to; None while it belongs to nobody."""
        return facts.known_key(reader)

    def record_address(self, tx: Transaction) -> None:
        """For commands that run where the service's settings are not: they print links to it."""
        address.record(tx, self.keyring.audit, self.public_url)

    def stop(self) -> None:
        """End streams, long-polls and timers."""
        self.stopping.set()
        self.look.set()
        self.keys_revoked.set()
        self._filled.set()
        self.gates.stop()
        self.bus.wake_all()

    async def finish(self) -> None:
        """The last words, once nobody asks any more."""
        await asyncio.gather(*self._disconnects, return_exceptions=True)
        await self.link_events()

    async def apply_controls(self) -> None:
        """Take back what a freeze left approved, let go what one held, and have messages say so, and whose votes count:
        batch by batch, others in between."""
        while await self.read(freezing.unclaimed):
            await self.write(self.freezes.sweep)
        while await self.read(freeze_releases.waiting):
            await self.write(self.releases.sweep)
        while await self.read(freeze_messages.left):
            await self.write(freeze_messages.sweep)
        while await self.read(vote_messages.left):
            await self.write(vote_messages.sweep)

    async def link_events(self, back: int = chain.LATE) -> None:
        """Link all that is there now; what is written meanwhile is the next look's."""
        while linked := await self.database.write(lambda tx: chain.link(tx, self.keyring.audit, back, self._refused)):
            self._emit_head(linked.head, self.database.clock.now())
            if not linked.more:
                break
        while await self.database.read(fulltext.behind) and not self.stopping.is_set():
            if not await self.database.write(fulltext.sweep):
                break  # another process does it

    def link_now(self) -> None:
        """Link all that is there now: of a command beside no service, before it ends."""
        while self.database.write_now(lambda tx: chain.link(tx, self.keyring.audit)):
            pass

    def _controls_changed(self) -> None:
        """Gates get a fresh lease at once, pages a poke."""
        self.gates.renew()
        self.bus.wake(CONTROLS_CHANGED)

    def _moved(self, moved: Moved) -> None:
        self.metrics.moved(moved)
        if logger.isEnabledFor(logging.INFO):
            facts = {"request": moved.row.id, "move": moved.move.value, "state": str(moved.row.state)}
            facts["actor"] = moved.actor.partition(":")[0]
            logger.info("request %s: %s by %s", moved.row.id, facts["state"], facts["actor"], extra=facts)

    def _stream_ended(self, stream: GateStream) -> None:
        if self.stopping.is_set():
            return  # the gate is about to follow another process, or this one again
        task = asyncio.create_task(self._disconnected(stream))
        self._disconnects.add(task)
        task.add_done_callback(self._disconnects.discard)

    async def _disconnected(self, stream: GateStream) -> None:
        """The callers of a gate process that is gone no longer wait."""

        def gone(tx: Transaction) -> None:
            for request_id in presence.stream_closed(tx, stream.session, stream.id):
                tx.wake(request_id)

        with contextlib.suppress(ApprovalsError):
            await self.write(gone)


def head_line(head: chain.Head, at: int) -> str:
    """The chain's new head, as one line of JSON for whoever keeps it outside."""
    return json.dumps({"audit_head": str(head), "at": at})
