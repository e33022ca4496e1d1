"""A database's MCP server: reads run at once, in transactions that cannot write; a write waits for a person."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from approvals import Approval, GatedServer, Preview
from approvals.errors import Invalid
from approvals_server import retries
from approvals_server.annotations import DESTROYS, READS
from approvals_server.paging import Cursor, Limit, place_of
from approvals_server.postgres import catalogue, explain, search
from approvals_server.postgres.catalogue import TableDetails, Tables
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.explain import Explanation
from approvals_server.postgres.role import Role
from approvals_server.postgres.statement import Sql
from approvals_server.postgres.summary import Found
from approvals_server.postgres.write import Written
from approvals_server.postgres.writer import Writer
from approvals_server.retries import Away

T = TypeVar("T")

Name = Annotated[str, Field(min_length=1, max_length=63)]
PREVIEW_SECONDS = 4.0
UNSTEADY = frozenset({"55P03", "57014", "40001", "40P01"})
"""A lock, a time-out, another transaction: the next look may find it."""
READS_AT_ONCE = 10
"""Connections that this process takes for reads; more wait."""


def create_postgres(
    reader: Role, writer: Role | None = None, name: str = "postgres", *, exact: bool = False
) -> GatedServer:
    """The server over a database; without a write role it has no tool that writes. With `exact`, writes are tried and
    rolled back for their preview. The gate is configured by the environment (see GatedServer)."""
    words = "A PostgreSQL database. Reads run at once and can change nothing."
    waits = " A write waits for a person." if writer is not None else " This server has no writes."
    mcp = GatedServer(name, instructions=words + waits, log_level="WARNING")
    slots = asyncio.Semaphore(READS_AT_ONCE)

    async def read(attempt: Callable[[], Awaitable[T]]) -> T:
        async with slots:
            return await _asked(retries.read(attempt))

    @mcp.tool(annotations=READS)
    async def list_tables(cursor: Cursor = "", limit: Limit = 50) -> Tables:
        """List the tables and views that this server may read, by schema and name, with the planner's estimate of their
        rows, their size and their comment. Use it first, to learn what there is and how it is called. Returns at most
        50, and a cursor for the next page. For the columns of one table use get_table. Changes nothing and needs no
        approval."""
        place = place_of(cursor, "tables") or ["", ""]
        if len(place) != 2:
            raise ToolError("This cursor is none of ours: pass next_cursor as it came, or nothing.")
        return await read(lambda: catalogue.tables(reader, (str(place[0]), str(place[1])), limit))

    @mcp.tool(annotations=READS)
    async def get_table(table: Name, schema_name: Name = "public") -> TableDetails:
        """Look at one table: its columns with types, defaults and comments, its keys and constraints, its indexes, the
        planner's estimate of its rows and its size. Use it before you write a query or a statement, to get names and
        types right and to see which index a condition can use. Fails when there is no such table that this server may
        read. Changes nothing and needs no approval."""
        return await read(lambda: catalogue.table(reader, schema_name, table))

    @mcp.tool(annotations=READS)
    async def search_postgres(sql: Sql, cursor: Cursor = "", limit: Limit = 20) -> Found:
        """Ask one query (SELECT, VALUES, or WITH that only reads) in a transaction that cannot write. Returns the first
        rows, at most 50 and 48 KB, long texts cut at 400 characters; a summary of up to 1,000 rows from there on (for
        each column its type, nulls, distinct values, minimum and maximum); and a cursor for the next page of the same
        query. Give the query an ORDER BY if you page through it. Ask for counts and sums in SQL rather than paging
        through thousands; a query may take 10 seconds. Changes nothing and needs no approval."""
        (skipped,) = place_of(cursor, "search", sql) or [0]
        if not isinstance(skipped, int) or not 0 <= skipped <= search.MOST_SKIPPED:
            raise ToolError(f"A cursor goes {search.MOST_SKIPPED:,} rows far: narrow the query.")
        return await read(lambda: search.search(reader, sql, skipped, limit))

    @mcp.tool(annotations=READS)
    async def explain_query(sql: Sql) -> Explanation:
        """Ask the planner how it would answer one statement, without running it: the rows it expects, the cost, how
        each table is read (a sequential scan of a large table is slow; an index is named), and for a write which tables
        it would change. Use it before a query over a large table, and to see whether a condition finds an index. The
        figures are estimates. Changes nothing and needs no approval."""
        return await read(lambda: explain.explain(reader, sql))

    if writer is not None:
        _add_write(mcp, Writer(writer, exact=exact))
    return mcp


def _add_write(mcp: GatedServer, writer: Writer) -> None:
    async def look(sql: str) -> Preview:
        try:
            return await writer.preview(sql)
        except Refused as error:
            if error.code in UNSTEADY:
                raise ToolError(str(error)) from error
            raise Invalid(str(error)) from error
        except Away as error:
            raise ToolError(str(error)) from error

    approval = Approval(preview=look, preview_seconds=PREVIEW_SECONDS, verify=writer.verify)

    @mcp.tool(annotations=DESTROYS, approval=approval)
    async def execute_write(sql: Sql) -> Written:
        """Run one statement that writes (INSERT, UPDATE, DELETE, MERGE) in a transaction of its own. Waits until a
        person approves, which may take a while; say why in approval_reason. The person is shown how many rows it
        changes; when it would change more than was approved, everything is rolled back and it is asked anew. Look with
        search_postgres first, name rows by their key, and add RETURNING to get back what was written. Returns the rows
        changed by table, triggers and cascades included. The same approved call never runs twice."""
        try:
            return await writer.write(sql)
        except (Refused, Away) as error:
            raise ToolError(f"{error} Nothing was changed.") from error


async def _asked(answer: Awaitable[T]) -> T:
    """The database's own words to the agent when it cannot be done."""
    try:
        return await answer
    except (Refused, Away) as error:
        raise ToolError(str(error)) from error
