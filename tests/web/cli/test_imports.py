"""What a command imports is what it needs: to a running service it says a line, and needs no part of the service."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from support.processes import clean_environment

HEAVY = "{'sqlalchemy', 'sqlmodel', 'fastapi', 'aiohttp', 'slack_sdk', 'alembic', 'cel_expr_python', 'cryptography'}"
LOADED = f"""
import atexit, sys
from approvals_web.cli import main
atexit.register(lambda: print("loaded:", sorted({{name.partition(".")[0] for name in sys.modules}} & {HEAVY})))
main()
"""


@pytest.mark.parametrize("command", ["--version", "--help", "freeze --help", "server --help", "slack manifest --help"])
def test_help_needs_no_part_of_the_service(command: str, tmp_path: Path):
    assert "loaded: []" in _run(command, tmp_path)


@pytest.mark.parametrize("command", ["freeze --list", "server list", "agent list", "user list", "grant list"])
def test_a_command_to_a_running_service_needs_no_part_of_it(command: str, tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "approvals.db.sock"))
        listening.listen()
        threading.Thread(target=_answer, args=(listening,), daemon=True).start()
        assert "loaded: []" in _run(command, tmp_path)


def _answer(listening: socket.socket) -> None:
    """Stand for the service: its address, then an answer that every command can show."""
    for answer in (b'{"result": "http://127.0.0.1:8700"}\n', *[b'{"result": []}\n'] * 2):
        connection, _ = listening.accept()
        with connection:
            connection.makefile("rb").readline()
            connection.sendall(answer)


def _run(command: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *command.split()],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout
