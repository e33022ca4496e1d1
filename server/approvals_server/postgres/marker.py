"""The mark that a write leaves in its own transaction, by which a crash is settled: looked up, and fenced."""

from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import class_row

from approvals_server.postgres.errors import Refused
from approvals_server.postgres.role import Connection, Role

SCHEMA = "approvals"
LOCKED = "55P03"
TABLE: LiteralString = """
CREATE SCHEMA IF NOT EXISTS approvals;
CREATE TABLE IF NOT EXISTS approvals.write_marker (
    request_id text PRIMARY KEY,
    ran boolean NOT NULL,
    rows bigint,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE approvals.write_marker IS
    'One row for each approved write that ran (ran), or that was found not to have run and never will (not ran).';
"""
_MARK: LiteralString = (
    "INSERT INTO approvals.write_marker (request_id, ran) VALUES (%s, %s) ON CONFLICT (request_id) DO NOTHING"
)
_ROWS: LiteralString = "UPDATE approvals.write_marker SET rows = %s WHERE request_id = %s"
_LOOK: LiteralString = "SELECT ran, rows, at::text FROM approvals.write_marker WHERE request_id = %s"


@dataclass(frozen=True)
class Marker:
    """What is known of a request."""

    ran: bool
    rows: int | None
    at: str


async def mark(connection: Connection, request_id: str) -> Marker | None:
    """Mark this transaction as the request's; or what there is already of another one."""
    done = await connection.execute(_MARK, [request_id, True])
    return None if done.rowcount == 1 else await _found(connection, request_id)


async def count(connection: Connection, request_id: str, rows: int) -> None:
    """Note in the mark how many rows it was."""
    await connection.execute(_ROWS, [rows, request_id])


async def settled(writer: Role, request_id: str) -> Marker | None:
    """What came of a request. Where it left no mark, one is set that keeps it from ever running: a process that was
    suspended and goes on finds it, and its transaction is rolled back. None while it is still at it. Raises Away."""
    try:
        async with writer.writing() as connection:
            await connection.execute(_MARK, [request_id, False])
            found = await _found(connection, request_id)
            await connection.commit()
            return found
    except Refused as error:
        if error.code == LOCKED:  # its transaction is open
            return None
        raise


async def _found(connection: Connection, request_id: str) -> Marker | None:
    async with connection.cursor(row_factory=class_row(Marker)) as cursor:
        await cursor.execute(_LOOK, [request_id])
        return await cursor.fetchone()
