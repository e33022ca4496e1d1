"""Signing in: by password, or by a one-time link whose POST spends it."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from approvals import people
from approvals.database import Row, Transaction
from approvals.errors import ApprovalsError, Duplicate, Invalid, TooMany, Unauthenticated
from approvals.service import Service
from approvals_web import passwords
from approvals_web.deps import SignedIn, TheService
from approvals_web.rendering import page
from approvals_web.session_cookie import clear_session, set_session

router = APIRouter()
attempts = passwords.Attempts()

Token = Annotated[str, Form(max_length=100)]
Name = Annotated[str, Form(max_length=100)]
Password = Annotated[str, Form(max_length=1000)]


@router.get("/login")
def login_page(request: Request, following: Annotated[str, Query(alias="next", max_length=500)] = "/") -> Response:
    """The form."""
    return page(request, "login.html", {"next": _local(following), "name": "", "notice": ""})


@router.post("/login")
async def login(
    request: Request,
    service: TheService,
    name: Name,
    password: Password,
    following: Annotated[str, Form(alias="next", max_length=500)] = "/",
) -> Response:
    """Sign in with a password."""
    now, address = service.database.clock.now(), _address(request)
    try:
        attempts.take(name, address, now)
        user = await service.read(lambda reader: people.by_sign_in_name(reader, name))
        await passwords.check(password, user.password_hash if user else None)
        attempts.succeeded(name, address, now)
        return await _signed_in(request, service, user, "password", following)
    except (TooMany, Unauthenticated) as error:
        shown = {"next": _local(following), "name": name, "notice": f"{error.detail} {error.hint}"}
        return page(request, "login.html", shown, status=error.status)


@router.get("/setup")
async def setup_page(request: Request, service: TheService, t: Annotated[str, Query(max_length=100)]) -> Response:
    """What the link is for. Looking spends nothing: link scanners look, too."""
    return await _setup(request, service, t, "", None)


@router.post("/setup")
async def setup(request: Request, service: TheService, t: Token, name: Name = "", password: Password = "") -> Response:
    """Spend the link: make the account, or sign in to the one that it is for."""
    link = await service.read(lambda reader: service.people.look_at(reader, t))
    try:
        known = await passwords.hashed(password) if link.user_id is None else None
        user = await service.write(lambda tx: _spend(service, tx, t, name, known))
    except (Invalid, Duplicate) as error:
        return await _setup(request, service, t, name, error)
    return await _signed_in(request, service, user, "link", "/")


@router.post("/logout")
async def logout(request: Request, person: SignedIn, service: TheService) -> Response:
    """End this session."""
    await service.write(lambda tx: service.people.sign_out(tx, person))
    response = RedirectResponse("/login", status_code=303)
    clear_session(request, response)
    return response


def _spend(service: Service, tx: Transaction, token: str, name: str, password_hash: str | None) -> Row | None:
    link = service.people.spend(tx, token)
    if link.user_id is not None:
        return people.find(tx, link.user_id)
    actor = f"link:{link.purpose}"
    user_id = service.people.add(
        tx, actor, subject=name, name=name, roles=link.roles or people.FIRST_ROLES, password_hash=password_hash
    )
    return people.find(tx, user_id)


async def _signed_in(request: Request, service: Service, user: Row | None, method: str, following: str) -> Response:
    if user is None:
        raise Unauthenticated("This account is gone.", hint="Ask an admin for a new link.")
    agent = request.headers.get("user-agent", "")
    token = await service.write(lambda tx: service.people.sign_in(tx, user, method, _address(request), agent))
    response = RedirectResponse(_local(following), status_code=303)
    set_session(request, response, token)
    return response


async def _setup(request: Request, service: Service, token: str, name: str, error: ApprovalsError | None) -> Response:
    link = await service.read(lambda reader: service.people.look_at(reader, token))
    user = await service.read(lambda reader: people.find(reader, link.user_id)) if link.user_id else None
    notice = f"{error.detail} {error.hint}" if error else ""
    shown = {"link": link, "user": user, "token": token, "name": name, "notice": notice}
    return page(request, "setup.html", shown, status=error.status if error else 200)


def _local(address: str) -> str:
    """Only a path of this app: never a way out to another site."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
