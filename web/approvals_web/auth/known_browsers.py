"""Browsers that signed in before: a signed cookie lets their owner in while others guess at the account, or behind the
same address. It is no credential: the password is asked for as ever, and guesses from such a browser are counted."""

import hmac
import secrets

from fastapi import Request, Response

from approvals.service.keyring import Keyring
from approvals_web.http.cookies import is_secure

NAMES = {True: "__Host-approvals-known", False: "approvals-known"}
LIFE = 365 * 86_400
"""Seconds since the last sign-in."""


def remember(request: Request, response: Response, keyring: Keyring, user_id: str) -> None:
    """Know this browser again, when this person signs in with it."""
    secure, browser = is_secure(request), secrets.token_urlsafe(16)
    token = f"{user_id}.{browser}.{keyring.known_browser(user_id, browser)}"
    response.set_cookie(NAMES[secure], token, max_age=LIFE, path="/", secure=secure, httponly=True, samesite="lax")


def recognize(request: Request, keyring: Keyring, user_id: str) -> str | None:
    """What tells this browser from others, if this person was the last to sign in with it."""
    owner, _, rest = request.cookies.get(NAMES[is_secure(request)], "").partition(".")
    browser, _, mac = rest.partition(".")
    expected = keyring.known_browser(user_id, browser)
    return browser if owner == user_id and hmac.compare_digest(mac.encode(), expected.encode()) else None
