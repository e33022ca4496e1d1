"""One's own account: sessions, password, personal tokens."""

from typing import Annotated

from fastapi import Form, Path, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from approvals.errors import (
    ApprovalsError,
    Duplicate,
    Forbidden,
    Invalid,
    NotPossible,
    TooMany,
    Unauthenticated,
)
from approvals.service.identity import passwords as service_passwords
from approvals.service.identity import sessions, tokens, users
from approvals.service.identity.roles import groups_of
from approvals.service.identity.tokens import HOUR
from approvals.service.identity.users import LOCAL, Person
from approvals.service.service import Service
from approvals.service.slack import links
from approvals.service.slack.links import Links
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.tables import User
from approvals_web.auth import passwords
from approvals_web.auth import sessions as browser_session
from approvals_web.http.app_parts import provider_of, slack_of
from approvals_web.http.deps import SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.sign_in import by_password

router = PageRouter()

Password = Annotated[str, Form(max_length=1000)]
SessionId = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
SlackId = Annotated[str, Path(pattern="^[A-Za-z0-9]{1,40}$")]
TokenId = Annotated[str, Path(pattern="^[0-9a-f]{1,32}$")]


@router.get("/account")
def account(request: Request, person: SignedIn, service: TheService) -> Response:
    """Who I am here, where I am signed in, and what else can act for me."""
    return _account(request, service, person)


@router.post("/account/password")
async def password(
    request: Request, person: SignedIn, service: TheService, new: Password, present: Password = ""
) -> Response:
    """A new password. It takes the present one, or a sign-in link used just now. Other sessions end."""
    try:
        if not _came_by_link(person, service.database.clock.now()):
            await _prove(request, service, person, present)
        known = await passwords.hashed(new)
        user = await service.write(lambda tx: _set(service, tx, person, known))
    except (Invalid, TooMany, Unauthenticated, NotPossible) as error:
        return await run_in_threadpool(_account, request, service, person, error)
    return await browser_session.begin(request, service, user, "password", "/account")


@router.post("/account/confirmation")
async def confirm(request: Request, person: SignedIn, service: TheService, present: Password) -> Response:
    """Prove by password that it is still me: a new session, in place of this one."""
    try:
        user = await _prove(request, service, person, present)
    except (TooMany, Unauthenticated, NotPossible) as error:
        return await run_in_threadpool(_account, request, service, person, error)
    return await browser_session.begin(request, service, user, "password", "/account")


@router.post("/account/sessions/{session_id}/revocation")
async def end_session(session_id: SessionId, person: SignedIn, service: TheService) -> Response:
    """Sign one of my browsers out."""
    await service.write(lambda tx: sessions.revoke(tx, person, session_id))
    return RedirectResponse("/account", status_code=303)


@router.post("/account/other-sessions/revocation")
async def end_others(person: SignedIn, service: TheService) -> Response:
    """Sign all of my other browsers out."""
    await service.write(lambda tx: sessions.revoke_others(tx, person))
    return RedirectResponse("/account", status_code=303)


@router.post("/account/tokens")
async def make_token(
    request: Request,
    person: SignedIn,
    service: TheService,
    label: Annotated[str, Form(max_length=200)],
    scopes: Annotated[str, Form(max_length=40)],
    hours: Annotated[int, Form(ge=1, le=24 * 365)],
) -> Response:
    """A personal API token; this answer is the only place where it is whole."""
    try:
        token = await service.write(lambda tx: tokens.make(tx, person, label, scopes, hours * HOUR))
    except (Invalid, Forbidden, TooMany) as error:
        return await run_in_threadpool(_account, request, service, person, error)
    return await run_in_threadpool(_account, request, service, person, token=token)


@router.post("/account/tokens/{credential_id}/revocation")
async def revoke_token(credential_id: TokenId, person: SignedIn, service: TheService) -> Response:
    """Revoke a personal token: it stops working at once."""
    await service.write(lambda tx: tokens.revoke(tx, person, credential_id))
    return RedirectResponse("/account", status_code=303)


@router.post("/account/slack/code")
async def slack_code(request: Request, person: SignedIn, service: TheService) -> Response:
    """A code to type in Slack; this answer is the only place where it is."""
    try:
        code = await service.write(lambda tx: Links().code(tx, person))
    except Forbidden as error:
        return await run_in_threadpool(_account, request, service, person, error)
    return await run_in_threadpool(_account, request, service, person, code=code)


@router.post("/account/slack/confirmation")
async def confirm_slack(
    request: Request, person: SignedIn, service: TheService, slack_user: Annotated[str, Form(max_length=50)]
) -> Response:
    """I am the Slack user who typed my code."""
    try:
        await service.write(lambda tx: Links().confirm(tx, person, slack_user))
    except (NotPossible, Duplicate) as error:
        return await run_in_threadpool(_account, request, service, person, error)
    return RedirectResponse("/account", status_code=303)


@router.post("/account/slack/{team_id}/{slack_user_id}/unlinking")
async def unlink_slack(team_id: SlackId, slack_user_id: SlackId, person: SignedIn, service: TheService) -> Response:
    """What that Slack user presses decides nothing any more."""
    await service.write(lambda tx: Links().unlink(tx, person, team_id, slack_user_id))
    return RedirectResponse("/account", status_code=303)


async def _prove(request: Request, service: Service, person: Person, present: str) -> User:
    """The account as it was proved. Raises Unauthenticated, TooMany, or NotPossible for somebody without a password."""
    user = await service.read(lambda reader: users.find(reader, person.id))
    if user is None or user.issuer != LOCAL or user.password_hash is None:
        raise NotPossible("You have no password here.", hint="Sign in again through your identity provider.")
    return await by_password(request, service, user.subject, present)


def _set(service: Service, tx: Transaction, person: Person, password_hash: str) -> User | None:
    user = users.find(tx, person.id)
    if user is None or user.issuer != LOCAL:
        raise NotPossible("You have no password here.", hint="Your identity provider keeps it.")
    service_passwords.set_password(tx, person.id, password_hash, person.actor)
    return users.find(tx, person.id)


def _came_by_link(person: Person, now: int) -> bool:
    return person.method == "link" and tokens.is_fresh(person, now)


def _account(
    request: Request,
    service: Service,
    person: Person,
    error: ApprovalsError | None = None,
    token: str = "",
    code: str = "",
) -> Response:
    shown = service.read_now(lambda reader: _shown(reader, person))
    provider = provider_of(request)
    given = {
        "person": person,
        "notice": f"{error.detail} {error.hint}".strip() if error else "",
        "token": token,
        "code": code,
        "slack": slack_of(request) is not None,
        "provider": provider.client.shown if provider else "",
    }
    return page(request, "account.html", shown | given, status=error.status if error else 200)


def _shown(reader: Reader, person: Person) -> dict[str, object]:
    user = users.find(reader, person.id)
    return {
        "user": user,
        "groups": sorted(groups_of(user)) if user else [],
        "sessions": sessions.live(reader, person.id),
        "tokens": tokens.live(reader, person.id),
        "fresh": tokens.is_fresh(person, reader.now),
        "slack_links": links.of_person(reader, person.id),
        "typed": links.typed(reader, person),
        "by_link": _came_by_link(person, reader.now),
        "at_most": tokens.AT_MOST,
    }
