"""The rows that an open transaction has changed, as they were and as they are: found by the transaction's own number,
whatever changed them. As they were, a second connection still sees them."""

from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from approvals_server.postgres.changes import Change, tables, total
from approvals_server.postgres.role import Connection

MOST_ROWS = 500
MOST_BYTES = 64 * 2**20
"""Of a table, which is read as a whole."""
CELL = 120
_NUMBER = "SELECT pg_current_xact_id()::xid::text"
_READABLE = """
SELECT has_table_privilege(%(table)s, 'SELECT')
    AND COALESCE(sum(pg_relation_size(relid)), pg_relation_size(%(table)s)) <= %(most)s
FROM pg_partition_tree(%(table)s::regclass)
"""
_COLUMNS = """
SELECT a.attname, COALESCE(a.attnum = ANY(i.indkey), false) FROM pg_attribute a
LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_CELL = SQL(
    "CASE WHEN length({column}::text) > {most} THEN left({column}::text, 80) || '… ' || md5({column}::text)"
    " ELSE {column}::text END"
)
_GONE = SQL("SELECT tableoid::text || ctid::text, {cells} FROM {table} WHERE xmax::text = %s LIMIT {most}")
_CAME = SQL("SELECT {cells} FROM {table} WHERE xmin::text = %s LIMIT {most}")
_STILL = SQL("SELECT tableoid::text || ctid::text FROM {table} WHERE tableoid::text || ctid::text = ANY(%s)")

Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Rows:
    """Of one table. Keys come first."""

    table: str
    columns: tuple[str, ...]
    before: tuple[Row, ...]
    after: tuple[Row, ...]


async def rows_changed(writer: Connection, watcher: Connection, changes: tuple[Change, ...]) -> tuple[Rows, ...]:
    """By table; none where there are too many to look at. Raises psycopg.Error."""
    if total(changes) > MOST_ROWS:
        return ()
    cursor = await writer.execute(_NUMBER)
    (number,) = await cursor.fetchone() or ("",)
    found = []
    for table in tables(changes):
        schema, _, name = table.partition(".")
        place = Identifier(schema, name)
        cursor = await watcher.execute(_READABLE, {"table": place.as_string(None), "most": MOST_BYTES})
        if await cursor.fetchone() == (True,):
            found.append(await _rows(writer, watcher, table, place, str(number)))
    return tuple(found)


async def _rows(writer: Connection, watcher: Connection, table: str, place: Identifier, number: str) -> Rows:
    cursor = await watcher.execute(_COLUMNS, [place.as_string(None)])
    columns = sorted(await cursor.fetchall(), key=lambda column: not column[1])
    names = tuple(str(column[0]) for column in columns)
    cells = SQL(", ").join(_cell(name) for name in names)
    most = SQL(str(2 * MOST_ROWS))
    old = await watcher.execute(_GONE.format(cells=cells, table=place, most=most), [number])
    gone = {str(row[0]): tuple(row[1:]) for row in await old.fetchall()}
    still = await writer.execute(_STILL.format(table=place), [list(gone)])  # locked by a foreign key, and not changed
    locked = {str(row[0]) for row in await still.fetchall()}
    new = await writer.execute(_CAME.format(cells=cells, table=place, most=most), [number])
    before = sorted((row for key, row in gone.items() if key not in locked), key=in_order)
    return Rows(table, names, tuple(before), tuple(sorted(await new.fetchall(), key=in_order)))


def in_order(row: Row) -> list[tuple[int, str]]:
    """Numbers by size, texts by length and letters; the same in every run."""
    return [(len(cell or ""), cell or "") for cell in row]


def _cell(name: str) -> Composable:
    return _CELL.format(column=Identifier(name), most=SQL(str(CELL)))
