"""Socket Mode (https://docs.slack.dev/apis/events-api/using-socket-mode): the same presses, and no public address."""

import asyncio
import contextlib
import logging

from aiohttp import ClientSession
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from approvals.errors import ApprovalsError
from approvals.service.slack.client import session
from approvals.service.slack.workspace import Workspace

logger = logging.getLogger("approvals")
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0


async def keep_listening(workspace: Workspace, stopping: asyncio.Event) -> None:
    """Hear presses until the service stops; a connection that cannot be made is tried again."""
    async with session() as http:
        await _listen(workspace, stopping, http)


async def _listen(workspace: Workspace, stopping: asyncio.Event, http: ClientSession) -> None:
    installed = workspace.installed
    web = AsyncWebClient(installed.app_token, base_url=workspace.api.url, retry_handlers=[], session=http)
    client = SocketModeClient(installed.app_token, web_client=web, logger=logging.getLogger("approvals.service.slack"))

    async def hear(client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        try:
            answer = await workspace.interactions.handle(request.type, request.payload)
        except ApprovalsError as error:
            logger.warning("what Slack sent is ignored: %s", error.detail)
            return
        except Exception:
            logger.exception("a press could not be handled")
            return  # not acknowledged: whoever pressed sees that it did not work
        await client.send_socket_mode_response(SocketModeResponse(request.envelope_id, answer))

    client.socket_mode_request_listeners.append(hear)
    try:
        await _connect(client, stopping)
        await stopping.wait()
    finally:
        with contextlib.suppress(Exception):
            await client.close()  # type: ignore[no-untyped-call]


async def _connect(client: SocketModeClient, stopping: asyncio.Event) -> None:
    wait = FIRST_WAIT
    while not stopping.is_set():
        try:
            await client.connect()  # type: ignore[no-untyped-call]
        except Exception as error:
            logger.warning("Slack's socket cannot be opened (%s); trying again in %g s", type(error).__name__, wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), wait)
            wait = min(LONGEST_WAIT, wait * 2)
        else:
            return
