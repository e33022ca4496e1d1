"""Requests as lists show them."""

from collections.abc import Sequence
from typing import Any

from approvals.service.identity import servers
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals.service.storage.tables.rows import RequestRun


def items(reader: Reader, service: Service, rows: Sequence[RequestRun]) -> list[dict[str, Any]]:
    """Rows with what a list shows of them."""
    agents = {row.id: row.name for row in servers.agents(reader)}
    return [
        {
            "row": row,
            "status": service.statuses.of(row, reader.now),
            "agent": agents.get(row.agent_id or "", "unidentified"),
        }
        for row in rows
    ]
