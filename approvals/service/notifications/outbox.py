"""The outbox: what notifiers have to say, written with the change that they tell of, and sent after its commit.

At least once, never lost: a message whose sender died is sent again once its lease is over. What a message says is read
when it is sent, so several changes in a row are one update; but nothing that waits stands for a message of another
kind, which might then say less.

A message is about all that a notifier says of a request, or about one copy of it. Those of one lane go one at a time,
in order: of a request as a whole, of its announcement at one place, and of one copy, whichever requests it shows.
"""

import random
from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import bindparam, func, literal, null, select, true, update

from approvals import ids
from approvals.errors import NotPossible
from approvals.instant import SECOND, Instant
from approvals.service.audit.kinds import Kind
from approvals.service.notifications.notifier import ANNOUNCE, REPLY, UPDATE, Notifier, Step
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Row, Statement, changed
from approvals.service.storage.tables import Delivery, table_of
from approvals.service.storage.tables.handles import requests

LEASE = 60 * SECOND
"""Longer than any sending takes: see `send.PATIENCE`."""
BATCH = 100
LONGEST_WAIT = 900.0
GIVE_UP = 86_400 * SECOND
"""A message that could not be sent for so long is dead; people may have it sent again."""
MAX_ERROR = 500
SHOWN = 100

_deliveries = table_of(Delivery)
_earlier = _deliveries.alias("earlier")
_waits = (_deliveries.c.done_at.is_(None)) & (_deliveries.c.dead_at.is_(None))
_first = ~(
    select(literal(1))
    .where(
        _earlier.c.lane == _deliveries.c.lane,
        _earlier.c.notifier == _deliveries.c.notifier,
        _earlier.c.done_at.is_(None),
        _earlier.c.dead_at.is_(None),
        _earlier.c.id != _deliveries.c.id,
        (_earlier.c.id < _deliveries.c.id) | (_earlier.c.lease_until > bindparam("now")),
    )
    .exists()
)
"""One at a time, the first one first; ids of one instant are in no order, so what is being sent counts as well."""
_on_its_way = (
    select(literal(1))
    .where(
        _earlier.c.request_id == _deliveries.c.request_id,
        _earlier.c.notifier == _deliveries.c.notifier,
        _earlier.c.verb == ANNOUNCE,
        _earlier.c.done_at.is_(None),
        _earlier.c.lease_until > bindparam("now"),
    )
    .exists()
)
_said_where_it_stands = (_deliveries.c.verb != REPLY) | (_deliveries.c.target != "") | ~_on_its_way
"""A reminder waits for an announcement that is on its way: it would not find the message that it belongs to."""
_free = (_deliveries.c.lease_until.is_(None)) | (_deliveries.c.lease_until <= bindparam("now"))
_DUE = Statement(
    select(_deliveries)
    .where(_waits, _deliveries.c.due_at <= bindparam("now"), _free, _first, _said_where_it_stands)
    .order_by(_deliveries.c.due_at)
    .limit(BATCH),
    Delivery,
)
_TAKE = Statement(
    update(_deliveries)
    .where(_deliveries.c.id == bindparam("of"), _waits, _free, _deliveries.c.attempts == bindparam("was"))
    .values(lease_until=bindparam("until"), attempts=_deliveries.c.attempts + 1)
)
_SAME = Statement(
    select(_deliveries.c.id).where(
        _waits,
        _deliveries.c.request_id == bindparam("request_id"),
        _deliveries.c.notifier == bindparam("notifier"),
        _deliveries.c.verb == bindparam("verb"),
        _deliveries.c.target == bindparam("target"),
        _deliveries.c.lease_until.is_(None),
    )
)
_KNOWN = Statement(
    select(_deliveries.c.id)
    .where(_deliveries.c.request_id == bindparam("request_id"), _deliveries.c.notifier == bindparam("notifier"))
    .limit(1)
)
_mine = (_deliveries.c.id == bindparam("of"), _deliveries.c.attempts == bindparam("attempt"))
_DONE = Statement(
    update(_deliveries)
    .where(*_mine)
    .values(done_at=bindparam("at"), lease_until=null(), error=null(), said=bindparam("words"))
)
_MADE_UP_FOR = Statement(
    update(_deliveries)
    .where(
        _deliveries.c.lane == bindparam("lane"),
        _deliveries.c.notifier == bindparam("notifier"),
        _deliveries.c.verb == UPDATE,
        _deliveries.c.done_at.is_(None),
        _deliveries.c.dead_at.is_not(None),
    )
    .values(done_at=bindparam("at"), dead_at=null())
)
"""A later update said what these could not."""
_SAID = Statement(
    select(_deliveries.c.said)
    .where(
        _deliveries.c.request_id == bindparam("request_id"),
        _deliveries.c.notifier == bindparam("notifier"),
        _deliveries.c.target == "",
        _deliveries.c.said != "",
    )
    .order_by(_deliveries.c.done_at.desc())
    .limit(1)
)
_LATER = Statement(
    update(_deliveries)
    .where(*_mine)
    .values(due_at=bindparam("at"), lease_until=null(), error=bindparam("error"), dead_at=bindparam("dead"))
)
_AGAIN = Statement(
    update(_deliveries)
    .where(_deliveries.c.id == bindparam("of"), _deliveries.c.dead_at.is_not(None))
    .values(due_at=bindparam("at"), created_at=bindparam("at"), dead_at=null(), lease_until=null())
)
_WAITING = Statement(
    select(_deliveries, requests.c.summary)
    .join_from(_deliveries, requests, requests.c.id == _deliveries.c.request_id, isouter=True)
    .where(_deliveries.c.done_at.is_(None))
    .order_by(_deliveries.c.dead_at.is_(None), _deliveries.c.due_at)
    .limit(SHOWN)
)
_DEAD = Statement(
    select(func.count().label("n"))
    .select_from(_deliveries)
    .where(_deliveries.c.done_at.is_(None), _deliveries.c.dead_at.is_not(None))
)
_RECLAIM = Statement(
    update(_deliveries).where(_waits, _deliveries.c.lease_until.is_not(None)).values(lease_until=null())
)
_NEXT = Statement(select(func.min(_deliveries.c.due_at).label("at")).where(_waits, true()))


class Outbox:
    """Writes messages for the notifiers there are, and keeps what became of them. `ring` is called, after the commit,
    when there is something to send."""

    def __init__(self, notifiers: Mapping[str, Notifier], ring: Callable[[], None]) -> None:
        self.notifiers = dict(notifiers)
        self._ring = ring

    def carry(self, notifier: Notifier) -> None:
        """Write for this one, too, from now on."""
        self.notifiers[notifier.name] = notifier

    def tell(self, tx: Transaction, verb: str, request_id: str) -> None:
        """Leave a message for every notifier: a request waits for people (ANNOUNCE), still waits (REPLY), or has
        changed (UPDATE). Who was never told of it is not told of a change."""
        for notifier in self.notifiers:
            if verb != UPDATE or tx.one(_KNOWN, request_id=request_id, notifier=notifier) is not None:
                self.add(tx, notifier, request_id, verb)

    def add(self, tx: Transaction, notifier: str, request_id: str, verb: str, target: str = "") -> None:
        """One message, unless the very same still waits: what that one says is read when it is sent."""
        same = {"request_id": request_id, "notifier": notifier, "verb": verb, "target": target}
        if not tx.one(_SAME, **same):
            lane = target if target and verb != ANNOUNCE else f"{request_id} {target}"
            tx.insert(Delivery, id=ids.new(tx.now), lane=lane, created_at=tx.now, due_at=tx.now, **same)
        tx.after_commit.append(self._ring)

    def take(self, tx: Transaction) -> list[Delivery]:
        """Up to BATCH messages that are due, leased to this process."""
        due = tx.all(_DUE, now=tx.now)
        until = tx.now + LEASE
        return [
            changed(row, attempts=row.attempts + 1)
            for row in due
            if tx.update(_TAKE, of=row.id, was=row.attempts, until=until, now=tx.now) == 1
        ]

    def reclaim(self, tx: Transaction) -> None:
        """Take back every lease: whoever held one is gone. For a process that knows itself alone."""
        tx.execute(_RECLAIM)

    def sent(self, tx: Transaction, row: Delivery, said: str, steps: Iterable[Step]) -> None:
        """Note that a message arrived, and which steps remain."""
        tx.execute(_DONE, of=row.id, attempt=row.attempts, at=tx.now, words=said)
        if row.verb == UPDATE:
            tx.execute(_MADE_UP_FOR, lane=row.lane, notifier=row.notifier, at=tx.now)
        for step in steps:
            self.add(tx, row.notifier, step.request_id or row.request_id, step.verb, step.target)

    def failed(self, tx: Transaction, row: Delivery, why: str, *, after: float = 0.0, dead: bool = False) -> None:
        """Note that a message did not arrive: it is tried later, or never. `after` is how many seconds the receiver
        asked to be left alone."""
        over = dead or tx.now - row.created_at >= GIVE_UP
        at = tx.now + round(max(after, wait(row.attempts)) * SECOND)
        error = why[:MAX_ERROR]
        tx.execute(_LATER, of=row.id, attempt=row.attempts, at=at, error=error, dead=tx.now if over else None)

    def again(self, tx: Transaction, delivery_id: str, actor: str) -> None:
        """Have a dead message sent once more. Raises NotPossible when it is not dead."""
        if tx.update(_AGAIN, of=delivery_id, at=tx.now) != 1:
            raise NotPossible("This message is not waiting for anybody.", hint="Look at the outbox again.")
        tx.record(Kind.DELIVERY_RETRIED, actor, f"delivery:{delivery_id}")
        tx.after_commit.append(self._ring)


def wait(attempts: int) -> float:
    """Seconds until the next attempt: doubling from one, half of it chance, so that many do not come at once."""
    longest: float = min(LONGEST_WAIT, 2.0 ** min(attempts - 1, 20))
    return longest * (0.5 + random.random() / 2)  # noqa: S311


def last_said(reader: Reader, row: Delivery) -> str:
    """What the last message about the whole of a request said; nothing where there was none."""
    found = reader.one(_SAID, request_id=row.request_id, notifier=row.notifier)
    return "" if found is None else str(found.said)


def unsent(reader: Reader) -> list[Row]:
    """What has not arrived: the dead first, up to SHOWN."""
    return reader.all(_WAITING)


def dead(reader: Reader) -> int:
    """How many messages nobody tries to send any more."""
    row = reader.one(_DEAD)
    return 0 if row is None else int(row.n)


def next_due(reader: Reader) -> Instant | None:
    """When something may be due; None while everything has arrived."""
    row = reader.one(_NEXT)
    return None if row is None else row.at
