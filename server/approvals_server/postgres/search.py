"""One query of an agent: asked in a transaction that cannot write, looked at up to a cap, told in a page."""

from collections.abc import Sequence
from typing import LiteralString

from approvals_server.paging import cursor_at
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.role import Connection, Role
from approvals_server.postgres.summary import CELL, Cell, Found, cell, columns_of, page_of
from approvals_server.postgres.text import single

LOOKED_AT = 1000
"""Rows that a summary is made of."""
MOST_COLUMNS = 100
MOST_SKIPPED = 1_000_000
PLAIN = {16, 20, 21, 23, 700, 701}
"""Types whose values are numbers, true or false, and of bounded size."""
_TYPES: LiteralString = "SELECT format_type(kind, NULL) FROM unnest(%s::oid[]) WITH ORDINALITY AS t(kind, n) ORDER BY n"


async def search(role: Role, sql: str, skipped: int, limit: int) -> Found:
    """The rows from a place on. The text is a query inside of a query of ours, sent as one statement: that no other
    runs and nothing is written is the database's doing. Raises Away, Refused."""
    async with role.reading() as connection:
        asked = single(sql)
        names, kinds = await _described(connection, asked)
        cells = ", ".join(_expression(index, kind) for index, kind in enumerate(kinds))
        aliases = ", ".join(f"c{index}" for index in range(len(kinds)))
        text = f"SELECT {cells} FROM ({asked}\n) AS q({aliases}) LIMIT {LOOKED_AT + 1} OFFSET {skipped}"  # noqa: S608
        cursor = await connection.execute(text.encode(), prepare=True)
        rows: list[list[Cell]] = [[cell(value) for value in row] for row in await cursor.fetchall()]
        types = await connection.execute(_TYPES, [list(kinds)])
        told = [str(row[0]) for row in await types.fetchall()]
    looked, more = rows[:LOOKED_AT], len(rows) > LOOKED_AT
    page = page_of(looked, limit)
    following = skipped + len(page) if len(page) < len(rows) else None
    return Found(
        columns=columns_of(names, told, looked),
        rows=page,
        rows_looked_at=len(looked),
        more_rows=more,
        next_cursor=None if following is None else cursor_at([following], "search", sql),
    )


async def _described(connection: Connection, asked: str) -> tuple[Sequence[str], Sequence[int]]:
    """The names and types of the columns, without a row. By itself it has to be a query: else it could leave ours, and
    the cut of what comes back."""
    await connection.execute(f"PREPARE approvals_query AS {asked}".encode(), prepare=True)
    await connection.execute("DEALLOCATE approvals_query")
    cursor = await connection.execute(f"SELECT * FROM ({asked}\n) AS q LIMIT 0".encode(), prepare=True)  # noqa: S608
    columns = cursor.description or []
    if not columns:
        raise Refused("The query has no columns.")
    if len(columns) > MOST_COLUMNS:
        raise Refused(f"The query has {len(columns)} columns; name the {MOST_COLUMNS} that you need.")
    return [column.name for column in columns], [column.type_code for column in columns]


def _expression(index: int, kind: int) -> str:
    return f"c{index}" if kind in PLAIN else f"left(c{index}::text, {CELL + 1})"
