"""What the two roles may do, asked of the database and tried: a role that may more than it must serves nothing."""

from collections.abc import Awaitable, Iterable
from typing import LiteralString

import psycopg

from approvals_server.postgres import marker
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.functions import EXECUTABLE
from approvals_server.postgres.role import Connection, Role
from approvals_server.retries import Away

_NAMED = 5
_WRITABLE: LiteralString = """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles r
WHERE pg_has_role(session_user, r.oid, 'MEMBER') AND c.relkind IN ('r', 'p', 'v', 'f')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
    AND (has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
        OR has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE'))
    AND has_schema_privilege(r.oid, n.oid, 'USAGE')
GROUP BY 1 ORDER BY 1 LIMIT 6
"""
_CREATES: LiteralString = """
SELECT n.nspname FROM pg_namespace n, pg_roles r
WHERE pg_has_role(session_user, r.oid, 'MEMBER') AND n.nspname NOT LIKE 'pg\\_%'
    AND has_schema_privilege(r.oid, n.oid, 'CREATE')
GROUP BY 1 ORDER BY 1 LIMIT 6
"""
_POWERS: LiteralString = """
SELECT r.rolname || ' (' || concat_ws(', ', CASE WHEN r.rolsuper THEN 'superuser' END,
    CASE WHEN r.rolcreaterole THEN 'createrole' END, CASE WHEN r.rolcreatedb THEN 'createdb' END,
    CASE WHEN r.rolreplication THEN 'replication' END, CASE WHEN r.rolbypassrls THEN 'bypassrls' END) || ')'
FROM pg_roles r
WHERE pg_has_role(session_user, r.oid, 'MEMBER')
    AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls)
"""
_SERVER: LiteralString = """
SELECT r.rolname FROM pg_roles r
WHERE r.rolname IN ('pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files', 'pg_write_all_data',
        'pg_signal_backend', 'pg_maintain', 'pg_database_owner')
    AND pg_has_role(session_user, r.oid, 'MEMBER')
"""
_IN_RECOVERY: LiteralString = "SELECT pg_is_in_recovery(), current_setting('track_counts')::bool"
_ACTS = (
    "it may execute {}, which acts though a transaction is rolled back: REVOKE EXECUTE ON FUNCTION … FROM PUBLIC and "
    "from the role, as a superuser, or run what `approvals-postgres init` prints"
)
_PROBE: LiteralString = "CREATE TABLE approvals_probe_of_the_read_role ()"


async def unfit_reader(role: Role) -> list[str]:
    """Why a role is none to read with: it can write, or become somebody who can. Raises Away, Refused."""
    async with role.writing() as connection:
        found = [
            *await _told(connection, _POWERS, "it is a role with powers beyond reading: {}"),
            *await _told(connection, _SERVER, "it is a member of {}"),
            *await _told(connection, _WRITABLE, "it can write {}"),
            *await _told(connection, _CREATES, "it can create tables in the schema {}"),
            *await _told(connection, EXECUTABLE, _ACTS),
        ]
        if not found and await _writes(connection):
            found.append("it could create a table (which was rolled back)")
    return found


async def unfit_writer(role: Role) -> list[str]:
    """Why a role is none to write with: it may more than write rows, or what is needed is missing. Raises Away,
    Refused."""
    async with role.writing() as connection:
        found = [
            *await _told(connection, _POWERS, "it is a role with powers beyond writing rows: {}"),
            *await _told(connection, _SERVER, "it is a member of {}"),
            *await _told(connection, EXECUTABLE, _ACTS),
        ]
        cursor = await connection.execute(_IN_RECOVERY)
        replica, counts = await cursor.fetchone() or (False, True)
        if replica:
            found.append("it is connected to a replica, and writes go to the primary")
        if not counts:
            found.append("the database does not count what a transaction changes: set track_counts = on")
        if not found:
            found += await _unmarked(connection)
    return found


async def _told(connection: Connection, sql: LiteralString, words: str) -> list[str]:
    cursor = await connection.execute(sql)
    names = [str(row[0]) for row in await cursor.fetchall()]
    return [words.format(_listed(names))] if names else []


def _listed(names: Iterable[str]) -> str:
    first = list(names)
    return ", ".join(first[:_NAMED]) + (" and more" if len(first) > _NAMED else "")


async def _writes(connection: Connection) -> bool:
    """Tried, and rolled back: on a replica, and where the role may not, the database refuses it."""
    try:
        async with connection.transaction():
            await connection.execute(_PROBE)
    except psycopg.Error:
        return False
    return True


async def _unmarked(connection: Connection) -> list[str]:
    """Whether a mark can be left: tried, and rolled back."""
    try:
        async with connection.transaction(force_rollback=True):
            await marker.mark(connection, "approvals-probe")
            await marker.count(connection, "approvals-probe", 0)
    except psycopg.Error:
        return ["it cannot leave a mark in approvals.write_marker: run what `approvals-postgres init` prints"]
    return []


async def refusals(reader: Role, writer: Role | None) -> list[str]:
    """Why this server does not start, in sentences; none when it may."""
    said = [*await _asked("read", unfit_reader(reader))]
    if writer is not None:
        said += await _asked("write", unfit_writer(writer))
    return said


async def _asked(kind: str, asked: Awaitable[list[str]]) -> list[str]:
    try:
        return [f"The {kind} role is not fit: {why}." for why in await asked]
    except (Away, Refused) as error:
        return [f"The {kind} role cannot be tried: {error}"]
