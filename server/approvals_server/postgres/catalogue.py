"""What tables there are, and what one is like: from the catalogue, as far as the role may read."""

from typing import LiteralString, TypeVar

from psycopg.rows import class_row
from pydantic import BaseModel, Field

from approvals_server.paging import NEXT, cursor_at
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.role import Connection, Role
from approvals_server.postgres.summary import cut

T = TypeVar("T", bound=BaseModel)

COMMENT = 300
MOST_PARTS = 200
"""Columns, keys or indexes of one table."""


class Table(BaseModel):
    """A table or view."""

    schema_name: str
    name: str
    kind: str
    estimated_rows: int | None = Field(description="The planner's estimate; null where it has never looked.")
    bytes: int = Field(description="With its indexes.")
    comment: str | None


class Tables(BaseModel):
    """One page of tables."""

    tables: list[Table]
    next_cursor: str | None = Field(description=NEXT)


class TableColumn(BaseModel):
    """A column."""

    name: str
    type: str
    nullable: bool
    default: str | None
    comment: str | None


class Key(BaseModel):
    """A constraint or an index, as SQL."""

    name: str
    definition: str


class TableDetails(Table):
    """A table with its columns, keys and indexes."""

    columns: list[TableColumn]
    keys: list[Key]
    indexes: list[Key]


_TABLE: LiteralString = """
SELECT n.nspname AS schema_name, c.relname AS name,
    CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
        WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END AS kind,
    CASE WHEN c.reltuples < 0 THEN NULL ELSE c.reltuples::bigint END AS estimated_rows,
    CASE WHEN c.relkind IN ('r', 'p', 'm') THEN pg_total_relation_size(c.oid) ELSE 0 END AS bytes,
    obj_description(c.oid, 'pg_class') AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'
    AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
"""
_PAGE = f"{_TABLE} AND (n.nspname, c.relname) > (%(schema)s, %(name)s) ORDER BY n.nspname, c.relname LIMIT %(limit)s"
_ONE = f"{_TABLE} AND n.nspname = %(schema)s AND c.relname = %(name)s"
_COLUMNS: LiteralString = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
    pg_get_expr(d.adbin, d.adrelid) AS default, col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    AND has_column_privilege(a.attrelid, a.attnum, 'SELECT') ORDER BY a.attnum LIMIT %(most)s
"""
_KEYS: LiteralString = """
SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
WHERE conrelid = %(table)s::regclass AND contype IN ('p', 'u', 'f', 'c', 'x')
    AND (SELECT COALESCE(bool_and(has_column_privilege(conrelid, key, 'SELECT')), true) FROM unnest(conkey) AS u(key))
ORDER BY contype DESC, conname LIMIT %(most)s
"""
_INDEXES: LiteralString = """
SELECT i.relname AS name, pg_get_indexdef(i.oid) AS definition
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE x.indrelid = %(table)s::regclass
    AND (SELECT COALESCE(bool_and(has_column_privilege(x.indrelid, key, 'SELECT')), true)
        FROM (SELECT unnest(x.indkey::int2[]) UNION SELECT refobjsubid::int2 FROM pg_depend
            WHERE classid = 'pg_class'::regclass AND objid = x.indexrelid AND refobjid = x.indrelid) AS u(key)
        WHERE key > 0)
ORDER BY i.relname LIMIT %(most)s
"""


async def tables(role: Role, after: tuple[str, str], limit: int) -> Tables:
    """Those that the role may read, by schema and name. Raises Away, Refused."""
    async with role.reading() as connection, connection.cursor(row_factory=class_row(Table)) as cursor:
        await cursor.execute(_PAGE, {"schema": after[0], "name": after[1], "limit": limit + 1})
        found = [_short(table) for table in await cursor.fetchall()]
    page = found[:limit]
    following = cursor_at([page[-1].schema_name, page[-1].name], "tables") if len(found) > limit else None
    return Tables(tables=page, next_cursor=following)


async def table(role: Role, schema: str, name: str) -> TableDetails:
    """One of them. Raises Away, Refused."""
    async with role.reading() as connection:
        async with connection.cursor(row_factory=class_row(Table)) as cursor:
            await cursor.execute(_ONE, {"schema": schema, "name": name})
            found = await cursor.fetchone()
        if found is None:
            raise Refused(f"There is no table {cut(schema, 63)}.{cut(name, 63)} that this server may read.")
        quoted = await connection.execute("SELECT format('%%I.%%I', %s::text, %s::text)", [schema, name])
        (full,) = await quoted.fetchone() or ("",)
        columns = await _parts(connection, TableColumn, _COLUMNS, full)
        keys = await _parts(connection, Key, _KEYS, full)
        indexes = await _parts(connection, Key, _INDEXES, full)
    return TableDetails(**_short(found).model_dump(), columns=columns, keys=keys, indexes=indexes)


async def _parts(connection: Connection, kind: type[T], sql: LiteralString, table: str) -> list[T]:
    async with connection.cursor(row_factory=class_row(kind)) as cursor:
        await cursor.execute(sql, {"table": table, "most": MOST_PARTS})
        return await cursor.fetchall()


def _short(table: Table) -> Table:
    return table if table.comment is None else table.model_copy(update={"comment": cut(table.comment, COMMENT)})
