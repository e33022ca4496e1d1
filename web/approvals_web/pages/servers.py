"""Servers, their tools, and definitions that wait for acceptance."""

import json
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from approvals.errors import ApprovalsError, Duplicate, Invalid
from approvals.policy import diff
from approvals.protocol.message_fields import Hash, ServerName, ToolName
from approvals.protocol.registration import Assurance
from approvals.service.controls import freezes
from approvals.service.identity.servers import add_agent, add_server, installation_named, installations
from approvals.service.identity.users import Person
from approvals.service.service import Service
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Row
from approvals.service.tools import connections, listing
from approvals_web.http.deps import Admin, SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.connecting import connected
from approvals_web.pages.server import page_of

OFFERS, TOOLS = 5, 100
"""Of each place on the page of all."""
PAGE = {True: 20, False: 500}
"""Of one place on a page of its own: definitions to accept, or tools."""
router = PageRouter()


@router.get("/servers")
def servers(request: Request, person: SignedIn, service: TheService) -> Response:
    """Installations and tools; first what an admin has to accept. Each place has its share."""
    return _every(request, service, person)


@router.post("/servers")
async def connect(
    request: Request,
    admin: Admin,
    service: TheService,
    name: Annotated[str, Form(max_length=63)],
    assurance: Annotated[Assurance, Form()],
    label: Annotated[str, Form(max_length=63)] = "main",
    agent: Annotated[str, Form(max_length=63)] = "",
) -> Response:
    """A key for a server's gate, one for a new `agent` if it is named, and what to put where. An enforced gate's
    annotations are believed, as on the command line."""
    name, label, agent = name.strip(), label.strip() or "main", agent.strip()
    enforced = assurance is Assurance.ENFORCED

    def made(tx: Transaction) -> tuple[str, str]:
        key = add_server(tx, admin, name, label=label, assurance=assurance, trusted=enforced)
        return key, add_agent(tx, admin, agent) if agent else ""

    try:
        key, agent_key = await service.write(made)
    except (Duplicate, Invalid) as error:
        return await run_in_threadpool(_every, request, service, admin, notice=_said(error, name), status=error.status)
    at = await service.read(lambda reader: installation_named(reader, name, label).id)
    url = service.public_url
    shown = connected(name, at, url, key, enforced=enforced, agent=agent, agent_key=agent_key)
    of = await service.read(lambda reader: page_of(service, reader, admin, name))
    return page(request, "server.html", replace(of, connected=shown))


def _said(error: ApprovalsError, server: str) -> str:
    if not isinstance(error, Duplicate):
        return f"{error.detail} {error.hint}".strip()
    if f"The server {server!r}" in error.detail:
        return f"{error.detail} Give this one another label."
    return f"{error.detail} Leave the field empty, and put a key of its own into the configuration."


def _every(
    request: Request,
    service: Service,
    person: Person,
    *,
    notice: str = "",
    status: int = 200,
) -> Response:
    offered, more_offers = service.read_now(lambda reader: listing.shares(reader, OFFERS, offered=True))
    tools, more_tools = service.read_now(lambda reader: listing.shares(reader, TOOLS, offered=False))
    shown: dict[str, Any] = {"tools": tools, "more_offers": more_offers, "more_tools": more_tools}
    shown |= {"next": "", "one": None, "notice": notice}
    return page(request, "servers.html", shown | _common(service, person, tools, offered), status=status)


@router.get("/servers/{server}/tools")
def tools(
    request: Request,
    person: SignedIn,
    service: TheService,
    server: ServerName,
    at: Annotated[str, Query(max_length=64)] = "",
    after: Annotated[str, Query(max_length=128)] = "",
    offered: bool = False,
) -> Response:
    """All that stands at one place, or what is `offered` there, page by page."""
    place, most = listing.Place(server, at), PAGE[offered]
    found = service.read_now(lambda reader: listing.page(reader, place, after, most, offered=offered))
    onward = {"at": at, "offered": str(offered).lower(), "after": found[-1].name} if len(found) == most else {}
    shown = {"tools": [] if offered else found, "more_offers": {}, "more_tools": {}, "one": place}
    shown |= {"next": f"/servers/{server}/tools?{urlencode(onward)}" if onward else ""}
    shown |= {"notice": ""}
    return page(request, "servers.html", shown | _common(service, person, found, found if offered else []))


def _common(service: Service, person: Person, tools: list[Row], offered: list[Row]) -> dict[str, object]:
    return service.read_now(lambda reader: _shared(service, reader, tools, offered)) | {"person": person}


def _shared(service: Service, reader: Reader, tools: list[Row], offered: list[Row]) -> dict[str, object]:
    found = installations(reader)
    return {
        "installations": found,
        "online": connections.online(reader),
        "labels": {row.id: row.label for row in found},
        "accepters": {row.accepted_by: freezes.by(reader, row.accepted_by) for row in tools},
        "offers": [_offer(reader, service, row) for row in offered],
    }


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
    await service.write(lambda tx: service.offers.accept(tx, server, name, tool_hash, admin, at))
    return RedirectResponse("/servers", status_code=303)


@router.post("/servers/{server}/tools/{name}/rejection")
async def reject(
    server: ServerName,
    name: ToolName,
    admin: Admin,
    service: TheService,
    tool_hash: Annotated[Hash, Form()],
    at: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Say that a definition is not to stand there, and is not to be offered again."""
    await service.write(lambda tx: service.offers.reject(tx, server, name, tool_hash, admin, at))
    return RedirectResponse("/servers", status_code=303)


def _offer(reader: Reader, service: Service, row: Row) -> dict[str, object]:
    before = _text(reader, service, row.server, row.accepted_hash)
    after = _text(reader, service, row.server, row.offered_hash)
    return {
        "server": row.server,
        "name": row.name,
        "at": row.installation_id,
        "hash": row.offered_hash,
        "loosens": row.loosens.splitlines(),
        "difference": diff.difference(before, after),
        "after": after,
    }


def _text(reader: Reader, service: Service, server: str, tool_hash: str | None) -> str:
    if tool_hash is None:
        return ""
    definition = service.registry.definition(reader, server, tool_hash)
    return json.dumps(definition.model_dump(mode="json"), indent=2)
