"""A sign-in on its way through the identity provider: known to the browser that began it, for ten minutes, once.

The browser keeps a random seed with what it was begun for, in a cookie that only this service can have made. State,
nonce and PKCE verifier are derived from the seed; so nothing is stored for those who only begin.
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass

from fastapi import Request, Response
from sqlalchemy import bindparam, delete, select

from approvals.errors import Unauthenticated
from approvals.instant import SECOND, Instant
from approvals.service.keyring import Keyring
from approvals.service.storage.database import Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import SpentLogin, table_of
from approvals_web.http.cookies import is_secure

NAMES = {True: "__Host-approvals-pending", False: "approvals-pending"}
LIFE = 10 * 60

_spent = table_of(SpentLogin)
_BY_ID = Statement(select(_spent).where(_spent.c.id == bindparam("id")), SpentLogin)
_TIDY = Statement(delete(_spent).where(_spent.c.expires_at <= bindparam("now")))


@dataclass(frozen=True)
class PendingLogin:
    """What a sign-in was begun with."""

    state: str
    nonce: str
    verifier: str
    following: str
    """Where to go afterwards: a path of this app."""
    fresh: bool
    """Whether the person is to prove again who they are."""
    began_at: Instant
    value: str
    """Of the cookie."""

    def spend(self, tx: Transaction) -> None:
        """Raises Unauthenticated when it came back before."""
        name = hashlib.sha256(self.state.encode()).hexdigest()
        if tx.one(_BY_ID, id=name) is not None:
            raise _unknown()
        tx.execute(_TIDY, now=tx.now)
        tx.insert(SpentLogin, id=name, expires_at=self.began_at + 2 * LIFE * SECOND)


def begin(keyring: Keyring, following: str, now: Instant, *, fresh: bool) -> PendingLogin:
    """A new one."""
    told = {"seed": secrets.token_urlsafe(32), "next": following, "fresh": fresh, "at": now}
    body = base64.urlsafe_b64encode(json.dumps(told).encode()).decode()
    return _made(keyring, body, f"{body}.{keyring.pending_login('cookie', body)}")


def returned(request: Request, keyring: Keyring, state: str, now: Instant) -> PendingLogin:
    """The one that this browser began and that comes back with this state. Raises Unauthenticated."""
    value = request.cookies.get(NAMES[is_secure(request)], "")
    body, _, mac = value.partition(".")
    if not hmac.compare_digest(mac.encode(), keyring.pending_login("cookie", body).encode()):
        raise _unknown()
    found = _made(keyring, body, value)
    if not hmac.compare_digest(found.state.encode(), state.encode()):
        raise _unknown()
    if not found.began_at <= now < found.began_at + LIFE * SECOND:
        raise _unknown()
    return found


def remember(request: Request, response: Response, pending: PendingLogin) -> None:
    secure = is_secure(request)
    response.set_cookie(
        NAMES[secure], pending.value, max_age=LIFE, path="/", secure=secure, httponly=True, samesite="lax"
    )


def forget(request: Request, response: Response) -> None:
    secure = is_secure(request)
    response.delete_cookie(NAMES[secure], path="/", secure=secure, httponly=True, samesite="lax")


def _made(keyring: Keyring, body: str, value: str) -> PendingLogin:
    told = json.loads(base64.urlsafe_b64decode(body))
    state, nonce, verifier = (keyring.pending_login(part, told["seed"]) for part in ("state", "nonce", "verifier"))
    return PendingLogin(state, nonce, verifier, told["next"], told["fresh"], told["at"], value)


def _unknown() -> Unauthenticated:
    return Unauthenticated(
        "This sign-in was not begun in this browser, took too long, or came back before.", hint="Begin again."
    )
