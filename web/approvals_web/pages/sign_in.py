"""Signing in: by password, or by a one-time link whose POST spends it."""

from typing import Annotated

from fastapi import Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from approvals.errors import (
    ApprovalsError,
    Duplicate,
    Invalid,
    TooMany,
    Unauthenticated,
)
from approvals.service.identity import failed_sign_ins, sign_in_limit, sign_in_links, users
from approvals.service.identity import sessions as browsers
from approvals.service.service import Service
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables import User
from approvals_web.auth import known_browsers, passwords, sessions
from approvals_web.auth.sessions import address_of
from approvals_web.http.app_parts import provider_of
from approvals_web.http.cookies import clear_session
from approvals_web.http.deps import SignedIn, TheService
from approvals_web.http.redirects import local_path
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter

router = PageRouter()

Token = Annotated[str, Form(max_length=100)]
Name = Annotated[str, Form(max_length=100)]
Password = Annotated[str, Form(max_length=1000)]


@router.get("/login")
def login_page(request: Request, following: Annotated[str, Query(alias="next", max_length=500)] = "/") -> Response:
    """The form."""
    return form(request, following)


@router.post("/login")
async def login(
    request: Request,
    service: TheService,
    name: Name,
    password: Password,
    following: Annotated[str, Form(alias="next", max_length=500)] = "/",
) -> Response:
    """Sign in with a password."""
    name = name.strip().lower()
    try:
        user = await by_password(request, service, name, password)
        return await sessions.begin(request, service, user, "password", following)
    except (TooMany, Unauthenticated) as error:
        return form(request, following, name, error)


@router.get("/setup")
async def setup_page(request: Request, service: TheService, t: Annotated[str, Query(max_length=100)]) -> Response:
    """What the link is for. Looking spends nothing: link scanners look, too."""
    return await _setup(request, service, t, "", None)


@router.post("/setup")
async def setup(request: Request, service: TheService, t: Token, name: Name = "", password: Password = "") -> Response:
    """Spend the link: make the account, or sign in to the one that it is for."""
    try:
        link = await service.read(lambda reader: sign_in_links.look_at(reader, t))
        known = await passwords.hashed(password) if link.user_id is None else None
        user = await service.write(lambda tx: _spend(service, tx, t, name, known))
    except (Invalid, Duplicate) as error:
        return await _setup(request, service, t, name, error)
    except Unauthenticated:
        await service.write(lambda tx: failed_sign_ins.record(tx, service.keyring, "link", address_of(request)))
        raise
    return await sessions.begin(request, service, user, "link", "/")


@router.post("/logout")
async def logout(request: Request, person: SignedIn, service: TheService) -> Response:
    """End this session."""
    await service.write(lambda tx: browsers.sign_out(tx, person))
    response = RedirectResponse("/login", status_code=303)
    clear_session(request, response)
    return response


async def by_password(request: Request, service: Service, name: str, password: str) -> User:
    """The local account with this name and password. Raises TooMany, or Unauthenticated, which does not say which of
    them was wrong."""
    user = await service.read(lambda reader: users.by_sign_in_name(reader, name))
    browser = known_browsers.recognize(request, service.keyring, user.id) if user else None
    address = address_of(request)
    counted = sign_in_limit.counters(name, address, browser)
    await service.write(lambda tx: sign_in_limit.take(tx, counted))
    try:
        await passwords.check(password, user.password_hash if user else None)
    except Unauthenticated:
        await service.write(lambda tx: failed_sign_ins.record(tx, service.keyring, "password", address, name))
        raise
    await service.write(lambda tx: sign_in_limit.succeeded(tx, counted))
    assert user is not None  # noqa: S101 — nobody has no password
    return user


def form(request: Request, following: str, name: str = "", error: ApprovalsError | None = None) -> Response:
    """The sign-in page, with what went wrong."""
    provider = provider_of(request)
    shown = {
        "next": local_path(following),
        "name": name,
        "notice": f"{error.detail} {error.hint}" if error else "",
        "provider": provider.client.shown if provider else "",
    }
    return page(request, "login.html", shown, status=error.status if error else 200)


def _spend(service: Service, tx: Transaction, token: str, chosen: str, password_hash: str | None) -> User | None:
    """Whose link it is. Only the very first person chooses their name: rules call people by it."""
    link = sign_in_links.spend(tx, token)
    if link.user_id is not None:
        return users.find(tx, link.user_id)
    name = link.name if link.purpose == "invite" else chosen
    added = users.add(
        tx,
        f"link:{link.purpose}",
        subject=name,
        name=name,
        roles=link.roles or users.FIRST_ROLES,
        password_hash=password_hash,
    )
    return users.find(tx, added)


async def _setup(request: Request, service: Service, token: str, name: str, error: ApprovalsError | None) -> Response:
    link = await service.read(lambda reader: sign_in_links.look_at(reader, token))
    of = link.user_id
    user = await service.read(lambda reader: users.find(reader, of)) if of else None
    notice = f"{error.detail} {error.hint}" if error else ""
    shown = {"link": link, "user": user, "token": token, "name": name, "notice": notice}
    return page(request, "setup.html", shown, status=error.status if error else 200)
