"""What people decided about calls of the same tool, and what became of this very call before. Bounded looks back."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, exists, or_, select, text

from approvals.instant import SECOND, Instant
from approvals.protocol.registration import Assurance
from approvals.protocol.states import State
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import DecisionRow, table_of
from approvals.service.storage.tables.handles import executions, requests
from approvals.service.storage.tables.requests import PEOPLE_ASKED
from approvals.service.storage.tables.rows import RequestRow

LOOKED_AT = 200
"""Decided calls of a tool that one look goes back."""
DAYS = 30

_decisions = table_of(DecisionRow)
_NAMES = ("id", "summary", "state", "decided_at", "decided_by", "comment", "caller", "erased_at")
_latest = (
    select(*(requests.c[name] for name in _NAMES))
    .where(
        requests.c.server == bindparam("server"),
        requests.c.tool == bindparam("tool"),
        requests.c.id != bindparam("but"),
        or_(
            and_(requests.c.assurance == Assurance.ENFORCED.value, bindparam("assurance") == Assurance.ENFORCED.value),
            requests.c.installation_id == bindparam("installation_id"),
        ),
        text(PEOPLE_ASKED),  # literally: else its index does not serve
    )
    .order_by(requests.c.decided_at.desc())
    .limit(LOOKED_AT)
    .subquery()
)
_DECIDED = Statement(
    select(_latest)
    .where(exists().where(_decisions.c.request_id == _latest.c.id))  # not by a grant
    .order_by(_latest.c.decided_at.desc())
)
_RAN = Statement(
    select(requests.c.id, executions.c.claimed_at, executions.c.outcome)
    .join_from(requests, executions, executions.c.request_id == requests.c.id)
    .where(requests.c.call_key == bindparam("key"), requests.c.id < bindparam("but"))
    .where(
        or_(executions.c.outcome.is_(None), and_(*(executions.c.outcome != kind for kind in ("not_executed", "stale"))))
    )
    .order_by(requests.c.id.desc())
    .limit(1)
)


@dataclass(frozen=True)
class Count:
    """Of the last DAYS days."""

    approved: int
    denied: int
    more: bool
    """Whether there may be more than were looked at."""


def decided(reader: Reader, row: RequestRow) -> list[Row]:
    """What people decided about other calls of this request's tool, newest first; LOOKED_AT at most. What a cooperative
    installation filed is no precedent for any other."""
    whose = {"assurance": row.assurance, "installation_id": row.installation_id}
    return reader.all(_DECIDED, server=row.server, tool=row.tool, but=row.id, **whose)


def count(found: Iterable[Row], now: Instant) -> Count:
    """How those went that are not too long ago."""
    recent = [row for row in found if row.decided_at > now - DAYS * 86_400 * SECOND]
    denied = sum(row.state == State.DENIED for row in recent)
    return Count(len(recent) - denied, denied, len(recent) == LOOKED_AT)


def refused(found: Iterable[Row], row: RequestRow) -> Row | None:
    """The latest earlier attempt of the same caller that was denied."""
    return next((one for one in found if one.state == State.DENIED and one.caller == row.caller), None)


def ran(reader: Reader, row: RequestRow) -> Row | None:
    """The last earlier run of the same call (caller, server, tool, arguments), and how it came out."""
    return reader.one(_RAN, key=row.call_key, but=row.id)
