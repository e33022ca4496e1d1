"""`approvals-postgres`: a PostgreSQL database over MCP; `init` prints the SQL for its two roles."""

import argparse
import asyncio
import logging
import sys

from approvals.errors import NotConfigured
from approvals_server import serving
from approvals_server.credentials import credential

READ, WRITE = "POSTGRES_READ_URL", "POSTGRES_WRITE_URL"


def main() -> None:
    """Serve until the client, or a signal, ends it."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="approvals-postgres: %(message)s")
    try:
        import psycopg
        import sqlglot
    except ModuleNotFoundError as missing:
        sys.exit(f"approvals-postgres: {missing.name} is not installed: pip install 'mcp-approvals[postgres]'")
    del psycopg, sqlglot
    if sys.argv[1:2] == ["init"]:
        _init(sys.argv[2:])
    else:
        _serve(sys.argv[1:])


def _serve(words: list[str]) -> None:
    from approvals_server.postgres.postgres import create_postgres
    from approvals_server.postgres.role import Role
    from approvals_server.postgres.roles import refusals

    parser = serving.arguments("approvals-postgres", f"{__doc__} Settings: {READ} and, for writes, {WRITE}.")
    parser.add_argument("--name", default="postgres", help="the server's name at the approval service")
    parser.add_argument(
        "--exact", action="store_true", help="find what a write would change by doing it and rolling it back"
    )
    asked = parser.parse_args(words)
    if not asked.name.strip():
        parser.error("--name is empty")
    try:
        read, write = credential(READ), credential(WRITE)
    except NotConfigured as error:
        sys.exit(f"approvals-postgres: {error.detail}")
    if read is None:
        sys.exit(f"approvals-postgres: {READ} is not set: the address of a role that can only read, or file:PATH.")
    reader, writer = Role(read), Role(write) if write else None
    if why := asyncio.run(refusals(reader, writer)):
        sys.exit("\n".join(f"approvals-postgres: {sentence}" for sentence in why))
    serving.run(create_postgres(reader, writer, asked.name, exact=asked.exact), asked)


def _init(words: list[str]) -> None:
    from approvals_server.postgres.grants import script

    parser = argparse.ArgumentParser(prog="approvals-postgres init", description="Print the SQL for the two roles.")
    parser.add_argument("--read-role", default="approvals_read")
    parser.add_argument("--write-role", default="approvals_write")
    parser.add_argument("--schema", action="append", help="whose tables agents may read; public without one")
    parser.add_argument("--writes", action="append", default=[], metavar="SCHEMA.TABLE", type=_table)
    asked = parser.parse_args(words)
    sys.stdout.write(script(asked.read_role, asked.write_role, asked.schema or ["public"], asked.writes))


def _table(text: str) -> tuple[str, str]:
    schema, dot, table = text.partition(".")
    if not (schema and dot and table) or "." in table:
        raise argparse.ArgumentTypeError(f"{text!r} is not SCHEMA.TABLE, like public.orders")
    return schema, table


if __name__ == "__main__":
    main()
