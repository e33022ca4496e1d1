"""Signing in through the identity provider: there, and back."""

from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from approvals.errors import (
    ApprovalsError,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from approvals.service.identity import failed_sign_ins, sso
from approvals.service.storage.database import Transaction
from approvals.service.storage.statements import Row
from approvals.service.storage.tables import User
from approvals.service.text import visible
from approvals_web.auth import oidc_state, sessions
from approvals_web.auth.oidc import Provider
from approvals_web.auth.oidc_state import PendingLogin
from approvals_web.http.app_parts import provider_of
from approvals_web.http.deps import TheService
from approvals_web.http.redirects import local_path
from approvals_web.http.routers import PageRouter
from approvals_web.pages.sign_in import form

router = PageRouter()

CALLBACK = "/login/oidc/callback"


@router.get("/login/oidc")
async def leave(
    request: Request,
    service: TheService,
    following: Annotated[str, Query(alias="next", max_length=500)] = "/",
    fresh: bool = False,
) -> Response:
    """To the provider. `fresh` asks it to authenticate the person again."""
    provider = _provider(request)
    now = service.database.clock.now()
    begun = oidc_state.begin(service.keyring, local_path(following), now, fresh=fresh)
    try:
        response = RedirectResponse(
            await provider.authorization_url(begun, service.public_url + CALLBACK), status_code=303
        )
    except Unavailable as error:
        return form(request, following, error=error)
    oidc_state.remember(request, response, begun)
    return response


@router.get(CALLBACK)
async def back(
    request: Request,
    service: TheService,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    iss: Annotated[str | None, Query(max_length=500)] = None,
    error: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """From the provider, with a code or with an error: in exchange for a session."""
    try:
        begun = oidc_state.returned(request, service.keyring, state, service.database.clock.now())
        await service.write(begun.spend)
        response = await _admitted(request, service, begun, code, iss, error)
    except (Unauthenticated, Forbidden, Unavailable) as refused:
        if not isinstance(refused, Unavailable):
            address = sessions.address_of(request)
            await service.write(lambda tx: failed_sign_ins.record(tx, service.keyring, "oidc", address))
        response = form(request, "/", error=refused)
    oidc_state.forget(request, response)
    return response


async def _admitted(
    request: Request, service: TheService, begun: PendingLogin, code: str, iss: str | None, error: str
) -> Response:
    provider = _provider(request)
    if error or not code:
        raise Unauthenticated(f"The identity provider said no: {visible(error) or 'no code'}.", hint="Sign in again.")
    who, proved_at = await provider.identify(begun, code, iss, service.public_url + CALLBACK)

    def admit(tx: Transaction) -> User | ApprovalsError:
        return sso.admit(tx, who, provider.client.policy)

    user = await service.write(admit)
    assert isinstance(user, Row)  # noqa: S101 — errors were raised
    return await sessions.begin(request, service, user, "oidc", begun.following, proved_at)


def _provider(request: Request) -> Provider:
    provider = provider_of(request)
    if provider is None:
        raise NotFound("No identity provider is set up here.", hint="Set APPROVALS_OIDC_ISSUER.")
    return provider
