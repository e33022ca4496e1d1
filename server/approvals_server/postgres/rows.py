"""The rows that an open transaction has changed, as they were and as they are: found by the transaction's own number,
whatever changed them. As they were, a second connection still sees them."""

from collections import Counter
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from approvals_server.postgres.changes import Change, tables, total
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.role import Connection

MOST_ROWS = 500
MOST_BYTES = 64 * 2**20
"""Of a table, which is read as a whole."""
CELL = 120
_NUMBER = "SELECT pg_current_xact_id()::text::bigint"
_OURS = SQL(
    "CASE WHEN age(xmin) <= age(pg_current_xact_id()::xid) THEN pg_xact_status("
    "({number} + age(pg_current_xact_id()::xid) - age(xmin))::text::xid8) = 'in progress' ELSE false END"
)
"""Of a row that a connection sees: its own transaction made it, or one inside of that (EXCEPTION, SAVEPOINT)."""
_DEFINED = SQL(
    "SELECT relnamespace::regnamespace::text || '.' || relname FROM pg_class"
    " WHERE relpersistence <> 't' AND {ours} ORDER BY relkind <> 'r', 1 LIMIT 1"
)
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
_GONE = SQL(
    "SELECT tableoid::text || ctid::text, {cells} FROM {table} WHERE age(xmax) BETWEEN 0 AND age(%s::xid) LIMIT {most}"
)
_CAME = SQL("SELECT {cells} FROM {table} WHERE {ours} LIMIT {most}")
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
    number = await _number(writer)
    found = []
    for table in tables(changes):
        schema, _, name = table.partition(".")
        place = Identifier(schema, name)
        cursor = await watcher.execute(_READABLE, {"table": place.as_string(None), "most": MOST_BYTES})
        if await cursor.fetchone() == (True,):
            rows = await _rows(writer, watcher, table, place, number)
            _complete(rows, changes)
            found.append(rows)
    return tuple(found)


async def only_rows(writer: Connection) -> None:
    """Whether a transaction has changed nothing but rows: what TRUNCATE empties, no counter tells. Raises Refused,
    psycopg.Error."""
    cursor = await writer.execute(_DEFINED.format(ours=_OURS.format(number=SQL(str(await _number(writer))))))
    if (row := await cursor.fetchone()) is not None:
        raise Refused(f"It emptied or redefined {row[0]}, which a write may not: rolled back.")


async def _number(writer: Connection) -> int:
    cursor = await writer.execute(_NUMBER)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


def _complete(rows: Rows, changes: tuple[Change, ...]) -> None:
    """Whether the rows that were found are as many as the database has counted. Raises Refused."""
    of = Counter[str]()
    for change in changes:
        if change.table == rows.table:
            of[change.verb] += change.rows
    before, after = of["update"] + of["delete"], of["insert"] + of["update"]
    if (len(rows.before), len(rows.after)) != (before, after):
        raise Refused(
            f"Its effect on {rows.table} cannot be shown: the database counted {before} rows before and {after} after, "
            f"and {len(rows.before)} and {len(rows.after)} are found (rows that are changed twice, or hidden)."
        )


async def _rows(writer: Connection, watcher: Connection, table: str, place: Identifier, number: int) -> Rows:
    cursor = await watcher.execute(_COLUMNS, [place.as_string(None)])
    columns = sorted(await cursor.fetchall(), key=lambda column: not column[1])
    names = tuple(str(column[0]) for column in columns)
    cells = SQL(", ").join(_cell(name) for name in names)
    most = SQL(str(2 * MOST_ROWS))
    old = await watcher.execute(_GONE.format(cells=cells, table=place, most=most), [str(number % 2**32)])
    gone = {str(row[0]): tuple(row[1:]) for row in await old.fetchall()}
    still = await writer.execute(_STILL.format(table=place), [list(gone)])  # locked by a foreign key, and not changed
    locked = {str(row[0]) for row in await still.fetchall()}
    new = await writer.execute(
        _CAME.format(cells=cells, table=place, most=most, ours=_OURS.format(number=SQL(str(number))))
    )
    before = sorted((row for key, row in gone.items() if key not in locked), key=in_order)
    return Rows(table, names, tuple(before), tuple(sorted(await new.fetchall(), key=in_order)))


def in_order(row: Row) -> list[tuple[int, str]]:
    """Numbers by size, texts by length and letters; the same in every run."""
    return [(len(cell or ""), cell or "") for cell in row]


def _cell(name: str) -> Composable:
    return _CELL.format(column=Identifier(name), most=SQL(str(CELL)))
