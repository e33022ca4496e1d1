"""A session for this browser: a new one at each sign-in, in place of the one it had."""

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from approvals.errors import Unauthenticated
from approvals.instant import Instant
from approvals.service.identity import sessions
from approvals.service.service import Service
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables import User
from approvals_web.auth import known_browsers
from approvals_web.http.cookies import session_token, set_session
from approvals_web.http.redirects import local_path


async def begin(
    request: Request,
    service: Service,
    user: User | None,
    method: str,
    following: str,
    proved_at: Instant | None = None,
) -> Response:
    """Sign the browser in as the account that proved itself, and send it on. Raises Unauthenticated for an account
    that is gone, disabled or was changed since."""
    if user is None:
        raise Unauthenticated("This account is gone.", hint="Ask an admin for a new link.")
    agent = request.headers.get("user-agent", "")
    before = session_token(request)

    def sign_in(tx: Transaction) -> str:
        return sessions.sign_in(
            tx, service.keyring, user, method, address_of(request), agent, proved_at=proved_at, instead_of=before
        )

    token = await service.write(sign_in)
    response = RedirectResponse(local_path(following), status_code=303)
    set_session(request, response, token)
    known_browsers.remember(request, response, service.keyring, user.id)
    return response


def address_of(request: Request) -> str:
    """The browser's, as far as trusted proxies say."""
    return request.client.host if request.client else ""
