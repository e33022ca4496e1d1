"""An approval service for one test: in a folder of its own, with a policy that lets reads run and denies the rest."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import bindparam, select

from approvals.errors import Unavailable
from approvals.service.storage.database import database_at
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import GateSession, Installation, SessionTool, table_of
from approvals_web.smoke.report import Tested

AGENT = "smoke"
PATIENCE = 60
REASON = "The smoke test lets nothing be written."
POLICY = f"""\
version: 1
rules:
  - id: reads
    match: {{trusted: true, annotations: {{read_only: true}}}}
    action: allow
  - id: smoke-test
    action: deny
    reason: {REASON}
"""
_tools, _sessions, _installations = table_of(SessionTool), table_of(GateSession), table_of(Installation)
_SERVED = Statement(
    select(_tools.c.name, _tools.c.tool_hash, _tools.c.code_version)
    .join_from(_tools, _sessions, _sessions.c.id == _tools.c.session_id)
    .join(_installations, _installations.c.id == _sessions.c.installation_id)
    .where(_installations.c.server == bindparam("server"))
    .order_by(_tools.c.name)
)


@dataclass(frozen=True)
class Room:
    """The running service, as a server's gate finds it."""

    folder: Path
    environment: Mapping[str, str]
    agent: Mapping[str, str]

    def settings(self, server: str) -> dict[str, str]:
        """Settings for a gate, by environment variable: with a key for the server of this name. Raises Unavailable."""
        key = _key(self.folder, self.environment, "server", "add", server, "--assurance", "enforced")
        return {**key, **self.agent}

    def tested(self, server: str) -> dict[str, Tested]:
        """List the tools that a server's gate registered."""
        rows = database_at(_database(self.folder)).read_now(lambda reader: reader.all(_SERVED, server=server))
        return {row.name: Tested(row.tool_hash, row.code_version) for row in rows}


@contextlib.contextmanager
def opened() -> Iterator[Room]:
    """A room while the context lasts; nothing of it is left. Raises Unavailable when its service does not start."""
    with tempfile.TemporaryDirectory(prefix="approvals-smoke-") as kept, contextlib.ExitStack() as held:
        folder = Path(kept)
        (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
        port = _free_port()
        environment = _environment(folder, port)
        service = held.enter_context(_serving(folder, environment))
        _until_ready(service)
        agent = _key(folder, environment, "agent", "add", AGENT)
        yield Room(folder, environment, {"APPROVALS_AGENT_KEY": agent["APPROVALS_AGENT_KEY"]})


def _environment(folder: Path, port: int) -> dict[str, str]:
    """Nothing of the service that this machine runs in earnest."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("APPROVALS_")}
    return outer | {
        "APPROVALS_DATABASE_URL": _database(folder),
        "APPROVALS_POLICY": str(folder / "policy.yaml"),
        "APPROVALS_PORT": str(port),
        "APPROVALS_HOST": "127.0.0.1",
    }


def _database(folder: Path) -> str:
    return f"sqlite:///{folder / 'approvals.db'}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "approvals_web.cli", *arguments]


@contextlib.contextmanager
def _serving(folder: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    with (folder / "service.log").open("w", encoding="utf-8") as log:
        service = subprocess.Popen(  # noqa: S603 — our own command
            _command("serve"), cwd=folder, env=dict(environment), stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            yield service
        finally:
            service.kill()  # nothing of it is kept
            service.communicate()


def _until_ready(service: subprocess.Popen[str]) -> None:
    assert service.stdout is not None  # noqa: S101 — it is a pipe
    for line in service.stdout:
        if line.startswith("Review queue:"):
            return
    raise Unavailable("The smoke test's own approval service does not start.", hint="Does `approvals serve` start?")


def _key(folder: Path, environment: Mapping[str, str], *arguments: str) -> dict[str, str]:
    """The settings that a command prints."""
    done = subprocess.run(  # noqa: S603 — our own command
        _command(*arguments), cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=PATIENCE
    )
    lines = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("APPROVALS_"))
    if done.returncode or not lines:
        raise Unavailable(f"The smoke test's own service gives no key: {done.stderr.strip():.500}")
    return lines
