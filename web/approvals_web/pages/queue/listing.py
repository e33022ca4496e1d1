"""Requests as lists show them."""

from collections.abc import Sequence
from dataclasses import dataclass

from approvals.protocol.messages import RequestStatus
from approvals.service.identity import servers
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals.service.storage.tables.rows import RequestRun


@dataclass(frozen=True)
class Listed:
    """A request with what a list shows of it."""

    row: RequestRun
    status: RequestStatus
    agent: str


def items(reader: Reader, service: Service, rows: Sequence[RequestRun]) -> list[Listed]:
    """In the same order."""
    agents = {row.id: row.name for row in servers.agents(reader)}
    return [
        Listed(row, service.statuses.of(row, reader.now), agents.get(row.agent_id or "", "unidentified"))
        for row in rows
    ]
