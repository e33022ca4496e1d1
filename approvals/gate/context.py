"""What the context of an MCP request tells of its client: who it says it is, its rounds, whether it is still there."""

from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.connection import Connection
from mcp.server.mcpserver import Context
from starlette.requests import Request

from approvals.gate.input_rounds import Round
from approvals.gate.origin import Origin
from approvals.protocol.messages import ClientInfo


def client_info(context: Context) -> ClientInfo:
    """The client as it names itself."""
    wire = context._request_context
    if wire is None:
        return ClientInfo()
    params = wire.session.client_params
    info = params.client_info if params is not None else None
    return ClientInfo.model_construct(  # whole, however long: cut by the mask, once it is masked
        name=info.name if info else "",
        version=info.version if info else "",
        protocol=wire.protocol_version,
        transport="http" if isinstance(wire.request, Request) else "stdio",
    )


def connection(context: Context) -> Connection | None:
    """The connection that a message came on; None for a call made within this process."""
    wire = context._request_context
    return None if wire is None else wire.session._connection


def is_over_http(context: Context) -> bool:
    """Whether an HTTP request brought the message."""
    wire = context._request_context
    return wire is not None and isinstance(wire.request, Request)


def origin(context: Context) -> Origin:
    """The origin of a call: for whom and in which session and trace, as the agent's side says."""
    wire = context._request_context
    if wire is None:
        return Origin()
    headers = wire.request.headers if isinstance(wire.request, Request) else {}
    return Origin.of(dict(wire.meta or {}), headers)


def round_of(context: Context) -> Round:
    """The round that a call is in, for a client of 2026-07-28."""
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    return Round.of(context.request_state, opens_links=elicitation is not None and elicitation.url is not None)


class Beats:
    """Reports to a client that asked for it, and how far they came."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.reached = 0.0

    async def report(self, elapsed: float, words: str) -> None:
        self.reached = elapsed
        await self._context.report_progress(elapsed, None, words)


class AfterBeats(Context):
    """A tool's context: what it reports itself goes on from there, since progress never goes backwards."""

    _beats: Beats

    def __init__(self, beats: Beats, **options: Any) -> None:
        super().__init__(**options)
        self._beats = beats

    async def report_progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Report like Context, further on than the gate came."""
        before = self._beats.reached
        await super().report_progress(before + progress, None if total is None else before + total, message)


def presence(request: object) -> Callable[[], Awaitable[bool]] | None:
    """A look, over HTTP, whether the connection still stands, where one carries the call."""
    if not isinstance(request, Request) or getattr(request.app.state, "posts_end_early", False):
        return None

    async def is_there() -> bool:
        return not await request.is_disconnected()

    return is_there
