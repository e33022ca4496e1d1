"""One server: where it runs, its keys, its tools, who may use it, how far it is enforced. Admins change it here."""

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from approvals.errors import ApprovalsError, Conflict, Invalid, NotFound
from approvals.protocol.message_fields import Identifier, ServerName
from approvals.protocol.registration import ToolDefinition, Verdict
from approvals.service.controls import audiences, freezes, rollouts
from approvals.service.controls.rollouts import Observed
from approvals.service.identity import credentials, key_lifetimes, servers
from approvals.service.identity.users import Person
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row
from approvals.service.storage.tables import Credential, Installation, Rollout
from approvals.service.tools import connections, listing
from approvals.service.tools.connections import Connection
from approvals.service.tools.layout import Argument, Layout
from approvals_web.http.deps import Admin, SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.connecting import Connected, Progress, progress

TOOLS = 100
"""Of each place."""
_REFUSED = (Conflict, Invalid, NotFound)
_VERDICTS = {
    Verdict.RUN: "runs without asking",
    Verdict.ASK: "waits for a person",
    Verdict.REFUSE: "always refused",
    Verdict.DEPENDS: "depends on its arguments",
}

router = PageRouter()
Expires = Annotated[str, Form(max_length=10)]


@dataclass(frozen=True)
class Place:
    """One installation."""

    row: Installation
    keys: list[Credential]
    connection: Connection
    progress: Progress | None
    """Until a call waited for a person."""


@dataclass(frozen=True)
class ShownTool:
    """A tool as it stands at a place."""

    definition: ToolDefinition
    place: str
    """The label of the cooperative installation; empty for the enforced ones."""
    verdict: str
    accepted: str
    arguments: list[Argument]
    tool_hash: str


@dataclass(frozen=True)
class Enforcement:
    """One setting of how far calls wait."""

    row: Rollout
    by: str


@dataclass(frozen=True)
class ServerPage:
    """What `server.html` needs."""

    person: Person
    name: str
    places: list[Place]
    tools: list[ShownTool]
    more_tools: dict[listing.Place, int]
    audience: list[str]
    choices: list[str]
    """Whom a setting may be for: agents and groups, and what is set of those that are gone."""
    rollouts: list[Enforcement]
    observed: list[Observed]
    connected: Connected | None = None
    key: str = ""
    """A key that was just made, shown this once."""
    key_of: str = ""
    notice: str = ""


@router.get("/servers/{server}")
def server(request: Request, person: SignedIn, service: TheService, server: ServerName) -> Response:
    """All about one server. Raises NotFound."""
    return page(request, "server.html", service.read_now(lambda reader: page_of(service, reader, person, server)))


@router.get("/servers/{server}/connection")
def connection(
    request: Request,
    person: SignedIn,
    service: TheService,
    server: ServerName,
    at: Annotated[str, Query(max_length=64)],
) -> Response:
    """How far one installation has come; asked again while its page waits."""
    found = service.read_now(lambda reader: _progress(service, reader, _installation(reader, server, at)))
    return page(
        request, "connection.html", {"person": person, "progress": found, "name": server, "back": f"/servers/{server}"}
    )


@router.post("/servers/{server}/keys")
async def rotate(
    request: Request,
    admin: Admin,
    service: TheService,
    server: ServerName,
    at: Annotated[Identifier, Form()],
    expires: Expires = "",
) -> Response:
    """A second key for one installation; the oldest goes when there would be three."""
    try:
        life = key_lifetimes.seconds(expires.strip()) if expires.strip() else None
        forever = bool(expires.strip()) and life is None
        row = await service.read(lambda reader: _installation(reader, server, at))
        key = await service.write(lambda tx: servers.rotate(tx, admin, "installation", row, life=life, forever=forever))
    except _REFUSED as error:
        return await _again(request, service, admin, server, error)
    shown = await service.read(lambda reader: page_of(service, reader, admin, server))
    return page(request, "server.html", replace(shown, key=key, key_of=f"{server} at {row.label}"))


@router.post("/servers/{server}/keys/{key}/revocation")
async def revoke_key(
    request: Request,
    admin: Admin,
    service: TheService,
    server: ServerName,
    key: Identifier,
    at: Annotated[Identifier, Form()],
) -> Response:
    """One key stops working at once."""
    return await _revoke(request, service, admin, server, at, key)


@router.post("/servers/{server}/revocation")
async def revoke(
    request: Request, admin: Admin, service: TheService, server: ServerName, at: Annotated[Identifier, Form()]
) -> Response:
    """One installation and all its keys stop working at once."""
    return await _revoke(request, service, admin, server, at, None)


@router.post("/servers/{server}/grants")
async def allow_grants(
    admin: Admin,
    service: TheService,
    server: ServerName,
    at: Annotated[Identifier, Form()],
    allowed: Annotated[bool, Form()],
) -> Response:
    """Whether similar calls may be allowed together with an approval, at one installation."""
    await service.write(lambda tx: servers.allow_grants(tx, admin, _installation(tx, server, at), allowed=allowed))
    return _to(server)


async def _revoke(request: Request, service: Service, admin: Person, server: str, at: str, key: str | None) -> Response:
    try:
        await service.write(lambda tx: servers.revoke(tx, admin, "installation", _installation(tx, server, at), key))
    except _REFUSED as error:
        return await _again(request, service, admin, server, error)
    return _to(server)


def _to(server: str) -> Response:
    return RedirectResponse(f"/servers/{server}", status_code=303)


async def _again(request: Request, service: Service, admin: Person, server: str, error: ApprovalsError) -> Response:
    shown = await service.read(lambda reader: page_of(service, reader, admin, server))
    return page(
        request, "server.html", replace(shown, notice=f"{error.detail} {error.hint}".strip()), status=error.status
    )


def page_of(service: Service, reader: Reader, person: Person, name: str) -> ServerPage:
    """All that the page shows. Raises NotFound."""
    known = audiences.known_server(reader, name)
    places = [row for row in servers.installations(reader) if row.server == name]
    tools, more = _tools(service, reader, places)
    audience = known.audience.split()
    return ServerPage(
        person,
        name,
        [_place(service, reader, row) for row in places],
        tools,
        more,
        audience,
        choices=_choices(reader, audience),
        rollouts=[
            Enforcement(row, freezes.by(reader, row.set_by)) for row in rollouts.listed(reader) if row.server == name
        ],
        observed=rollouts.observed(reader, name),
    )


def _choices(reader: Reader, audience: list[str]) -> list[str]:
    agents = [row for row in servers.agents(reader) if row.disabled_at is None]
    groups = sorted({group for row in agents for group in row.groups.split()})
    known = [*(f"agent:{row.name}" for row in agents), *(f"group:{name}" for name in groups)]
    return [*known, *(entry for entry in audience if entry not in known)]


def _installation(reader: Reader, server: str, installation_id: str) -> Installation:
    row = credentials.installation(reader, installation_id)
    if row is None or row.server != server:
        raise NotFound(f"The server {server!r} has no such installation.", hint="Open its page again.")
    return row


def _place(service: Service, reader: Reader, row: Installation) -> Place:
    found = connections.connection(reader, row.id)
    waits = row.disabled_at is None and found.first is None
    keys = credentials.live(reader, "installation", row.id)
    return Place(row, keys, found, _progress(service, reader, row) if waits else None)


def _progress(service: Service, reader: Reader, row: Installation) -> Progress:
    newest = credentials.newest(reader, "installation", row.id)
    since = newest.created_at if newest is not None else row.created_at
    return progress(row.server, row.id, connections.connection(reader, row.id), since, service.public_url)


def _tools(
    service: Service, reader: Reader, places: list[Installation]
) -> tuple[list[ShownTool], dict[listing.Place, int]]:
    """The first of each place; and the places that have more."""
    if not places:
        return [], {}
    server, labels = places[0].server, {"": ""} | {row.id: row.label for row in places}
    verdicts = {
        (facts.tool, facts.tool_hash): _VERDICTS[service.policy.verdict(facts)]
        for facts in service.registry.known_tools(reader)
        if facts.server == server
    }
    found = {
        listing.Place(server, at): listing.page(reader, listing.Place(server, at), "", TOOLS + 1, offered=False)
        for at in labels
    }
    shown = [_tool(service, reader, row, labels[of.at], verdicts) for of, rows in found.items() for row in rows[:TOOLS]]
    return shown, {of: TOOLS for of, rows in found.items() if len(rows) > TOOLS}


def _tool(service: Service, reader: Reader, row: Row, label: str, verdicts: dict[tuple[str, str], str]) -> ShownTool:
    tool_hash = row.accepted_hash or row.offered_hash
    definition = service.registry.definition(reader, row.server, tool_hash)
    by_itself = row.accepted_by.startswith("installation:")
    accepted = "as the server says" if by_itself else f"accepted by {freezes.by(reader, row.accepted_by)}"
    return ShownTool(
        definition,
        label,
        verdicts.get((row.name, tool_hash), ""),
        accepted if row.accepted_by else "not reviewed",
        Layout(definition.input_schema).arguments,
        tool_hash,
    )
