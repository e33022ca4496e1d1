"""What the service does by itself, over and over, while it serves."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from approvals.errors import Unavailable
from approvals.service.identity import credentials, sessions
from approvals.service.policies.watcher import LOOK_SECONDS
from approvals.service.realtime.replicas import POLL_SECONDS
from approvals.service.requests import edit_answers, key_revocations, presence
from approvals.service.requests.expiry import next_due
from approvals.service.service import Service
from approvals.service.storage.database import Transaction

logger = logging.getLogger("approvals")

SWEEP_SECONDS = 60.0
KEY_REVOCATION_SECONDS = 5.0
"""How soon the requests of a key that ran out end; those of one that was revoked end at once."""


@dataclass(frozen=True)
class Task:
    """A task without end: `run_once`, which says whether there is more to do at once, and a pause of `seconds`."""

    name: str
    """As logs call it."""
    seconds: float
    run_once: Callable[[Service], Awaitable[bool]]
    event: Callable[[Service], asyncio.Event] | None = None
    """Ends the pause early."""


async def move_due(service: Service) -> bool:
    """Move what is due. The pause is a second, so a clock that jumps is noticed."""
    due = await service.read(next_due)
    if due is not None and due <= service.database.clock.now():
        await service.write(service.expiry.sweep)
        await service.write(service.reminders.sweep)
    if await service.read(edit_answers.unanswered):
        await service.write(service.edit_answers.end_unanswered)
    await service.apply_controls()
    await watch_gates(service)
    return False


async def link_events(service: Service) -> bool:
    """Link new audit events within a second of their writing, emit each new head, and index what was filed."""
    await service.link_events(next(service.look_back))
    return False


async def end_revoked(service: Service) -> bool:
    """End the requests of agents and keys that no longer count."""
    return await service.read(key_revocations.left) and bool(
        await service.write(lambda tx: key_revocations.sweep(tx, service.transitions))
    )


async def send_messages(service: Service) -> bool:
    """Send what notifiers have to say; a round waits until there is something."""
    await service.sender.round()
    return True


async def hear_changes(service: Service) -> bool:
    """Look for what other processes over this database did, and nobody told this one."""
    service.replicas.take(await service.read(service.replicas.changes))
    return False


async def look_at_policy(service: Service) -> bool:
    """Look at the policy file; the gates learn at once what it says anew."""
    if service.policy_watch is not None and await service.policy_watch.look(service.policy):
        service.gates.renew()
    return False


async def erase_old(service: Service) -> bool:
    """Erase a batch of what was kept long enough."""
    return bool(await service.write(service.erasures.sweep))


async def watch_gates(service: Service) -> None:
    """Note which gates, keys and browsers were heard of, and lose the gates that have been silent for too long."""
    if not service.activity.due(service.database.clock.now()):
        return
    seen = service.gates.sessions(), *service.activity.take()
    streaming, used, browsing = map(sorted, seen)  # every replica in one order: none holds what another needs

    def watch(tx: Transaction) -> None:
        service.expiry.heard(tx, streaming)
        service.expiry.lose_silent(tx)
        presence.tidy(tx)
        for credential in used:
            credentials.used(tx, credential)
        for session in browsing:
            sessions.touch(tx, session)

    await service.write(watch)


TIMER = Task("the timer", 1.0, move_due)
SEQUENCER = Task("the audit sequencer", 0.5, link_events)
RETENTION = Task("the retention sweep", SWEEP_SECONDS, erase_old)
REVOCATIONS = Task(
    "the end of revoked agents' requests", KEY_REVOCATION_SECONDS, end_revoked, lambda service: service.keys_revoked
)
POLICY = Task("the look at the policy file", LOOK_SECONDS, look_at_policy)
OUTBOX = Task("the outbox", 1.0, send_messages)
CHANGES = Task("the poll for changes", POLL_SECONDS, hear_changes, lambda service: service.look)


class Tasks:
    """The tasks of one service, from `start` until it stops."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._halted: set[str] = set()
        """Those that wait for a database which is away."""

    async def start(self) -> list[asyncio.Task[None]]:
        """Begin them all."""
        service = self._service
        given = [TIMER, SEQUENCER, RETENTION, REVOCATIONS]
        running = []
        if service.policy_watch is not None:
            given.append(POLICY)
        if service.outbox.notifiers:
            if not service.database.shared:
                await service.write(service.outbox.reclaim)
            given.append(OUTBOX)
        if service.database.shared:
            given.append(CHANGES)
            running.append(asyncio.create_task(self._listen()))
        return running + [asyncio.create_task(self._keep(task)) for task in given]

    async def _keep(self, task: Task) -> None:
        stopping = self._service.stopping
        event = stopping if task.event is None else task.event(self._service)
        while not stopping.is_set():
            if task.event is not None:
                event.clear()
            again = False
            with self._going_on(task.name):
                again = await task.run_once(self._service)
            if not again and not stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), task.seconds)

    async def _listen(self) -> None:
        service = self._service
        listening = asyncio.create_task(service.database.listen(service.replicas.hear, service.look.set))
        await service.stopping.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    @contextlib.contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        """One round of a task: its error is logged, and the next round comes. A database that is away is said once, and
        once when it is back."""
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
