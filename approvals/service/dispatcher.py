"""Sends what is in the outbox."""

import asyncio
import logging

from approvals.service.authority import Authority
from approvals.service.history import details
from approvals.service.identity import credentials
from approvals.service.identity.admins import Admin, require_admin
from approvals.service.notifications import outbox
from approvals.service.notifications.notifier import ANNOUNCE, REPLY, UPDATE, NotDelivered, Notice, Sent, Undeliverable
from approvals.service.notifications.outbox import BATCH, Outbox
from approvals.service.realtime.wakeup import Wakeup
from approvals.service.requests.status import Statuses
from approvals.service.storage.database import Database, Reader, Transaction
from approvals.service.storage.tables import Delivery

logger = logging.getLogger("approvals")

PATIENCE = 30.0
"""Seconds that one message may take to send; far below the outbox's lease."""
LOOK_SECONDS = 5.0
"""How often it looks for what it was not told of."""


class Sender:
    """One process's. Event loop only. `filled` rings when there may be something to send. Each message takes its own
    time: one that nobody answers keeps no other from being sent."""

    def __init__(
        self, database: Database, outbox: Outbox, statuses: Statuses, authority: Authority, filled: Wakeup
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._statuses = statuses
        self._authority = authority
        self._filled = filled
        self._sending: set[asyncio.Task[None]] = set()

    async def round(self) -> None:
        """Begin to send what is due, then wait until more may be."""
        rows = await self._due() if len(self._sending) < BATCH else []
        for row in rows:
            task = asyncio.create_task(self._send(row))
            self._sending.add(task)
            task.add_done_callback(self._sent)
        if not rows:
            await self._filled.wait(LOOK_SECONDS)

    async def send_due(self) -> int:
        """Send what is due now, at most a batch; how many messages there were."""
        rows = await self._due()
        await asyncio.gather(*map(self._send, rows))
        return len(rows)

    async def finish(self) -> None:
        """What was being sent is sent, or has failed."""
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _due(self) -> list[Delivery]:
        """Leased to this process."""
        if not await self._database.read(_any_due):
            return []
        return await self._database.write(self._outbox.take)

    def _sent(self, task: asyncio.Task[None]) -> None:
        """What waited for it may go now."""
        self._sending.discard(task)
        self._filled.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("what became of a message could not be written down", exc_info=error)

    def again(self, tx: Transaction, by: Admin, delivery_id: str) -> None:
        """Have a dead message sent once more. Raises Forbidden, or NotPossible when it is not dead."""
        self._outbox.again(tx, delivery_id, require_admin(tx, by))

    async def _send(self, row: Delivery) -> None:
        try:
            sent = await self._deliver(row)
        except NotDelivered as error:
            why, after, dead = error.why, error.after, isinstance(error, Undeliverable)
            await self._failed(row, why, after=after, dead=dead)
        except TimeoutError:
            await self._failed(row, f"no answer within {PATIENCE:g} seconds")
        except Exception as error:
            logger.exception("a message could not be sent through %s", row.notifier)
            await self._failed(row, f"{type(error).__name__} in this service; its log has more")
        else:
            await self._database.write(lambda tx: self._outbox.sent(tx, row, sent.said, sent.then(tx)))

    async def _deliver(self, row: Delivery) -> Sent:
        notifier = self._outbox.notifiers.get(row.notifier)
        if notifier is None:
            raise Undeliverable(f"{row.notifier} is not set up any more")
        notice = await self._database.read(lambda reader: self._notice(reader, row))
        verb = {ANNOUNCE: notifier.announce, UPDATE: notifier.update, REPLY: notifier.reply}
        async with asyncio.timeout(PATIENCE):
            return await verb[row.verb](notice)

    def _notice(self, reader: Reader, row: Delivery) -> Notice:
        request = self._statuses.row(reader, row.request_id)
        agent = credentials.agent(reader, request.agent_id) if request.agent_id else None
        status = self._statuses.of(request, reader.now)
        name = agent.name if agent else None
        told = details.details(self._authority, reader, request, status)
        said = outbox.last_said(reader, row)
        return Notice(row.id, request, status, name, reader.now, row.target, details=told, said=said)

    async def _failed(self, row: Delivery, why: str, *, after: float = 0.0, dead: bool = False) -> None:
        logger.warning("%s did not take message %s: %s", row.notifier, row.id, why)
        await self._database.write(lambda tx: self._outbox.failed(tx, row, why, after=after, dead=dead))


def _any_due(reader: Reader) -> bool:
    at = outbox.next_due(reader)
    return at is not None and at <= reader.now
