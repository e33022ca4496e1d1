"""Servers, their tools, and definitions that wait for acceptance."""

import json
from typing import Annotated, Any

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse

from approvals.policy import diff as policy_text
from approvals.protocol.messages import Hash, ServerName, ToolName
from approvals.service.identity import servers as principals
from approvals.service.service import Service
from approvals.service.storage.database import Reader, Row
from approvals_web.http.deps import Admin, SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter

MOST_OFFERS = 20
"""Definitions to accept on one page, those of enforced installations first."""
MOST_TOOLS = 1_000
router = PageRouter()


@router.get("/servers")
def servers(request: Request, person: SignedIn, service: TheService) -> Response:
    """Installations and tools; first what an admin has to accept."""
    tools = service.read_now(service.registry.tools)
    offered = sorted((row for row in tools if row.offered_hash is not None), key=lambda row: row.installation_id)
    installations = service.read_now(principals.installations)
    shown = {
        "person": person,
        "tools": tools[:MOST_TOOLS],
        "more_tools": len(tools[MOST_TOOLS:]),
        "more_offers": len(offered[MOST_OFFERS:]),
        "installations": installations,
        "labels": {row.id: row.label for row in installations},
        "offers": service.read_now(lambda reader: [_offer(reader, service, row) for row in offered[:MOST_OFFERS]]),
    }
    return page(request, "servers.html", shown)


@router.post("/servers/{server}/tools/{name}/acceptance")
async def accept(
    server: ServerName,
    name: ToolName,
    admin: Admin,
    service: TheService,
    tool_hash: Annotated[Hash, Form()],
    at: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Let a loosening definition stand: at the server's enforced installations, or `at` a cooperative one."""
    await service.write(lambda tx: service.registry.accept(tx, server, name, tool_hash, admin.actor, at))
    return RedirectResponse("/servers", status_code=303)


def _offer(reader: Reader, service: Service, row: Row) -> dict[str, Any]:
    before = _text(reader, service, row.server, row.accepted_hash)
    after = _text(reader, service, row.server, row.offered_hash)
    return {
        "server": row.server,
        "name": row.name,
        "at": row.installation_id,
        "hash": row.offered_hash,
        "loosens": row.loosens.splitlines(),
        "difference": policy_text.difference(before, after),
        "after": after,
    }


def _text(reader: Reader, service: Service, server: str, tool_hash: str | None) -> str:
    if tool_hash is None:
        return ""
    definition = service.registry.definition(reader, server, tool_hash)
    return json.dumps(definition.model_dump(mode="json"), indent=2)
