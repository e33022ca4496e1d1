"""Reminders of requests that wait, and their escalation to more people. Only while they are pending."""

import json
from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import bindparam, null, select, update

from approvals.instant import SECOND, Instant
from approvals.policy.model import Reminder
from approvals.policy.reviewers import Reviewers
from approvals.protocol.canonical import canonical
from approvals.protocol.states import State
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.notifications.notifier import REPLY
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables.handles import requests
from approvals.service.storage.tables.rows import RequestRow

BATCH = 100

_DUE = Statement(
    select(requests.c.id)
    .where(requests.c.remind_at.is_not(None), requests.c.remind_at <= bindparam("now"))
    .order_by(requests.c.remind_at)
    .limit(BATCH)
)
_CLEAR = Statement(update(requests).where(requests.c.id == bindparam("of")).values(remind_at=null()))


class Reminders:
    """Reminds and escalates, each reminder once."""

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions

    def sweep(self, tx: Transaction) -> int:
        """Remind of up to BATCH requests that are due for it; how many there were."""
        if not tx.try_lock("expiry"):  # both take many requests: one after the other
            return 0
        due = tx.all(_DUE, now=tx.now)
        for row in due:
            self._remind(tx, self._transitions.lock(tx, row.id))
        return len(due)

    def _remind(self, tx: Transaction, row: RequestRow) -> None:
        row = self._transitions.apply_due(tx, row)
        if row.remind_at is None or row.remind_at > tx.now:
            return  # decided, ended or reminded meanwhile
        if row.state != State.PENDING:
            tx.execute(_CLEAR, of=row.id)
            return
        left = sorted(parse(row.reminders), key=lambda reminder: reminder.after)
        while left and row.created_at + left[0].after * SECOND <= tx.now:
            row = self._one(tx, row, left.pop(0), tuple(left))
        if row.remind_at is not None and row.remind_at <= tx.now:
            tx.execute(_CLEAR, of=row.id)

    def _one(self, tx: Transaction, row: RequestRow, reminder: Reminder, left: tuple[Reminder, ...]) -> RequestRow:
        """One reminder: one change of the request, one audit event."""
        changes = {"reminders": dump(left), "remind_at": next_at(left, row.created_at)}
        kind, because = Kind.REQUEST_REMINDED, f"nobody had decided after {reminder.after} seconds"
        if reminder.groups:
            kind, because = Kind.REQUEST_ESCALATED, f"{because}: {', '.join(reminder.groups)} may decide, too"
            changes |= {"reviewers": Reviewers.parse(row.reviewers).escalated(reminder.groups).dump()}
        tx.tell(REPLY, row.id)
        return self._transitions.change(tx, row, kind, SYSTEM, because=because, **changes)


def dump(reminders: Iterable[Reminder]) -> str:
    """As they are kept with a request."""
    return canonical([asdict(reminder) for reminder in reminders]).decode()


def parse(text: str) -> list[Reminder]:
    """From what `dump` made."""
    return [Reminder(kept["after"], tuple(kept["groups"])) for kept in json.loads(text)]


def next_at(reminders: Iterable[Reminder], filed_at: Instant) -> Instant | None:
    """When the next one is due."""
    after = min((reminder.after for reminder in reminders), default=None)
    return None if after is None else filed_at + after * SECOND
