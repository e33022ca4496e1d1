"""People, as admins manage them. Auditors look."""

from typing import Annotated, Any, Literal

from fastapi import Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from approvals.errors import (
    ApprovalsError,
    Conflict,
    Invalid,
    NotFound,
    NotPossible,
)
from approvals.service.identity import roles as user_roles
from approvals.service.identity import sessions, sign_in_links, tokens, users
from approvals.service.identity.users import ROLES, Person
from approvals.service.service import Service
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.tables import User
from approvals_web.http.app_parts import provider_of
from approvals_web.http.deps import Admin, Overseer, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.names import named

router = PageRouter()

UserId = Annotated[str, Path(max_length=64)]
Roles = Annotated[list[str], Form(max_length=len(ROLES))]


@router.get("/users")
def listed(
    request: Request, person: Overseer, service: TheService, after: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """Everybody, oldest first."""
    return _list(request, service, person, after)


@router.post("/users/invitations")
async def invite(
    request: Request,
    admin: Admin,
    service: TheService,
    name: Annotated[str, Form(max_length=200)],
    roles: Roles = [],  # noqa: B006 — FastAPI copies it
) -> Response:
    """A one-time link for a new account; this answer is the only place where it is whole."""
    name = name.strip().lower()
    try:
        token = await service.write(lambda tx: sign_in_links.invite(tx, admin, name, " ".join(roles)))
    except (Invalid, Conflict) as error:
        return await run_in_threadpool(_list, request, service, admin, "", error)
    return await run_in_threadpool(
        _list, request, service, admin, "", link=f"{service.public_url}/setup?t={token}", invited=name
    )


@router.post("/users/invitations/revocation")
async def take_back(
    request: Request, admin: Admin, service: TheService, name: Annotated[str, Form(max_length=200)]
) -> Response:
    """Nobody makes an account by it any more."""
    try:
        await service.write(lambda tx: sign_in_links.revoke(tx, admin, name))
    except NotFound as error:
        return await run_in_threadpool(_list, request, service, admin, "", error)
    return RedirectResponse("/users", status_code=303)


@router.get("/users/{user_id}")
def one(request: Request, person: Overseer, service: TheService, user_id: UserId) -> Response:
    """One person: roles, groups, sessions, tokens, agents."""
    return _one(request, service, person, user_id)


@router.post("/users/{user_id}/roles")
async def set_roles(
    request: Request,
    admin: Admin,
    service: TheService,
    user_id: UserId,
    roles: Roles = [],  # noqa: B006
) -> Response:
    """What somebody may do."""
    mapped = _gives_roles(request)

    def change(tx: Transaction) -> None:
        user = _found(tx, user_id)
        if user.issuer == mapped:
            raise NotPossible(
                "This person's roles come from their groups at the identity provider.", hint="Change the groups there."
            )
        user_roles.set_roles(tx, user, " ".join(roles), admin)

    return await _changed(request, service, admin, user_id, change)


@router.post("/users/{user_id}/groups")
async def set_groups(
    request: Request,
    admin: Admin,
    service: TheService,
    user_id: UserId,
    groups: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """Which groups somebody is in, beside those that an identity provider claims."""

    def change(tx: Transaction) -> None:
        user_roles.set_groups(tx, _found(tx, user_id), groups.split(), admin)

    return await _changed(request, service, admin, user_id, change)


@router.post("/users/{user_id}/state")
async def set_state(
    request: Request,
    admin: Admin,
    service: TheService,
    user_id: UserId,
    state: Annotated[Literal["disabled", "enabled"], Form()],
) -> Response:
    """Keep somebody out, or let them in again."""

    def change(tx: Transaction) -> None:
        user = _found(tx, user_id)
        if state == "enabled":
            user_roles.enable(tx, user, admin)
        else:
            user_roles.disable(tx, user.id, admin)

    return await _changed(request, service, admin, user_id, change)


@router.post("/users/{user_id}/sign-out")
async def sign_out(request: Request, admin: Admin, service: TheService, user_id: UserId) -> Response:
    """End all of somebody's sessions and tokens."""

    def change(tx: Transaction) -> None:
        user_roles.sign_out_everywhere(tx, _found(tx, user_id), admin)

    return await _changed(request, service, admin, user_id, change)


async def _changed(request: Request, service: Service, admin: Person, user_id: str, change: Any) -> Response:
    try:
        await service.write(change)
    except (Invalid, NotPossible) as error:
        return await run_in_threadpool(_one, request, service, admin, user_id, error)
    return RedirectResponse(f"/users/{user_id}", status_code=303)


def _list(
    request: Request,
    service: Service,
    person: Person,
    after: str,
    error: ApprovalsError | None = None,
    **more: str,
) -> Response:
    rows, invitations = service.read_now(lambda reader: (user_roles.page(reader, after), _invitations(reader)))
    shown = {
        "invitations": invitations,
        "person": person,
        "users": [{"row": row, "groups": sorted(user_roles.groups_of(row))} for row in rows],
        "newer": f"/users?after={rows[-1].id}" if len(rows) == user_roles.PAGE else "",
        "notice": f"{error.detail} {error.hint}".strip() if error else "",
        "link": "",
        "invited": "",
        "roles": ROLES,
    }
    return page(request, "users.html", shown | more, status=error.status if error else 200)


def _invitations(reader: Reader) -> list[dict[str, object]]:
    return [
        {"row": row, "by": named(reader, row.made_by), "counts": sign_in_links.counts(reader, row)}
        for row in sign_in_links.invitations(reader)
    ]


def _one(
    request: Request, service: Service, person: Person, user_id: str, error: ApprovalsError | None = None
) -> Response:
    shown = service.read_now(lambda reader: _shown(reader, user_id))
    given = {
        "person": person,
        "notice": f"{error.detail} {error.hint}".strip() if error else "",
        "roles": ROLES,
        "mapped": shown["user"].issuer == _gives_roles(request),
    }
    return page(request, "user.html", shown | given, status=error.status if error else 200)


def _shown(reader: Reader, user_id: str) -> dict[str, Any]:
    user = _found(reader, user_id)
    return {
        "user": user,
        "sessions": sessions.live(reader, user.id),
        "tokens": tokens.live(reader, user.id),
        "agents": user_roles.agents_of(reader, user.id),
    }


def _found(reader: Reader, user_id: str) -> User:
    user = users.find(reader, user_id)
    if user is None:
        raise NotFound("There is no such user.", hint="Look at the list of users.")
    return user


def _gives_roles(request: Request) -> str | None:
    """The issuer whose claimed groups give people their roles, if one does."""
    provider = provider_of(request)
    return provider.client.issuer if provider and provider.client.policy.roles else None
