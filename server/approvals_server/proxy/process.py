"""An upstream that is a process of the proxy's own: one JSON-RPC message a line, on its standard streams."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Mapping, Sequence

from approvals_server.proxy import frames
from approvals_server.proxy.frames import Frame
from approvals_server.proxy.upstream import Gone, Receive, UpstreamLost

logger = logging.getLogger("approvals.proxy")

GRACE = 3.0
"""Seconds that a process has to end once its standard input is closed, and again once it was asked to."""


class UpstreamProcess:
    """A process, from its start to its end. Its standard error is the proxy's."""

    def __init__(self, process: asyncio.subprocess.Process, receive: Receive, gone: Gone) -> None:
        self._process = process
        self._receive = receive
        self._gone = gone
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, command: Sequence[str], receive: Receive, gone: Gone, *, more: Mapping[str, str] | None = None
    ) -> "UpstreamProcess":
        """With `more` in its environment. `gone` is told when the process ended by itself. Raises UpstreamLost when it
        cannot start."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment_for(os.environ) | dict(more or {}),
                limit=frames.MAX_MESSAGE,
                start_new_session=True,
            )
        except OSError as error:
            words = f"The upstream MCP server {command[0]!r} cannot be started: {error.strerror}."
            raise UpstreamLost(words, sent=False) from error
        return cls(process, receive, gone)

    async def send(self, frame: Frame) -> None:
        stdin = self._process.stdin
        if stdin is None or self._process.returncode is not None:
            raise UpstreamLost("The upstream MCP server has ended.", sent=False)
        try:
            stdin.write(frame.raw + b"\n")
            await stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise UpstreamLost("The upstream MCP server has ended.") from error

    async def close(self) -> None:
        """As MCP asks: close its input, then ask it to end, then end it."""
        self._reading.cancel()
        if self._process.stdin is not None:
            self._process.stdin.close()
        for kind in (None, signal.SIGTERM, signal.SIGKILL):
            if kind is not None:
                self._signal(kind)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    await self._process.wait()
                    break
        self._signal(signal.SIGKILL)  # what it started itself, and left behind
        await asyncio.gather(self._reading, return_exceptions=True)

    def _signal(self, kind: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, kind)

    async def _read(self) -> None:
        words = "The upstream MCP server has ended"
        try:
            while line := await self._process.stdout.readline():  # type: ignore[union-attr]
                await self._take(line)
            words = f"The upstream MCP server has ended, with exit code {await self._process.wait()}"
        except ValueError:
            words = f"The upstream MCP server said more than {frames.MAX_MESSAGE:,} bytes at once, and was ended"
            self._signal(signal.SIGKILL)
        except Exception:  # whatever it said: whoever waits for its answers must hear that there are none
            logger.exception("What the upstream said could not be taken.")
            words = "The upstream MCP server said what cannot be taken, and was ended"
            self._signal(signal.SIGKILL)
        await self._gone(UpstreamLost(f"{words}, before it answered."), None)

    async def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            frame = frames.read(line)
        except frames.Unreadable as error:
            logger.warning("the upstream said what is no message: %s", error)
            return
        await self._receive(frame, None)


def environment_for(environment: Mapping[str, str]) -> dict[str, str]:
    """The proxy's own, without what belongs to the gate: its keys are none of the upstream's business."""
    return {name: value for name, value in environment.items() if not name.startswith("APPROVALS_")}
