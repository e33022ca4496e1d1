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
ORDERED = {26, 650, 774, 790, 829, 869, 1082, 1083, 1114, 1184, 1186, 1266, 2950}
"""Types of bounded size whose texts have another order than their values (dates, intervals, money, addresses): the
database says where each stands."""
_TYPES: LiteralString = "SELECT format_type(kind, NULL) FROM unnest(%s::oid[]) WITH ORDINALITY AS t(kind, n) ORDER BY n"


async def search(role: Role, sql: str, skipped: int, limit: int) -> Found:
    """The rows from a place on. The text is a query inside of a query of ours, sent as one statement: that no other
    runs and nothing is written is the database's doing. Raises Away, Refused."""
    async with role.reading() as connection:
        asked = single(sql)
        names, kinds = await _described(connection, asked)
        cursor = await connection.execute(_text(asked, kinds, skipped).encode(), prepare=True)
        found = await cursor.fetchall()
        types = await connection.execute(_TYPES, [list(kinds)])
        told = [str(row[0]) for row in await types.fetchall()]
    rows: list[list[Cell]] = [[cell(value) for value in row[: len(kinds)]] for row in found]
    looked, more = rows[:LOOKED_AT], len(rows) > LOOKED_AT
    ordered = [index for index, kind in enumerate(kinds) if kind in ORDERED]
    ranks = {index: [row[len(kinds) + place] for row in found[:LOOKED_AT]] for place, index in enumerate(ordered)}
    page = page_of(looked, limit)
    following = skipped + len(page) if len(page) < len(rows) else None
    return Found(
        columns=columns_of(names, told, looked, ranks),
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


def _text(asked: str, kinds: Sequence[int], skipped: int) -> str:
    """Of the query around theirs: cells, in the order in which theirs gives them, and ranks."""
    cells = [f"{_expression(index, kind)} AS t{index}" for index, kind in enumerate(kinds)]
    aliases = [f"c{index}" for index in range(len(kinds))]
    ordered = [f"c{index}" for index, kind in enumerate(kinds) if kind in ORDERED]
    place = ["row_number() OVER () AS place"] if ordered else []
    text = (
        f"SELECT {', '.join([*cells, *ordered, *place])} FROM ({asked}\n) AS q({', '.join(aliases)}) "  # noqa: S608
        f"LIMIT {LOOKED_AT + 1} OFFSET {skipped}"
    )
    if not ordered:
        return text
    told = [f"t{index}" for index in range(len(kinds))] + [f"rank() OVER (ORDER BY {name})" for name in ordered]
    return f"SELECT {', '.join(told)} FROM ({text}) AS p ORDER BY place"  # noqa: S608


def _expression(index: int, kind: int) -> str:
    return f"c{index}" if kind in PLAIN else f"left(c{index}::text, {CELL + 1})"
