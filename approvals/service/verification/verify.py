"""Holds the state against the chain: every row under seal is as its last event left it, and nothing ran unpermitted.

One instant of the database, read in pages: linear in what is on record, and bounded in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import cast

from sqlalchemy import bindparam, func, select

from approvals.service.audit import address
from approvals.service.audit import chain as links
from approvals.service.audit.seals import SEALED
from approvals.service.audit.unreadable import UNREADABLE
from approvals.service.storage.database import Database, Reader
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import DecisionRow, Execution, Permission, Request, StandingGrant, table_of
from approvals.service.verification import event_claims, hashed_texts, request_life, sealed_rows
from approvals.service.verification.event_claims import Told
from approvals.service.verification.history import History
from approvals.service.verification.sealed_rows import Held

MOST = 20
"""Faults that are named."""

_grants = table_of(StandingGrant)
_permissions = table_of(Permission)
_GRANT = Statement(select(_grants).where(_grants.c.id == bindparam("id")), StandingGrant)
_USES = Statement(
    select(func.count().label("n")).select_from(_permissions).where(_permissions.c.grant_id == bindparam("grant_id"))
)


@dataclass(frozen=True)
class Verified:
    """What came of it."""

    head: links.Head | None
    unlinked: int
    """Events too new to be linked."""
    faults: tuple[str, ...]
    """In words, the first MOST. The state is not held against a chain that is not whole."""

    @property
    def intact(self) -> bool:
        return not self.faults

    @property
    def records(self) -> int:
        return self.head.seq if self.head is not None else 0


def verify(database: Database, key: bytes, head: links.Head | None = None) -> Verified:
    """The record, and the state against it. Blocking."""
    return database.as_of_now(lambda reader: of(reader, key, head))


def of(reader: Reader, key: bytes, head: links.Head | None = None) -> Verified:
    """As `verify`, of what a reader sees."""
    history = History()
    walked = links.verify(reader, key, head, history.heed)
    broken = walked.finding
    found = (str(broken),) if broken is not None else islice(_faults(reader, key, history), MOST)
    faults = tuple(fault.encode(errors="backslashreplace").decode() for fault in found)
    return Verified(walked.head, walked.unlinked, faults)


def _faults(reader: Reader, key: bytes, history: History) -> Iterator[str]:
    subjects = event_claims.walk(reader)
    while some := tuple(islice(subjects, sealed_rows.TOGETHER)):
        rows = sealed_rows.rows_of(reader, [one.subject for one in some])
        for one in some:
            has = rows.get(one.subject, {})
            yield from chain(one.faults, compared(one, has, key))
            for played in (_of_request(reader, one, has, history), _miscounted(reader, has)):
                yield from _readable(one.subject, played)
    yield from (f"{name} was inserted: no event tells of it" for name in sealed_rows.of_nobody(reader))
    yield from hashed_texts.faults(reader)
    yield from address.faults(reader, key)


def _readable(subject: str, faults: Iterator[str]) -> Iterator[str]:
    try:
        yield from faults
    except UNREADABLE:
        yield f"the rows of {subject} hold what cannot be read"


def compared(one: Told, has: Held, key: bytes) -> Iterator[str]:
    """Where the rows of a subject are not as its events left them. Pure."""
    for name, (under, row) in has.items():
        left = one.rows.get(name)
        if left is None or left.seal is None:
            yield f"{name} was inserted: no event tells of it"
        elif under.seal(key, row) != left.seal:
            yield f"{name} was changed after {left.event}"
    for name, left in one.rows.items():
        if left.seal is not None and name not in has and not SEALED[name.partition(" ")[0]].passing:
            yield f"{name} was removed after {left.event}"


def _of_request(reader: Reader, one: Told, has: Held, history: History) -> Iterator[str]:
    by_table = {under.table.name: row for under, row in has.values()}
    decisions = [cast(DecisionRow, row) for under, row in has.values() if under is SEALED["decision"]]
    row = cast(Request | None, by_table.get("request"))
    if row is None:
        return
    permission = cast(Permission | None, by_table.get("permission"))
    execution = cast(Execution | None, by_table.get("execution"))
    grant = _grant(reader, permission) if permission is not None else None
    yield from request_life.faults(request_life.Life(row, permission, execution, grant, decisions, one.acts, history))


def _grant(reader: Reader, permission: Permission) -> StandingGrant | None:
    return reader.one(_GRANT, id=permission.grant_id) if permission.grant_id is not None else None


def _miscounted(reader: Reader, has: Held) -> Iterator[str]:
    for under, row in has.values():
        if under is SEALED["standing_grant"]:
            uses = reader.one(_USES, grant_id=row.id)
            if uses is None or uses.n != row.used:
                yield f"standing_grant {row.id} was used otherwise than it counts"
            if row.used > row.max_uses:
                yield f"standing_grant {row.id} was used more often than it allows"
