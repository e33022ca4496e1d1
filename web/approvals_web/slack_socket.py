"""Socket Mode (https://docs.slack.dev/apis/events-api/using-socket-mode): the same presses, and no public address.

Each socket has an address of its own, which counts once. When Slack asks for another socket, the old one is heard until
Slack hangs up, so that no press falls between two.
"""

import asyncio
import json
import logging
from collections.abc import Coroutine
from typing import Any

from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType

from approvals.errors import ApprovalsError
from approvals.service.notifications.notifier import NotDelivered
from approvals.service.slack.client import PATIENCE, SlackApi, session
from approvals.service.slack.workspace import Workspace

logger = logging.getLogger("approvals")
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
SETTLED = 30.0
"""Seconds after which a socket that ends is followed by another one at once."""
HEARTBEAT = 10.0
LAST_WORDS = 15.0
"""Seconds for which a socket that Slack wants to end is still heard."""


async def keep_listening(workspace: Workspace, stopping: asyncio.Event) -> None:
    """Hear presses until the service stops; a connection that cannot be made is tried again."""
    async with session(total=None) as http:
        listener = _Listener(workspace, http)
        listening = asyncio.create_task(listener.listen())
        await stopping.wait()
        await listener.stop(listening)


class _Listener:
    """One app's. Event loop only."""

    def __init__(self, workspace: Workspace, http: ClientSession) -> None:
        self._workspace = workspace
        self._http = http
        self._slack = SlackApi(workspace.installed.app_token, workspace.api.url)
        self._beside: set[asyncio.Task[None]] = set()
        """Presses that are being handled, and old sockets."""

    async def listen(self) -> None:
        """Without end, one socket after the other."""
        loop, wait = asyncio.get_running_loop(), FIRST_WAIT
        while True:
            began, asked_for = loop.time(), 0.0
            try:
                await self._hear_one()
            except NotDelivered as error:
                asked_for = error.after
                self._deaf(error.why, max(wait, asked_for))
            except (ClientError, OSError, TimeoutError) as error:
                self._deaf(type(error).__name__, wait)
            if loop.time() - began > SETTLED:
                wait = FIRST_WAIT
                continue
            await asyncio.sleep(max(wait, asked_for))
            wait = min(LONGEST_WAIT, wait * 2)

    async def stop(self, listening: asyncio.Task[None]) -> None:
        """Hang up, once what was heard is acknowledged or has had its time."""
        listening.cancel()
        await asyncio.wait([listening, *self._beside], timeout=PATIENCE)
        for task in self._beside:
            task.cancel()
        await asyncio.gather(listening, *self._beside, return_exceptions=True)
        await self._slack.close()

    async def _hear_one(self) -> None:
        """A socket, until it ends or Slack asks for another one. Raises NotDelivered, ClientError, OSError,
        TimeoutError where none can be opened."""
        said = await self._slack.call("apps.connections.open")
        async with asyncio.timeout(PATIENCE):
            line = await self._http.ws_connect(str(said["url"]), heartbeat=HEARTBEAT)
        try:
            asked_to_end = await self._read(line)
        except asyncio.CancelledError:
            await line.close()
            raise
        if asked_to_end:
            self._begin(self._hear_out(line))

    async def _read(self, line: ClientWebSocketResponse) -> bool:
        """Whether Slack asked for another socket; else this one has ended."""
        async for frame in line:
            message = _message(frame.data) if frame.type is WSMsgType.TEXT else {}
            if message.get("type") == "hello":
                self._workspace.api.deaf = None
            elif message.get("type") == "disconnect":
                logger.info("Slack asks for another socket: %s", message.get("reason"))
                return True
            elif "envelope_id" in message:
                self._begin(self._answer(line, message))
        return False

    async def _hear_out(self, line: ClientWebSocketResponse) -> None:
        try:
            async with asyncio.timeout(LAST_WORDS):
                while await self._read(line):
                    pass
        except TimeoutError:
            pass
        finally:
            await line.close()

    async def _answer(self, line: ClientWebSocketResponse, message: dict[str, Any]) -> None:
        """Acknowledge what was handled; where it could not be, whoever pressed sees that it did not work."""
        try:
            body = await self._workspace.interactions.handle(str(message.get("type")), message.get("payload") or {})
        except ApprovalsError as error:
            logger.warning("what Slack sent is ignored: %s", error.detail)
            return
        except Exception:
            logger.exception("a press could not be handled")
            return
        try:
            said = {"envelope_id": message["envelope_id"]} | ({} if body is None else {"payload": body})
            await line.send_json(said)
        except (ClientError, OSError):
            logger.warning("a press was handled, and its socket ended before Slack heard of that")

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def _deaf(self, why: str, wait: float) -> None:
        self._workspace.api.deaf = f"Slack's socket cannot be opened ({why}): presses do not arrive."
        logger.warning("Slack's socket cannot be opened (%s); trying again in %g s", why, wait)


def _message(text: str) -> dict[str, object]:
    """Nothing of what is no object."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
