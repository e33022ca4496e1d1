"""What an agent has asked of late, and what became of it."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from approvals.instant import Instant
from approvals.service.history.statistics import end_of
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables.handles import requests

LAST = 100
"""Requests that are looked at, the newest."""

_LAST = Statement(
    select(requests.c.id, requests.c.summary, requests.c.state, requests.c.created_at)
    .where(requests.c.agent_id == bindparam("agent"))
    .order_by(requests.c.id.desc())
    .limit(LAST)
)


@dataclass(frozen=True)
class Recent:
    """Of the last LAST requests of one agent."""

    asked: int
    ends: Counter[str]
    """What became of them, by `statistics.ENDS`."""
    request_id: str = ""
    """The newest."""
    summary: str = ""
    at: Instant | None = None


def recent(reader: Reader, agent_id: str) -> Recent:
    """Of one agent."""
    rows = reader.all(_LAST, agent=agent_id)
    ends = Counter(end_of(row.state) for row in rows)
    return Recent(len(rows), ends, rows[0].id, rows[0].summary, rows[0].created_at) if rows else Recent(0, ends)
