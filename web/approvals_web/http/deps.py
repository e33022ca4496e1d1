"""Who may call, visible in a handler's signature."""

from typing import Annotated

from fastapi import Depends, Header, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from approvals.errors import Forbidden, Unauthenticated, WireTooOld
from approvals.protocol.messages import OLDEST_WIRE, WIRE_HEADER, WIRE_VERSION
from approvals.service.controls import freezes
from approvals.service.identity import credentials
from approvals.service.identity.credentials import Principal
from approvals.service.identity.sessions import person_of
from approvals.service.identity.users import Person
from approvals.service.service import Service
from approvals.service.storage import tables
from approvals_web.http.app_parts import service_of
from approvals_web.http.bearer import identify
from approvals_web.http.cookies import session_token

_bearer = HTTPBearer(auto_error=False, description="A key: mcps_… (installation), mcpa_… (agent) or mcpu_… (person)")


TheService = Annotated[Service, Depends(service_of)]
_Wire = Annotated[
    str,
    Header(alias=WIRE_HEADER, description=f"The wire version that the gate speaks: {OLDEST_WIRE} to {WIRE_VERSION}"),
]
_Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
"""For the document of the API alone: the route has asked whose key it is."""


async def _principal(request: Request, *kinds: str) -> Principal:
    found = await identify(request)
    credentials.check_kind(found.kind, kinds)
    return found


async def gate(request: Request, bearer: _Bearer, wire: _Wire = "") -> Principal:
    """The gate whose key this is, and the key. Raises WireTooOld when it speaks no version this service knows."""
    found = await _principal(request, "installation")
    _check_wire(wire)
    return found


async def installation(found: Annotated[Principal, Depends(gate)]) -> tables.Installation:
    """The gate whose key this is. Raises as `gate`."""
    return found.installation


async def agent(request: Request, bearer: _Bearer) -> tables.Agent:
    """The agent whose key this is."""
    return (await _principal(request, "agent")).agent


async def user_token(request: Request, bearer: _Bearer) -> Principal:
    """The person whose token this is."""
    return await _principal(request, "user")


async def any_key(request: Request, bearer: _Bearer) -> Principal:
    """Whoever's key this is."""
    return await _principal(request)


async def signed_in(request: Request, service: TheService) -> Person:
    """The person behind the session cookie. Raises Unauthenticated, which pages turn into the sign-in page."""
    request.state.mark = service.bus.mark  # before anything is read: what changes from now on is not on the page
    person = await visitor(request, service)
    if person is None:
        raise Unauthenticated("Sign in first.", hint="Your session may have run out.")
    return person


async def at_a_page(request: Request, person: "Authenticated", service: TheService) -> Person:
    """As `signed_in`, of somebody who opens or uses a page: it shows what is frozen, and keeps them signed in; but what
    an open page does by itself keeps nobody signed in."""
    request.state.freezes = await service.read(freezes.shown)
    if request.headers.get("hx-request") != "true":
        service.activity.browsing(person.session_id)
    return person


async def visitor(request: Request, service: Service) -> Person | None:
    """The signed-in person, or None."""
    token = session_token(request)
    address = request.client.host if request.client else ""
    return await service.read(lambda reader: person_of(reader, service.keyring, token, address)) if token else None


async def admin(person: "SignedIn") -> Person:
    """A signed-in admin."""
    if "admin" not in person.roles:
        raise Forbidden("Only admins may do this.", hint="Ask an admin.")
    return person


async def overseer(person: "SignedIn") -> Person:
    """A signed-in admin or auditor."""
    if not person.roles & {"admin", "auditor"}:
        raise Forbidden("Only admins and auditors may look at this.", hint="Ask an admin.")
    return person


def _check_wire(spoken: str) -> None:
    if not spoken.isdigit() or not OLDEST_WIRE <= int(spoken) <= WIRE_VERSION:
        raise WireTooOld(
            f"This gate speaks wire version {spoken[:20] or 'unknown'}; "
            f"this service speaks {OLDEST_WIRE} to {WIRE_VERSION}.",
            hint="Upgrade mcp-approvals where the MCP server runs (or here, if the gate is newer).",
        )


GateKey = Annotated[Principal, Depends(gate)]
Installation = Annotated[tables.Installation, Depends(installation)]
Agent = Annotated[tables.Agent, Depends(agent)]
UserToken = Annotated[Principal, Depends(user_token)]
AnyKey = Annotated[Principal, Depends(any_key)]
Authenticated = Annotated[Person, Depends(signed_in)]
SignedIn = Annotated[Person, Depends(at_a_page)]
Overseer = Annotated[Person, Depends(overseer)]
Admin = Annotated[Person, Depends(admin)]
