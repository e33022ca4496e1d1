"""What foreign keys delete or change along with a deleted row: named by the catalogue, in numbers of the statistics."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import class_row

from approvals_server.postgres.changes import Change
from approvals_server.postgres.role import Connection

_KEYS: LiteralString = """
SELECT p.relnamespace::regnamespace::name || '.' || p.relname AS parent,
    c.relnamespace::regnamespace::name || '.' || c.relname AS child,
    CASE k.confdeltype WHEN 'c' THEN 'delete' ELSE 'update' END AS verb,
    GREATEST(c.reltuples, 0)::float8 / GREATEST(p.reltuples, 1) AS share
FROM pg_constraint k JOIN pg_class p ON p.oid = k.confrelid JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND k.confdeltype IN ('c', 'n', 'd') AND k.conparentid = 0 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Key:
    """A foreign key that acts when a row of `parent` is deleted, of which each has `share` rows in `child`."""

    parent: str
    child: str
    verb: str
    share: float


async def with_cascades(connection: Connection, changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """The changes, and what they bring about. Raises psycopg.Error."""
    if not any("delete" in change.verbs for change in changes):
        return changes
    async with connection.cursor(row_factory=class_row(Key)) as cursor:
        await cursor.execute(_KEYS)
        return (*changes, *brought_about(changes, await cursor.fetchall()))


def brought_about(changes: Iterable[Change], keys: Sequence[Key]) -> tuple[Change, ...]:
    """By the keys, from table to table; each key acts once."""
    reached, left = [change for change in changes if "delete" in change.verbs], list(keys)
    found: list[Change] = []
    while reached:
        change = reached.pop()
        for key in [key for key in left if key.parent == change.table]:
            left.remove(key)
            more = Change(key.verb, key.child, math.ceil(change.rows * key.share))
            found.append(more)
            if more.verb == "delete":
                reached.append(more)
    return tuple(found)
