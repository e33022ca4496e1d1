"""What a write does, found by doing it and rolling it back: twice, so that what each run makes anew shows."""

from collections import OrderedDict

import psycopg

from approvals import Stale
from approvals_server.postgres.changes import Change, counted, since
from approvals_server.postgres.effect import Cells, Effect, basis_of, made_anew, settled
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.plan import written
from approvals_server.postgres.role import Connection, Role
from approvals_server.postgres.rows import only_rows, rows_changed
from approvals_server.postgres.text import single

SECONDS = 1.5
REMEMBERED = 500
TELLING = frozenset({"22", "P0", "XX"})
"""Classes of errors whose words have values in them: data, RAISE, internal."""


class Trials:
    """Of one process. Locks are held for as long as a trial takes, sequences move on, and nothing else stays."""

    def __init__(self, writer: Role) -> None:
        self._writer = writer
        self._anew: OrderedDict[str, Cells] = OrderedDict()
        """By basis: what an approved effect left open."""

    async def effect(self, sql: str) -> Effect:
        """The same as long as the data is. Raises Away, Refused."""
        one, other = await self._tried(sql), await self._tried(sql)
        anew = made_anew(one, other)
        found = settled(one, anew)
        if found != settled(other, anew):
            raise Refused("Its effect changes while it is looked at.")
        self._anew[basis_of(found)] = anew
        while len(self._anew) > REMEMBERED:
            self._anew.popitem(last=False)
        return found

    async def check(self, approved: str, connection: Connection, changes: tuple[Change, ...]) -> None:
        """Whether an open transaction did what was approved, to the cell. Raises Stale, Away."""
        anew = self._anew.get(approved)
        if anew is None:
            raise Stale("what was approved is not known to this process any more: rolled back")
        found = settled(await self._looked_at(connection, changes), anew)
        if basis_of(found) != approved:
            raise Stale("it did not do what was approved: rolled back")

    async def _tried(self, sql: str) -> Effect:
        async with self._writer.writing(SECONDS) as connection:
            await written(connection, sql)
            before = await counted(connection)
            await _run(connection, sql)
            await only_rows(connection)
            return await self._looked_at(connection, since(before, await counted(connection)))

    async def _looked_at(self, connection: Connection, changes: tuple[Change, ...]) -> Effect:
        async with self._writer.reading(SECONDS) as watcher:
            return Effect(changes, await rows_changed(connection, watcher, changes))


async def _run(connection: Connection, sql: str) -> None:
    """Nobody has approved it: words that a value may stand in are not told, for the write role sees what the agent's
    reads do not."""
    try:
        await connection.execute(single(sql).encode(), prepare=True)
    except psycopg.Error as error:
        if (error.sqlstate or "")[:2] in TELLING:
            raise Refused(
                f"When it was tried, a value did not fit (SQLSTATE {error.sqlstate}).", error.sqlstate or ""
            ) from None
        raise
