"""Telling the service what a gate process serves: in parts, and each tool for itself."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from approvals.errors import Invalid
from approvals.gate.client import ServiceClient
from approvals.protocol.definitions import Checked, checked
from approvals.protocol.registration import Pins, Registered, Registration, ToolDefinition

PART_TOOLS = 500
PART_BYTES = 400_000
"""Of definitions in one part, which goes over the wire as one body; a single definition is smaller."""


@dataclass(frozen=True)
class Served:
    """What a gate serves; the same objects while nothing changes."""

    definitions: tuple[ToolDefinition, ...] = ()
    code_versions: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Enrolled:
    """The service's answer to a registration."""

    lease: Registered
    hashes: Mapping[str, str]
    """Of the tools that it took, by name."""
    refused: Mapping[str, str]
    """Why the others cannot be gated, by name."""


async def enrol(
    client: ServiceClient, server: str, session: str, code_version: str, served: Served, pins: Pins = Pins.NONE
) -> Enrolled:
    """Raises Unreachable and what else keeps the service from answering."""
    tools, refused = await asyncio.to_thread(_examined, served.definitions)
    whole = Registration(session=session, code_version=code_version, tools=(), pins=pins)
    *others, last = list(_parts(tools)) or [()]
    for part in others:
        answer = await client.register(server, _part(whole, part, served, complete=False))
        refused |= answer.refused
    lease = await client.register(server, _part(whole, last, served, complete=True))
    refused |= lease.refused
    hashes = {tool.definition.name: tool.tool_hash for tool in tools if tool.definition.name not in refused}
    for name, tool_hash in hashes.items():
        if name not in lease.tools or lease.tools[name].tool_hash != tool_hash:
            refused[name] = "the approval service keeps another definition of it than was sent"
    return Enrolled(lease, {name: known for name, known in hashes.items() if name not in refused}, refused)


def _examined(definitions: Sequence[ToolDefinition]) -> tuple[list[Checked], dict[str, str]]:
    tools: list[Checked] = []
    refused: dict[str, str] = {}
    for definition in definitions:
        try:
            tools.append(checked(definition))
        except Invalid as error:
            refused[definition.name] = error.detail
    return tools, refused


def _parts(tools: Sequence[Checked]) -> Iterator[tuple[Checked, ...]]:
    part: list[Checked] = []
    size = 0
    for tool in tools:
        if part and (len(part) == PART_TOOLS or size + tool.size > PART_BYTES):
            yield tuple(part)
            part, size = [], 0
        part.append(tool)
        size += tool.size
    if part:
        yield tuple(part)


def _part(whole: Registration, tools: tuple[Checked, ...], served: Served, *, complete: bool) -> Registration:
    known = served.code_versions or {}
    names = [tool.definition.name for tool in tools]
    return whole.model_copy(
        update={
            "tools": tuple(tool.definition for tool in tools),
            "code_versions": {name: known[name] for name in names if name in known},
            "complete": complete,
        }
    )
