"""What a message tells of the client that sent it: its era, its name for itself, what it wants. Pure."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from approvals.gate.call import Caller
from approvals.protocol.messages import ClientInfo
from approvals_server.proxy.frames import Frame

ENVELOPE = (PROTOCOL_VERSION_META_KEY, CLIENT_INFO_META_KEY, CLIENT_CAPABILITIES_META_KEY)
"""What every request of 2026-07-28 carries."""
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
_KEPT = (*ENVELOPE, "traceparent", "tracestate")


@dataclass(frozen=True)
class Sender:
    """Who sent a message, and how, as far as the transport tells."""

    agent_key: str | None = field(default=None, repr=False)
    subject: str = ""
    transport: str = "stdio"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_there: Callable[[], Awaitable[bool]] | None = None

    def caller(self, client: ClientInfo) -> Caller:
        """As the gate knows it."""
        return Caller(self.agent_key, "" if self.agent_key else self.subject, client)


def is_modern(frame: Frame) -> bool:
    """Whether a request is one of 2026-07-28, which stands for itself."""
    return frame.meta.get(PROTOCOL_VERSION_META_KEY) in MODERN_PROTOCOL_VERSIONS


def client_of(frame: Frame, handshake: Frame | None, transport: str) -> ClientInfo:
    """As it names itself: in the request, else in its `initialize`."""
    said: Mapping[str, Any] = handshake.params if handshake is not None else {}
    info = frame.meta.get(CLIENT_INFO_META_KEY) if is_modern(frame) else said.get("clientInfo")
    named = info if isinstance(info, dict) else {}
    return ClientInfo.model_construct(  # whole, however long: cut by the mask, once it is masked
        name=_word(named.get("name")),
        version=_word(named.get("version")),
        protocol=_word(frame.meta.get(PROTOCOL_VERSION_META_KEY) or said.get("protocolVersion")),
        transport=transport,
    )


def opens_links(frame: Frame) -> bool:
    """Whether it shows links to its user."""
    capabilities = frame.meta.get(CLIENT_CAPABILITIES_META_KEY)
    elicitation = capabilities.get("elicitation") if isinstance(capabilities, dict) else None
    return isinstance(elicitation, dict) and elicitation.get("url") is not None


def progress_token(frame: Frame) -> str | int | None:
    """Under which it wants to hear of progress; None when it does not."""
    token = frame.meta.get("progressToken")
    return token if isinstance(token, str | int) and not isinstance(token, bool) else None


def passed_on(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Of a call that somebody approved: what the protocol needs. The rest nobody has seen."""
    return {name: meta[name] for name in _KEPT if name in meta}


def envelope(meta: Mapping[str, Any]) -> dict[str, Any]:
    """For a request of the proxy's own, in the era of the client's."""
    return {"_meta": {name: meta[name] for name in ENVELOPE if name in meta}} if ENVELOPE[0] in meta else {}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""
