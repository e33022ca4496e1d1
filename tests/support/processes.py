"""Real processes whose lines can be waited for, and the product's own among them."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

PATIENCE = 60.0
CLI = ("-m", "approvals_web.cli")
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until_open(port: int) -> None:
    """Until something listens there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens on port {port}"
            time.sleep(0.02)
        else:
            return


UNLIMITED = {"APPROVALS_AGENT_PENDING": "none", "APPROVALS_AGENT_MINUTE": "none"}
"""For a service: most tests are about other things than how much an agent may ask."""


def clean_environment(**more: str) -> dict[str, str]:
    return (
        {name: value for name, value in os.environ.items() if not name.startswith(("APPROVALS_", "SHOP_"))}
        | UNLIMITED
        | more
    )


def missing(why: str) -> None:
    """Skips the test for want of a part; fails it where nothing may be missing."""
    if os.environ.get("APPROVALS_TEST_REQUIRE_ALL"):
        pytest.fail(why)
    pytest.skip(why)


class Child:
    """A process; its output, line by line, as it comes."""

    def __init__(self, command: tuple[str, ...], cwd: Path, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=clean_environment(**environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._over = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def line(self, start: str) -> str:
        """The first line with this start, once it is there."""

        def found() -> str | None:
            return next((line for line in self.lines if line.startswith(start)), None)

        with self._news:
            self._news.wait_for(lambda: self._over or found() is not None, PATIENCE)
            line = found()
        assert line is not None, f"no line {start!r} in:\n" + "\n".join(self.lines)
        return line

    def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        self.process.kill()
        self._ended()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def wait(self) -> int:
        """Until it ends by itself; the exit code."""
        return self._ended()

    def _ended(self) -> int:
        try:
            code = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self._reader.join(PATIENCE)
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()


class Installed:
    """The product in a folder of its own, run as its users run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = folder / "approvals.db"
        self.children: list[Child] = []
        self.cookie = ""

    def serve(self, *flags: str, **environment: str) -> Child:
        """Until it serves."""
        child = self.start((*CLI, "serve", "--port", str(self.port), *flags), **environment)
        child.line("Review queue:")
        return child

    def start(self, arguments: tuple[str, ...], **environment: str) -> Child:
        child = Child((sys.executable, *arguments), self.folder, environment)
        self.children.append(child)
        return child

    def cli(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """What a command prints on standard output; on standard error when another code is expected."""
        done = subprocess.run(
            [sys.executable, *CLI, *arguments],
            cwd=self.folder,
            env=clean_environment(APPROVALS_PORT=str(self.port), **environment),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout

    def key(self, *arguments: str, **environment: str) -> str:
        """A key that a command makes and shows."""
        found = re.search(r"mcp[as]_\w{12}_[\w-]{43}", self.cli(*arguments, **environment))
        assert found is not None
        return found[0]

    def sign_in(self, served: Child, name: str = "ann") -> httpx2.Client:
        """The first account, by the printed link, as a browser's forms would."""
        client = self.client()
        token = served.line("Sign in:").partition("t=")[2]
        answer = client.post("/setup", data={"t": token, "name": name, "password": "correct horse battery"})
        assert answer.status_code == 303, answer.text
        return client

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, trust_env=False, headers=SAME_ORIGIN, timeout=PATIENCE)

    def listed(self, client: httpx2.Client, summary: str) -> str:
        """The id of the request in the queue whose summary matches this pattern, once it is there."""
        row = re.compile(rf'<a href="/requests/([\w-]+)"(?:(?!</a>).)*?<strong>[^<]*{summary}', re.DOTALL)
        deadline = time.monotonic() + PATIENCE
        while (found := row.search(client.get("/").text)) is None:
            assert time.monotonic() < deadline, f"no request about {summary!r} in the queue"
        return found[1]

    def decide(
        self, client: httpx2.Client, request_id: str, verdict: str = "approve", **fields: str
    ) -> httpx2.Response:
        """Post the card's own form."""
        page = client.get(f"/requests/{request_id}").text
        names = ("content_version", "digest", "card_hash", "seen")
        form = {name: re.search(f'name="{name}" value="([^"]*)"', page)[1] for name in names}  # type: ignore[index]
        return client.post(f"/requests/{request_id}/decisions", data=form | {"verdict": verdict} | fields)

    def rows(self, statement: str, *values: Any) -> list[Any]:
        """What the database holds, read while others write."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=PATIENCE)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def close(self) -> None:
        for child in self.children:
            child.kill()
