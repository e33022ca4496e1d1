"""Agents: who owns them, what their keys cover, how much they may ask; admins change it here."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated

from fastapi import Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from approvals.client_configs import Configuration
from approvals.errors import (
    ApprovalsError,
    Conflict,
    Invalid,
    NotFound,
)
from approvals.instant import Instant
from approvals.protocol.message_fields import Identifier, ServerName
from approvals.service.history import agent_statistics
from approvals.service.history.agent_statistics import Recent
from approvals.service.identity import agents, credentials, key_lifetimes, servers
from approvals.service.identity.agents import AgentEntry
from approvals.service.identity.servers import agent_named
from approvals.service.identity.users import Person
from approvals.service.requests import rate_limits
from approvals.service.service import Service
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.tables import Agent
from approvals_web.http.deps import Admin, SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.connecting import Progress, of_agent, of_key

PAGE = 50
_REFUSED = (Conflict, Invalid, NotFound)

Line = Annotated[str, Form(max_length=4000)]
Limit = Annotated[str, Form(pattern="^[0-9]{0,7}$")]

router = PageRouter()


@dataclass(frozen=True)
class AgentsPage:
    """Some agents, by name."""

    person: Person
    agents: list[AgentEntry]
    limits: dict[str, tuple[int | None, int | None]]
    """By an agent's id: how many of its requests may wait, and how many it may file a minute; None for any number."""
    recent: dict[str, Recent]
    """By an agent's id."""
    older: str
    """The last name, where there are more."""
    flooding: list[str]
    now: Instant
    notice: str = ""
    key: str = ""
    """One that was just made: this answer is the only place where it is whole."""
    key_of: str = ""
    configurations: list[Configuration] = field(default_factory=list)
    """Where to put it."""
    progress: Progress | None = None
    """How far the agent has come that has just got it."""


@router.get("/agents")
def listed(
    request: Request, person: SignedIn, service: TheService, after: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """Agents by name, with their owners, keys and limits."""
    return page(request, "agents.html", service.read_now(lambda reader: _shown(reader, service, person, after)))


@router.get("/agents/{name}/first")
def first(request: Request, person: SignedIn, service: TheService, name: ServerName) -> Response:
    """How far an agent has come; asked again while its page waits."""
    found = service.read_now(lambda reader: _progress(reader, agent_named(reader, name)))
    shown = {"person": person, "progress": found, "name": name, "back": f"/agents#{name}"}
    return page(request, "connection.html", shown)


@router.post("/agents")
async def add(
    request: Request,
    admin: Admin,
    service: TheService,
    name: Annotated[str, Form(max_length=64)],
    owners: Line = "",
    scopes: Line = "",
    expires: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """A new agent; its key is in the answer, and nowhere else."""
    try:
        life = key_lifetimes.seconds(expires.strip() or key_lifetimes.NEVER)
        key = await service.write(
            lambda tx: servers.add_agent(tx, admin, name.strip(), owners=owners.split(), covers=scopes, life=life)
        )
    except _REFUSED as error:
        return await _again(request, service, admin, error)
    return await _with_key(request, service, admin, name.strip(), key)


@router.post("/agents/{name}/keys")
async def rotate(
    name: ServerName,
    request: Request,
    admin: Admin,
    service: TheService,
    expires: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """A second key; it covers what the last one did, and lives as long unless said otherwise."""
    try:
        life = key_lifetimes.seconds(expires.strip()) if expires.strip() else None
        forever = bool(expires.strip()) and life is None
        key = await service.write(
            lambda tx: servers.rotate(tx, admin, "agent", agent_named(tx, name), life=life, forever=forever)
        )
    except _REFUSED as error:
        return await _again(request, service, admin, error)
    return await _with_key(request, service, admin, name, key)


@router.post("/agents/{name}/keys/{key}/scopes")
async def set_scopes(
    name: ServerName, key: Identifier, request: Request, admin: Admin, service: TheService, scopes: Line = ""
) -> Response:
    """What one key covers from now on."""
    return await _done(
        request,
        service,
        admin,
        lambda tx: agents.set_scopes(tx, admin, agent_named(tx, name), key, scopes),
    )


@router.post("/agents/{name}/keys/{key}/revocation")
async def revoke_key(
    name: ServerName, key: Identifier, request: Request, admin: Admin, service: TheService
) -> Response:
    """One key stops working at once."""
    return await _done(
        request,
        service,
        admin,
        lambda tx: servers.revoke(tx, admin, "agent", agent_named(tx, name), key),
    )


@router.post("/agents/{name}/revocation")
async def revoke(name: ServerName, request: Request, admin: Admin, service: TheService) -> Response:
    """The agent and all its keys stop working at once."""
    return await _done(request, service, admin, lambda tx: servers.revoke(tx, admin, "agent", agent_named(tx, name)))


@router.post("/agents/{name}/owners")
async def set_owners(
    name: ServerName, request: Request, admin: Admin, service: TheService, owners: Line = ""
) -> Response:
    """Who answers for it."""
    return await _done(
        request,
        service,
        admin,
        lambda tx: agents.set_owners(tx, admin, agent_named(tx, name), owners.split()),
    )


@router.post("/agents/{name}/groups")
async def set_groups(
    name: ServerName, request: Request, admin: Admin, service: TheService, groups: Line = ""
) -> Response:
    """The groups that rules know it by."""
    return await _done(
        request,
        service,
        admin,
        lambda tx: agents.set_groups(tx, admin, agent_named(tx, name), groups.split()),
    )


@router.post("/agents/{name}/limits")
async def set_limits(
    name: ServerName, request: Request, admin: Admin, service: TheService, pending: Limit = "", minute: Limit = ""
) -> Response:
    """How much it may ask; empty for the service's own limits."""
    waiting, filed = (int(text) if text else None for text in (pending, minute))
    return await _done(
        request,
        service,
        admin,
        lambda tx: agents.set_limits(tx, admin, agent_named(tx, name), pending=waiting, minute=filed),
    )


async def _done(request: Request, service: Service, admin: Person, work: Callable[[Transaction], object]) -> Response:
    try:
        await service.write(work)
    except _REFUSED as error:
        return await _again(request, service, admin, error)
    return RedirectResponse("/agents", status_code=303)


async def _again(request: Request, service: Service, admin: Person, error: ApprovalsError) -> Response:
    shown = await service.read(lambda reader: _shown(reader, service, admin, ""))
    notice = f"{error.detail} {error.hint}".strip()
    return page(request, "agents.html", replace(shown, notice=notice), status=error.status)


async def _with_key(request: Request, service: Service, admin: Person, name: str, key: str) -> Response:
    shown = await service.read(lambda reader: _shown(reader, service, admin, ""))
    found = await service.read(lambda reader: _progress(reader, agent_named(reader, name)))
    told = replace(shown, key=key, key_of=name, configurations=of_key(key), progress=None if found.works else found)
    return page(request, "agents.html", told)


def _progress(reader: Reader, agent: Agent) -> Progress:
    keys = credentials.live(reader, "agent", agent.id)
    used = any(key.last_used_at for key in keys)
    since = keys[-1].created_at if keys else agent.created_at
    return of_agent(agent.id, agent.name, agent_statistics.recent(reader, agent.id), used, since, reader.now)


def _shown(reader: Reader, service: Service, person: Person, after: str) -> AgentsPage:
    found = agents.page(reader, after=after, limit=PAGE)
    return AgentsPage(
        person=person,
        agents=found,
        limits={agent.row.id: service.allowances.limits(agent.row) for agent in found},
        recent={agent.row.id: agent_statistics.recent(reader, agent.row.id) for agent in found},
        older=found[-1].row.name if len(found) == PAGE else "",
        flooding=rate_limits.flooding(reader, person.id, everybody="admin" in person.roles),
        now=reader.now,
    )
