"""`approvals-proxy inspect`: which of an upstream's tools would wait, and why, before any of them is called."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from approvals.protocol.registration import Annotations, ToolDefinition, Verdict
from approvals_server.proxy import frames
from approvals_server.proxy.frames import Frame, RequestId
from approvals_server.proxy.shared_state import Desk
from approvals_server.proxy.suspicion import suspicions
from approvals_server.proxy.tools import Tools
from approvals_server.proxy.upstream_session import Connect, Link

_SELF: dict[str, Any] = {"name": "approvals-proxy", "version": "inspect"}
_FATES = {
    Verdict.RUN: "runs at once",
    Verdict.ASK: "waits",
    Verdict.DEPENDS: "as a rule says of each call",
    Verdict.REFUSE: "is refused",
}


@dataclass(frozen=True)
class Inspected:
    """One tool."""

    name: str
    fate: str
    why: str
    doubts: tuple[str, ...]


async def inspect(desk: Desk, connect: Connect) -> list[Inspected]:
    """Every tool. Raises UpstreamLost, and what keeps the service from answering."""
    link = Link(connect, _unheard)
    try:
        tools = Tools(desk, link)
        known = await tools.all(await _greeting(link))
        return [await _inspected(desk, tool) for tool in known.values()]
    finally:
        await link.close()


def table(rows: list[Inspected]) -> Iterator[str]:
    """As lines."""
    cells = [("tool", "its calls", "why"), *((row.name, row.fate, row.why) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(2)]
    doubts = {row.name: row.doubts for row in rows}
    for name, fate, why in cells:
        yield f"{name:<{widths[0]}}  {fate:<{widths[1]}}  {why}"
        yield from (f"{'':<{widths[0]}}  ! {doubt}" for doubt in doubts.get(name, ()))


async def _greeting(link: Link) -> Frame:
    """Shake hands as the upstream does; a request in its era."""
    hello = {"protocolVersion": LATEST_HANDSHAKE_VERSION, "capabilities": {}, "clientInfo": _SELF}
    answer = await link.request(frames.request("inspect", "initialize", hello), through=False)
    if answer.error is None:
        await link.send(frames.notification("notifications/initialized", {}))
        return frames.request("inspect", "tools/list", {})
    link.handshake = None
    meta = {
        PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION,
        CLIENT_INFO_META_KEY: _SELF,
        CLIENT_CAPABILITIES_META_KEY: {},
    }
    return frames.request("inspect", "tools/list", {"_meta": meta})


async def _inspected(desk: Desk, tool: ToolDefinition) -> Inspected:
    doubts = tuple(suspicions(tool))
    said = _said(tool.annotations)
    if desk.rules.of(tool.name).preview is not None and not tool.annotations.read_only:
        said += "; with a preview"
    if not desk.gate.is_configured:
        fate = "runs once trusted" if tool.annotations.read_only else "waits"
        return Inspected(_shown(tool.name), fate, said, doubts)
    verdict = await desk.gate.verdict(tool.name)
    why = "; ".join(filter(None, [said, verdict.reason]))
    return Inspected(_shown(tool.name), _FATES[verdict.verdict], why, doubts)


def _said(hints: Annotations) -> str:
    if hints == Annotations():
        return "says nothing of itself"
    if hints.read_only:
        return "says that it only reads" + (", from the open world" if hints.open_world else "")
    return "says that it writes" if hints.destructive else "says that it writes, and destroys nothing"


def _shown(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)[:100]


async def _unheard(frame: Frame, about: RequestId | None) -> None:
    """Nobody is there to hear what the upstream says by itself."""
