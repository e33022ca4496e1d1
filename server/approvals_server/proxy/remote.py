"""An upstream that is reached over streamable HTTP: each message is a POST, and answers come on its own stream."""

import asyncio
import logging
import os
from collections.abc import Mapping

import httpx2
from mcp.shared.inbound import NAME_BEARING_METHODS, encode_header_value, mcp_param_headers, x_mcp_header_map
from mcp_types import PROTOCOL_VERSION_META_KEY

from approvals.secret_reference import resolve
from approvals_server.proxy import client_facts, frames
from approvals_server.proxy.frames import Frame, RequestId
from approvals_server.proxy.upstream import Gone, Receive, UpstreamLost

logger = logging.getLogger("approvals.proxy")

TIMEOUT = httpx2.Timeout(None, connect=10.0)
"""How long an answer takes is between the client and the upstream."""
RESUMES = 3
"""How often the stream of an answer is taken up again that broke before its end."""
PAUSE = 1.0
"""Seconds before that, unless the upstream says another number."""
NOT_TAKEN = frozenset({400, 401, 403, 404, 405, 406, 411, 413, 415, 421, 429})
"""HTTP statuses with which a request was refused unread."""

ParamHeaders = dict[str, Mapping[tuple[str, ...], str]]
"""By tool: the arguments that 2026-07-28 wants in headers, too, as the upstream's own list says."""


class UpstreamHttp:
    """One session, or, for requests of 2026-07-28, the way to their server."""

    def __init__(self, http: httpx2.AsyncClient, url: str, params: ParamHeaders, receive: Receive, gone: Gone) -> None:
        self._http = http
        self._url = httpx2.URL(url)  # read once
        self._params = params
        self._receive = receive
        self._gone = gone
        self._session: str | None = None
        self._version: str | None = None
        self._posts: dict[RequestId, tuple[asyncio.Task[None], bool]] = {}
        """Requests on their way, and whether each is one of 2026-07-28."""
        self._listening: asyncio.Task[None] | None = None

    async def send(self, frame: Frame) -> None:
        id = frame.id
        if frame.is_request and id is not None:
            task = asyncio.create_task(self._request(frame, id))
            self._posts[id] = task, client_facts.is_modern(frame)
            task.add_done_callback(lambda _: self._posts.pop(id, None))
        elif not self._ends(frame):
            await self._say(frame)

    async def close(self) -> None:
        tasks = [*(task for task, _ in self._posts.values()), *filter(None, [self._listening])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            try:
                await self._http.delete(self._url, headers=self._headers(), timeout=5.0)
            except httpx2.HTTPError as error:
                logger.info("the upstream's session was not ended: %s", error)

    def _ends(self, frame: Frame) -> bool:
        """Cancels a request of 2026-07-28, whose stream's end is the word for it."""
        if frame.method != "notifications/cancelled":
            return False
        task, modern = self._posts.get(frame.params.get("requestId", ""), (None, False))
        if task is not None and modern:
            task.cancel()
        return task is not None and modern

    async def _say(self, frame: Frame) -> None:
        try:
            answer = await self._http.post(self._url, content=frame.raw, headers=self._headers(frame), timeout=30.0)
        except httpx2.HTTPError as error:
            raise UpstreamLost(_words(error)) from error
        if frame.method == "notifications/initialized" and answer.is_success and self._session is not None:
            self._listening = asyncio.create_task(self._listen())

    async def _request(self, frame: Frame, id: RequestId) -> None:
        try:
            async with self._http.stream("POST", self._url, content=frame.raw, headers=self._headers(frame)) as answer:
                await self._take(answer, frame, id)
        except httpx2.ConnectError as error:
            await self._gone(UpstreamLost(_words(error), sent=False), id)
        except (httpx2.HTTPError, httpx2.SSEError, httpx2.StreamError, frames.Unreadable) as error:
            await self._gone(UpstreamLost(_words(error)), id)

    async def _take(self, answer: httpx2.Response, frame: Frame, id: RequestId) -> None:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream" and answer.is_success:
            if frame.method == "initialize":
                self._session = answer.headers.get("mcp-session-id")
            await self._follow(answer, id)
        elif answer.status_code == 404 and self._session is not None:
            self._session = None
            await self._gone(UpstreamLost("The upstream MCP server has ended the session.", sent=False), None)
        elif (said := await _said(answer, kind)) is not None:
            if frame.method == "initialize":
                self._session = answer.headers.get("mcp-session-id")
            await self._hear(said, id)
        else:
            words = f"The upstream MCP server answered with HTTP status {answer.status_code}, and no message."
            await self._gone(UpstreamLost(words, sent=answer.status_code not in NOT_TAKEN), id)

    async def _follow(self, answer: httpx2.Response, id: RequestId) -> None:
        """Until the answer to the request has come; by another stream where one breaks that can be taken up again."""
        last, pause = await self._events(answer, id)
        for _ in range(RESUMES):
            if last is None:
                break
            await asyncio.sleep(pause)
            headers = self._headers() | {"Last-Event-ID": last}
            async with self._http.stream("GET", self._url, headers=headers) as resumed:
                if not resumed.is_success:
                    break
                last, pause = await self._events(resumed, id, last)
        if last != "":
            await self._gone(UpstreamLost("The upstream MCP server ended its stream before it answered."), id)

    async def _events(
        self, answer: httpx2.Response, id: RequestId | None, last: str | None = None
    ) -> tuple[str | None, float]:
        """The id of the last event, and the pause before its stream is taken up again; an empty id once the answer has
        come."""
        pause = PAUSE
        try:
            async for event in httpx2.EventSource(answer, max_event_size=frames.MAX_MESSAGE):
                last = event.id or last
                pause = event.retry / 1000 if event.retry is not None else pause
                if event.event == "message" and event.data:
                    frame = frames.read(event.data.encode())
                    await self._hear(frame, id)
                    if frame.is_response and id is not None:
                        return "", pause
        except (httpx2.TransportError, httpx2.StreamError) as error:
            logger.info("a stream of the upstream broke: %s", error)
        return last, pause

    async def _hear(self, frame: Frame, id: RequestId | None) -> None:
        if frame.is_response:
            self._learn(frame)
            if frame.id is None and id is not None:  # refused before its id was read
                frame = frames.with_id(frame, id)
        await self._receive(frame, id)

    def _learn(self, answer: Frame) -> None:
        version = answer.result.get("protocolVersion")
        if isinstance(version, str):
            self._version = version
        tools = answer.result.get("tools")
        for tool in tools if isinstance(tools, list) else []:
            if isinstance(tool, dict) and isinstance(tool.get("name"), str):
                self._params[tool["name"]] = x_mcp_header_map(tool.get("inputSchema"))

    async def _listen(self) -> None:
        """What the upstream says by itself."""
        last: str | None = None
        while True:
            headers = self._headers() | ({"Last-Event-ID": last} if last else {})
            pause = PAUSE
            try:
                async with self._http.stream("GET", self._url, headers=headers) as stream:
                    if stream.status_code in {400, 404, 405}:
                        return
                    if stream.is_success:
                        last, pause = await self._events(stream, None, last)
            except (httpx2.HTTPError, httpx2.SSEError, frames.Unreadable) as error:
                logger.info("the upstream's own stream broke: %s", error)
            await asyncio.sleep(pause)

    def _headers(self, frame: Frame | None = None) -> dict[str, str]:
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if self._session is not None:
            headers["Mcp-Session-Id"] = self._session
        if frame is not None and client_facts.is_modern(frame):
            return headers | self._routing(frame)
        if self._version is not None and (frame is None or frame.method != "initialize"):
            headers["MCP-Protocol-Version"] = self._version
        return headers

    def _routing(self, frame: Frame) -> dict[str, str]:
        headers = {
            "MCP-Protocol-Version": str(frame.meta[PROTOCOL_VERSION_META_KEY]),
            "Mcp-Method": frame.method or "",
        }
        name = frame.params.get(NAME_BEARING_METHODS.get(frame.method or "", ""))
        if isinstance(name, str):
            headers["Mcp-Name"] = encode_header_value(name)
        arguments = frame.params.get("arguments")
        if frame.method == "tools/call" and isinstance(name, str) and isinstance(arguments, dict):
            headers |= mcp_param_headers(self._params.get(name, {}), arguments)
        return headers


async def _said(answer: httpx2.Response, kind: str) -> Frame | None:
    """The message that it is; servers answer with one in errors, too."""
    if kind != "application/json":
        return None
    try:
        return frames.read(await answer.aread())
    except frames.Unreadable:
        return None


def _words(error: Exception) -> str:
    return f"The upstream MCP server cannot be reached, or broke off: {type(error).__name__}."


def credentials(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The header that lets the proxy in at the upstream: APPROVALS_UPSTREAM_TOKEN, a bearer token or a reference to
    one. Never what a client sent."""
    token = environment.get("APPROVALS_UPSTREAM_TOKEN", "").strip()
    return {"Authorization": f"Bearer {resolve(token)}"} if token else {}
