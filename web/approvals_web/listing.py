"""Requests as lists show them."""

from typing import Any

from approvals import principals
from approvals.database import Reader, Row
from approvals.service import Service


def items(reader: Reader, service: Service, rows: list[Row]) -> list[dict[str, Any]]:
    """Rows with what a list shows of them."""
    agents = {row.id: row.name for row in principals.agents(reader)}
    return [
        {"row": row, "status": service.statuses.of(row, reader.now), "agent": agents.get(row.agent_id, "unidentified")}
        for row in rows
    ]
