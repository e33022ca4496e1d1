"""One approved statement: marked with its request, counted by the database, and committed only within what was
approved."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

import psycopg
from psycopg import AsyncCursor
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow
from pydantic import BaseModel, Field

from approvals_server.postgres import marker
from approvals_server.postgres.changes import Change, beyond, counted, sentence, since, total
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.plan import written
from approvals_server.postgres.role import Connection, Role, broke
from approvals_server.postgres.rows import only_rows
from approvals_server.postgres.search import PLAIN
from approvals_server.postgres.summary import Cell, cell, page_of
from approvals_server.postgres.text import single

RETURNED = 50
BOOL, FLOATS = 16, {700, 701}
_TRANSACTION: str = "SELECT pg_current_xact_id()::text"


Check = Callable[[Connection, tuple[Change, ...]], Awaitable[None]]


class Changed(BaseModel):
    """Rows of one table."""

    verb: str
    table: str
    rows: int


class Written(BaseModel):
    """What was done, and committed."""

    command: str
    rows: int = Field(description="That were inserted, updated or deleted, by triggers and cascades, too.")
    changes: list[Changed]
    columns: list[str] = Field(description="Of what RETURNING gave.")
    returned: list[list[Cell]] = Field(description=f"What RETURNING gave, up to {RETURNED} rows.")


class Unsure(Exception):
    """The connection broke in the moment of the commit."""


class TooMany(Exception):
    """It would have changed more than was approved; it was rolled back."""

    def __init__(self, changes: tuple[Change, ...], approved: int) -> None:
        did, rows = sentence(changes), total(changes)
        words = f"{approved:,} were approved" if rows > approved else "not all of that was approved"
        super().__init__(f"it changed {rows:,} rows, and {words} ({did}): rolled back")
        self.changes = changes


class Earlier(Exception):
    """The request has left its mark before."""

    def __init__(self, found: marker.Marker) -> None:
        super().__init__("this request has run, or was settled as not run")
        self.found = found


async def write(
    writer: Role,
    sql: str,
    request_id: str,
    approved: int | None,
    check: Check | None = None,
    foreseen: tuple[Change, ...] | None = None,
) -> Written:
    """Run it once, within the tables, verbs and rows that were foreseen (without any: that the planner foresees now);
    or else with a `check` that looks at what was done and may refuse it. Raises TooMany, Earlier, Unsure, Away,
    Refused, and what the check raises; after all but Unsure nothing was changed."""
    async with writer.writing() as connection:
        plan = await written(connection, sql)
        expected = plan.changes if foreseen is None else foreseen
        if (found := await marker.mark(connection, request_id)) is not None:
            raise Earlier(found)
        before, transaction = await counted(connection), await _transaction(connection)
        cursor = await connection.execute(single(sql).encode(), prepare=True)
        if await _transaction(connection) != transaction:
            raise Refused("This controls the transaction, and a write is one transaction of its own.")
        await only_rows(connection)
        changes = since(before, await counted(connection))
        if any(change.table.startswith(f"{marker.SCHEMA}.") for change in changes):
            raise Refused("It changed this server's own markers, which no statement may.")
        most = total(expected) if approved is None else approved
        if total(changes) > most or (check is None and beyond(changes, expected)):
            raise TooMany(changes, most)
        if check is not None:
            await check(connection, changes)
        told = _told(cursor, changes)
        await marker.count(connection, request_id, total(changes))
        with _committing():
            await _commit(connection)
    return told


async def _commit(connection: Connection) -> None:
    await connection.commit()


async def _transaction(connection: Connection) -> str:
    cursor = await connection.execute(_TRANSACTION)
    row = await cursor.fetchone()
    return str(row[0]) if row else ""


def _told(cursor: AsyncCursor[TupleRow], changes: tuple[Change, ...]) -> Written:
    columns = [column.name for column in cursor.description or ()]
    rows = _returned(cursor.pgresult) if columns and cursor.pgresult else []
    return Written(
        command=cursor.statusmessage or "",
        rows=total(changes),
        changes=[Changed(verb=one.verb, table=one.table, rows=one.rows) for one in changes],
        columns=columns,
        returned=page_of(rows, RETURNED),
    )


def _returned(result: PGresult) -> list[list[Cell]]:
    """As search tells them: what is no plain number, in the database's own text."""
    kinds = [result.ftype(index) for index in range(result.nfields)]
    return [
        [_value(kind, result.get_value(row, index)) for index, kind in enumerate(kinds)]
        for row in range(min(result.ntuples, RETURNED))
    ]


def _value(kind: int, raw: bytes | None) -> Cell:
    if raw is None:
        return None
    text = raw.decode(errors="replace")
    if kind not in PLAIN:
        return cell(text)
    return text == "t" if kind == BOOL else cell(float(text) if kind in FLOATS else int(text))


@contextlib.contextmanager
def _committing() -> Iterator[None]:
    """An answer that the database gave says whether it is done; one that never came says nothing."""
    try:
        yield
    except psycopg.Error as error:
        if broke(error) or error.sqlstate == "57014":  # stopped while it waited for a standby: it is done here
            raise Unsure from error
        raise
    except (asyncio.CancelledError, TimeoutError) as error:
        raise Unsure from error
