"""The processes under measure: the floor and the service, each on its own database in a fresh folder."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@contextlib.contextmanager
def floor() -> Iterator[str]:
    """The floor's URL."""
    with _running("floor.py") as (_, line):
        yield line


@contextlib.contextmanager
def subject() -> Iterator[dict[str, Any]]:
    """The service's URL and credentials, and its process id."""
    with _running("subject.py") as (pid, line):
        yield json.loads(line) | {"pid": pid}


@contextlib.contextmanager
def _running(script: str) -> Iterator[tuple[int, str]]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / script), f"{folder}/bench.db"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
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
