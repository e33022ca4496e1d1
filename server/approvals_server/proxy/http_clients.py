"""Clients over streamable HTTP, at /mcp: whose request it is, and to which conversation it belongs."""

import asyncio
import contextlib
import secrets
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp.shared.inbound import InboundLadderRejection, classify_inbound_request, find_duplicated_routing_header
from mcp_types import INTERNAL_ERROR, INVALID_REQUEST, PROTOCOL_VERSION_META_KEY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS, SUPPORTED_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from approvals.clock import boot_clock
from approvals.gate import auth
from approvals_server.proxy import frames
from approvals_server.proxy.client_facts import Sender
from approvals_server.proxy.conversation import Conversation
from approvals_server.proxy.frames import Frame
from approvals_server.proxy.http_exchange import Exchange
from approvals_server.proxy.upstreams import Before

PATH = "/mcp"
IDLE = 1800.0
"""Seconds after which a session ends that nobody used."""
MOST_SESSIONS = 200
"""At once; over stdio each has a process of its own."""
SWEEP = 30.0

_NEAR = {"127.0.0.1", "localhost", "::1"}


class Front:
    """The ASGI application."""

    def __init__(self, before: Before, host: str) -> None:
        self._before = before
        self._keys = auth.AgentKeys(before.gate)
        names = ["127.0.0.1", "localhost", "[::1]"]
        self._security = TransportSecurityMiddleware(
            TransportSecuritySettings(
                enable_dns_rebinding_protection=host in _NEAR,
                allowed_hosts=[f"{name}:*" for name in names],
                allowed_origins=[f"http://{name}:*" for name in names],
            )
        )
        self._sessions: dict[str, Conversation] = {}
        self._agents: dict[str | None, Conversation] = {}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """As long as it serves."""
        sweeping = asyncio.create_task(self._sweep())
        async with self._before.running():
            try:
                yield
            finally:
                sweeping.cancel()
                await asyncio.gather(sweeping, return_exceptions=True)
                await self._close([*self._sessions.values(), *self._agents.values()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        refusal = await self._refusal(request)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        key = await self._agent_key(request)
        if key is None and self._before.gate.is_configured:
            await _unauthorized()(scope, receive, send)
            return
        answer = await self._answer(request, key, send)
        if answer is not None:
            await answer(scope, receive, send)

    async def _answer(self, request: Request, key: str | None, send: Send) -> Response | None:
        """What is answered at once; None when it was answered on its way."""
        if request.method == "POST":
            return await self._post(request, key, send)
        session = self._session(request, key)
        if session is None:
            return _error(404, INVALID_REQUEST, "There is no such session: initialize.")
        if request.method == "DELETE":
            del self._sessions[request.headers["mcp-session-id"]]
            await session.close()
            return Response(status_code=200)
        await session.listen(Exchange(request.receive, send, {}))
        return None

    async def _post(self, request: Request, key: str | None, send: Send) -> Response | None:
        try:
            frame = frames.read(await _body(request))
        except frames.Unreadable as error:
            return _error(400, error.code, str(error), error.of)
        if _is_modern(request, frame):
            return await self._modern(request, frame, key, send)
        version = request.headers.get("mcp-protocol-version")
        if version is not None and version not in SUPPORTED_PROTOCOL_VERSIONS:
            return _error(400, INVALID_REQUEST, f"There is no protocol version {version[:20]!r} here.", frame.id)
        if frame.method == "initialize" and frame.is_request:
            return await self._initialize(request, frame, key, send)
        session = self._session(request, key)
        if session is None:
            status = 404 if "mcp-session-id" in request.headers else 400
            return _error(status, INVALID_REQUEST, "There is no such session: initialize.", frame.id)
        return await self._hand_over(session, request, frame, send)

    async def _hand_over(
        self, conversation: Conversation, request: Request, frame: Frame, send: Send, *, modern: bool = False
    ) -> Response | None:
        exchange = Exchange(request.receive, send, {}, modern=modern)
        sender = _sender(request, conversation.agent_key, exchange)
        if not frame.is_request:
            await conversation.say(frame, sender)
            return Response(status_code=202)
        await conversation.ask(frame, exchange, sender)
        return None

    async def _modern(self, request: Request, frame: Frame, key: str | None, send: Send) -> Response | None:
        if not frame.is_request:
            return Response(status_code=202)  # this wire knows none that would do anything
        headers: Mapping[str, str] = request.headers
        verdict = classify_inbound_request(frame.members, headers=headers)
        if isinstance(verdict, InboundLadderRejection):
            told = {"code": verdict.code, "message": verdict.message}
            told |= {"data": verdict.data} if verdict.data is not None else {}
            return _answer(400, {"jsonrpc": "2.0", "id": frame.id, "error": told})
        if key not in self._agents:
            self._agents[key] = Conversation(self._before, key, modern=True)
        return await self._hand_over(self._agents[key], request, frame, send, modern=True)

    async def _initialize(self, request: Request, frame: Frame, key: str | None, send: Send) -> Response | None:
        if len(self._sessions) >= MOST_SESSIONS:
            return _error(503, INTERNAL_ERROR, f"There are {MOST_SESSIONS} sessions already; try later.", frame.id)
        name = secrets.token_hex(16)
        session = self._sessions[name] = Conversation(self._before, key, modern=False)
        exchange = Exchange(request.receive, send, {"Mcp-Session-Id": name})
        await session.ask(frame, exchange, _sender(request, key, exchange))
        if session.answered is None or session.answered.error is not None:
            self._sessions.pop(name, None)
            await session.close()
        return None

    def _session(self, request: Request, key: str | None) -> Conversation | None:
        """The caller's own."""
        session = self._sessions.get(request.headers.get("mcp-session-id", ""))
        return session if session is not None and session.agent_key == key else None

    async def _refusal(self, request: Request) -> Response | None:
        if request.url.path != PATH:
            return Response("Not Found", status_code=404)
        if request.method not in {"POST", "GET", "DELETE"}:
            return Response(status_code=405, headers={"Allow": "GET, POST, DELETE"})
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        if find_duplicated_routing_header(pairs) is not None:
            return Response("A header stands there twice.", status_code=400)
        return await self._security.validate_request(request, is_post=request.method == "POST")

    async def _agent_key(self, request: Request) -> str | None:
        """Raises Unverified while nobody can say whose it is."""
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not self._before.gate.is_configured:
            return None
        return key if await self._keys.verify_token(key) is not None else None

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            for known in (self._sessions, self._agents):
                await self._close(_taken_out(known, boot_clock() - IDLE))

    async def _close(self, conversations: list[Conversation]) -> None:
        await asyncio.gather(*(one.close() for one in conversations))


def _taken_out(known: dict[Any, Conversation], before: float) -> list[Conversation]:
    idle = [name for name, one in known.items() if one.idle_since is not None and one.idle_since < before]
    return [known.pop(name) for name in idle]


def _sender(request: Request, key: str | None, exchange: Exchange) -> Sender:
    subject = "" if key is not None else uuid.uuid4().hex
    return Sender(key, subject, "http", request.headers, exchange.is_there)


def _is_modern(request: Request, frame: Frame) -> bool:
    version = request.headers.get("mcp-protocol-version")
    return version in MODERN_PROTOCOL_VERSIONS or (frame.is_request and PROTOCOL_VERSION_META_KEY in frame.meta)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > frames.MAX_MESSAGE:
            raise frames.Unreadable(INVALID_REQUEST, f"More than {frames.MAX_MESSAGE:,} bytes are no message.")
    return bytes(body)


def _unauthorized() -> Response:
    said = 'Bearer error="invalid_token", error_description="Send the agent\'s key (mcpa_...) as bearer token"'
    return Response(status_code=401, headers={"WWW-Authenticate": said})


def _error(status: int, code: int, words: str, id: Any = None) -> Response:
    return _answer(status, {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": words}})


def _answer(status: int, message: Mapping[str, Any]) -> Response:
    return Response(frames.made(message).raw, status_code=status, media_type="application/json")
