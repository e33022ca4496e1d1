"""What a transaction has changed so far, by the database's own count: triggers, cascades and functions included."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import class_row

from approvals_server.postgres.role import Connection

LONGEST = 200
VERBS = ("delete", "update", "insert")
"""The gravest first."""
_DONE = {"delete": "Deletes", "update": "Changes", "insert": "Adds"}
_COUNTED: LiteralString = """
SELECT n.nspname || '.' || c.relname AS table,
    sum(s.n_tup_ins)::bigint AS inserted, sum(s.n_tup_upd)::bigint AS updated, sum(s.n_tup_del)::bigint AS deleted
FROM pg_stat_xact_user_tables s
JOIN pg_class c ON c.oid = COALESCE(pg_partition_root(s.relid), s.relid) JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0 GROUP BY 1 ORDER BY 1
"""

Tally = Counter[tuple[str, str]]
"""Rows by verb and table."""


@dataclass(frozen=True)
class Change:
    """Rows of one table, each inserted, updated or deleted: by this verb, or by one of the others."""

    verb: str
    table: str
    rows: int
    others: tuple[str, ...] = ()

    @property
    def verbs(self) -> tuple[str, ...]:
        """All that it may do."""
        return (self.verb, *self.others)


@dataclass(frozen=True)
class _Counted:
    table: str
    inserted: int
    updated: int
    deleted: int


async def counted(connection: Connection) -> Tally:
    """What the database has counted so far; behind a pooler that includes what was before."""
    async with connection.cursor(row_factory=class_row(_Counted)) as cursor:
        await cursor.execute(_COUNTED)
        found = await cursor.fetchall()
    return Tally(
        {
            key: rows
            for one in found
            for key, rows in (
                (("delete", one.table), one.deleted),
                (("update", one.table), one.updated),
                (("insert", one.table), one.inserted),
            )
        }
    )


def since(before: Tally, now: Tally) -> tuple[Change, ...]:
    """What came to be counted in between."""
    return tuple(Change(verb, table, rows) for (verb, table), rows in (now - before).items())


def total(changes: Iterable[Change]) -> int:
    """Of rows."""
    return sum(change.rows for change in changes)


def tables(changes: Iterable[Change]) -> tuple[str, ...]:
    """Their names, each once."""
    return tuple(sorted({change.table for change in changes}))


def verbs(changes: Iterable[Change]) -> tuple[str, ...]:
    """All that is done, each once."""
    return tuple(sorted({verb for change in changes for verb in change.verbs}))


def beyond(done: Iterable[Change], foreseen: Iterable[Change]) -> bool:
    """Whether something was done that was not foreseen: another verb, another table, or more rows of a table."""
    named, most, came = set[tuple[str, str]](), Counter[str](), Counter[str]()
    for change in foreseen:
        named |= {(verb, change.table) for verb in change.verbs}
        most[change.table] += change.rows
    for change in done:
        if (change.verb, change.table) not in named:
            return True
        came[change.table] += change.rows
    return any(rows > most[table] for table, rows in came.items())


def gravest(changes: Iterable[Change]) -> str | None:
    """The verb that rules should know of; None where nothing changes."""
    verbs = {change.verb for change in changes}
    return next((verb for verb in VERBS if verb in verbs), None)


def sentence(changes: Sequence[Change]) -> str:
    """ "Deletes 3 rows of public.orders, changes 1 row of public.customer"."""
    rows: Counter[tuple[str, str]] = Counter()
    for change in changes:
        rows[change.verb, change.table] += change.rows
    return _joined(f"{_DONE[verb]} {_figure(count)} of {table}" for (verb, table), count in rows.items())


def expectation(changes: Sequence[Change]) -> str:
    """ "Deletes about 30 rows of public.orders". Of several tables it says one number, that of the fact: only with that
    one may it move."""
    if len(changes) == 1:
        (change,) = changes
        about = "about " if change.rows > 1 else ""
        return f"{_doing(change)} {about}{_figure(change.rows)} of {change.table}"
    parts = _joined(dict.fromkeys(f"{_doing(change)} rows of {change.table}" for change in changes))
    return f"{parts}: about {total(changes):,} in all" if parts else ""


def _doing(change: Change) -> str:
    first, *more = (_DONE[verb] for verb in change.verbs if verb in _DONE)
    return " or ".join([first, *map(str.lower, more)])


def _joined(parts: Iterable[str]) -> str:
    first, *more = [*parts] or [""]
    words = ", ".join([first, *(part[0].lower() + part[1:] for part in more)])
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def _figure(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"
