"""`approvals-postgres init`: the SQL that makes the two roles, with the least that they need."""

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from approvals_server.postgres.functions import REVOKED
from approvals_server.postgres.marker import SCHEMA, TABLE

_HEAD = """-- Run this as a superuser, or part by part as the owner of each part:
-- in the database that agents are to read, psql -f FILE DATABASE
-- Then give each role a password that you keep as a secret: {passwords}
"""
_ROLE = SQL("CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS;")


def script(read: str, write: str, schemas: Sequence[str], writes: Sequence[tuple[str, str]]) -> str:
    """What to run; the write role only for the tables that are named."""
    passwords = ", ".join(f"\\password {name}" for name in ([read, write] if writes else [read]))
    parts = [_HEAD.format(passwords=passwords), REVOKED, "", *_lines(_reader(read, schemas))]
    if writes:
        parts += ["", *_lines(_writer(write, writes))]
    return "\n".join(parts) + "\n"


def _reader(name: str, schemas: Sequence[str]) -> list[Composable]:
    role = Identifier(name)
    said: list[Composable] = [
        _ROLE.format(role=role),
        SQL("ALTER ROLE {role} SET default_transaction_read_only = on;").format(role=role),
    ]
    for schema in map(Identifier, schemas):
        said += [
            SQL("GRANT USAGE ON SCHEMA {schema} TO {role};").format(schema=schema, role=role),
            SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};").format(schema=schema, role=role),
            SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role};").format(
                schema=schema, role=role
            ),
        ]
    return said


def _writer(name: str, writes: Sequence[tuple[str, str]]) -> list[Composable]:
    role = Identifier(name)
    said: list[Composable] = [
        _ROLE.format(role=role),
        SQL(TABLE.strip()),
        SQL("GRANT USAGE ON SCHEMA {schema} TO {role};").format(schema=Identifier(SCHEMA), role=role),
        SQL("GRANT SELECT, INSERT, UPDATE (rows) ON approvals.write_marker TO {role};").format(role=role),
    ]
    for schema in dict.fromkeys(schema for schema, _ in writes):
        said.append(SQL("GRANT USAGE ON SCHEMA {schema} TO {role};").format(schema=Identifier(schema), role=role))
    for place in writes:
        table = Identifier(*place)
        said.append(SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role};").format(table=table, role=role))
        said.append(_SEQUENCES.format(table=Literal(table.as_string(None)), name=Literal(name)))
    return said


_SEQUENCES = SQL("""DO $$ DECLARE one record; BEGIN -- the sequences of its columns
    FOR one IN SELECT d.objid::regclass AS sequence FROM pg_depend d JOIN pg_class s ON s.oid = d.objid
        WHERE d.refobjid = {table}::regclass AND s.relkind = 'S' LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', one.sequence, {name});
    END LOOP;
END $$;""")


def _lines(said: Sequence[Composable]) -> list[str]:
    return [one.as_string(None) for one in said]
