"""What a command costs, in processor time and memory: `--version`, `--help`, and one that reads the database."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import Figures

COMMANDS = {"--version": ("--version",), "--help": ("--help",), "server list": ("server", "list")}
TIMES = 5


def measure(times: int = TIMES) -> list[Figures]:
    """Each as a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"APPROVALS_DATABASE_URL": f"sqlite:///{folder}/commands.db"}
        approvals = Path(sys.executable).with_name("approvals")
        subprocess.run([approvals, "migrate"], check=True, env=environment, capture_output=True)
        for name, arguments in COMMANDS.items():
            cpu = Figures(f"approvals {name}: processor time", 0.4, unit=" s")
            memory = Figures(f"approvals {name}: memory", 60, unit=" MB")
            for _ in range(times):
                seconds, megabytes = _run([str(approvals), *arguments], environment)
                cpu.pair(seconds)
                memory.pair(megabytes)
            rows += [cpu, memory]
    return rows


def _run(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
