"""A fresh, migrated database for each test, of each kind."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from approvals.service.storage import migrate
from support.postgres import PostgresServer


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file at the newest schema, to copy."""
    path = tmp_path_factory.mktemp("schema") / "migrated.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL, shared by all workers; pytest's own folders are closed to the user that it runs as."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    server = PostgresServer(Path(tempfile.gettempdir()) / f"approvals-tests-{run[:12]}")
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh, migrated database of each kind."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


MEMORY = Path("/dev/shm")  # noqa: S108 — a folder of its own in it


@pytest.fixture
def sqlite_url(migrated: Path, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database file. In memory where there is room: what a process leaves behind when it is killed
    is the same there, and thousands of synced commits take no time."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2**30
    with tempfile.TemporaryDirectory(prefix="approvals-test-", dir=MEMORY if roomy else tmp_path) as folder:
        path = Path(folder) / "approvals.db"
        shutil.copyfile(migrated, path)
        yield f"sqlite:///{path}"
