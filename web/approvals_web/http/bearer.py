"""Whose key a request of the API bears: asked once, before anything of its body is read."""

from fastapi import Request
from fastapi.security.utils import get_authorization_scheme_param

from approvals.errors import Unauthenticated
from approvals.service.identity import credentials
from approvals.service.identity.credentials import Principal
from approvals_web.http.app_parts import the_service


async def identify(request: Request) -> Principal:
    """The principal of the request's key, whatever its kind. Raises Unauthenticated unless it is a live one."""
    known: Principal | None = getattr(request.state, "bearer", None)
    if known is None:
        service = the_service(request)
        token = _token(request)
        try:
            known = await service.read(lambda reader: credentials.authenticate(reader, token))
        except Unauthenticated as error:  # of the sender's own key, not of one that it asks about
            raise Unauthenticated(error.detail, hint=error.hint, whose="sender") from error
        request.state.bearer = known
        service.activity.used(known.credential.id)
    return known


def _token(request: Request) -> str:
    scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("A bearer key is needed.", hint="Send 'Authorization: Bearer KEY'.")
    return token
