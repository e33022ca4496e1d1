"""Which of the waiting requests a reviewer wants to see, and which of them belong together."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from approvals.policy.eligibility import Act
from approvals.service.identity.users import Person
from approvals.service.service import Service
from approvals.service.storage.database import Reader


class QueueFilter(BaseModel):
    """As it stands in the address. Empty words take everything."""

    mine: Literal["", "yes"] = ""
    """Only what this person may decide."""
    server: str = Field("", max_length=200)
    agent: str = Field("", max_length=200)
    risk: Literal["", "critical", "high", "medium", "low"] = ""
    state: Literal["", "pending", "approved", "executing", "unknown"] = ""


def narrowed(
    service: Service, reader: Reader, person: Person, items: list[dict[str, Any]], asked: QueueFilter
) -> list[dict[str, Any]]:
    """What fits, in the same order."""
    return [
        item
        for item in items
        if asked.server in ("", item["row"].server)
        and asked.agent in ("", item["agent"])
        and asked.risk in ("", item["row"].risk)
        and asked.state in ("", item["status"].state)
        and (not asked.mine or _may(service, reader, person, item))
    ]


def runs(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Together what one run of one agent asks, where that is more than one request; each run stands where its most
    urgent request would."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for item in items:
        found.setdefault(_run(item), []).append(item)
    return [{"items": of, "agent": of[0]["agent"], "many": len(of) > 1} for of in found.values()]


def _run(item: dict[str, Any]) -> tuple[str, ...]:
    row = item["row"]
    if item["status"].state != "pending" or not (row.agent_session or row.trace_id):
        return ("alone", row.id)
    return (row.agent_id or "", row.installation_id, row.agent_session or row.trace_id)


def _may(service: Service, reader: Reader, person: Person, item: dict[str, Any]) -> bool:
    pending = item["status"].state == "pending"
    return pending and service.authority.fault(reader, item["row"], person, Act.APPROVE) is None
