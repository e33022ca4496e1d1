"""Signed-in browsers: begun, recognized, ended."""

import secrets

from sqlalchemy import bindparam, select, update

from approvals.errors import NotFound, Unauthenticated
from approvals.instant import SECOND
from approvals.service.audit.kinds import Kind
from approvals.service.identity import users
from approvals.service.identity.users import Person
from approvals.service.keyring import Keyring
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import User, WebSession, table_of

SESSION_IDLE = 12 * 3600
SESSION_LIFE = 7 * 24 * 3600
PAGE = 50
PROVED_BY = ("issuer", "subject", "password_hash")
"""Columns of an account by which somebody proves that it is theirs."""

_sessions = table_of(WebSession)
_users = table_of(User)
_LOCK = Statement(select(_users.c.id).where(_users.c.id == bindparam("id")).with_for_update(read=True))
_BY_ID = Statement(select(_sessions).where(_sessions.c.id == bindparam("id")), WebSession)
_TOUCH = Statement(update(_sessions).where(_sessions.c.id == bindparam("of")).values(last_seen_at=bindparam("at")))
_END = Statement(update(_sessions).where(_sessions.c.id == bindparam("of")).values(revoked_at=bindparam("at")))
_END_ALL = Statement(
    update(_sessions)
    .where(_sessions.c.user_id == bindparam("of"), _sessions.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"))
)
_LIVE = Statement(
    select(_sessions)
    .where(
        _sessions.c.user_id == bindparam("user_id"),
        _sessions.c.revoked_at.is_(None),
        _sessions.c.expires_at > bindparam("now"),
        _sessions.c.last_seen_at > bindparam("since"),
    )
    .order_by(_sessions.c.last_seen_at.desc())
    .limit(PAGE),
    WebSession,
)
_END_ONE = Statement(
    update(_sessions)
    .where(
        _sessions.c.id == bindparam("of"),
        _sessions.c.user_id == bindparam("user_id"),
        _sessions.c.revoked_at.is_(None),
    )
    .values(revoked_at=bindparam("at"))
)
_END_OTHERS = Statement(
    update(_sessions)
    .where(
        _sessions.c.user_id == bindparam("user_id"),
        _sessions.c.id != bindparam("but"),
        _sessions.c.revoked_at.is_(None),
    )
    .values(revoked_at=bindparam("at"))
)


def sign_in(
    tx: Transaction,
    keyring: Keyring,
    user: User,
    method: str,
    address: str,
    user_agent: str,
    *,
    proved_at: int | None = None,
    instead_of: str | None = None,
) -> str:
    """The cookie of a new session; the browser's present one (`instead_of`, its cookie) ends. `proved_at` is when
    the person proved who they are, as an identity provider says it. The event seals the account as the sign-in
    relied on it. Raises Unauthenticated for a disabled account, and for one that is not as `user`, by which they
    proved it."""
    tx.lock(_LOCK, id=user.id)
    now = users.find(tx, user.id)
    if now is None or any(getattr(now, name) != getattr(user, name) for name in PROVED_BY):
        raise Unauthenticated("This account was just changed.", hint="Sign in again.")
    if now.disabled_at is not None:
        raise Unauthenticated("This account is disabled.", hint="Ask an admin.")
    if instead_of:
        tx.execute(_END, of=keyring.session(instead_of), at=tx.now)
    token = f"{user.id}.{secrets.token_urlsafe(32)}"
    session = tx.insert(
        WebSession,
        id=keyring.session(token),
        user_id=user.id,
        method=method,
        authenticated_at=proved_at if method == "oidc" else tx.now,
        created_at=tx.now,
        last_seen_at=tx.now,
        expires_at=tx.now + SESSION_LIFE * SECOND,
        address=address,
        user_agent=user_agent[:400],
    )
    actor, facts = f"user:{user.id}", {"method": method, "address": address}
    touched = Touched(User, now, now), Touched(WebSession, None, session)
    tx.record(Kind.USER_SIGNED_IN, actor, actor, *touched, **facts)
    return token


def sign_out(tx: Transaction, person: Person) -> None:
    tx.execute(_END, of=person.session_id, at=tx.now)
    tx.record(Kind.USER_SIGNED_OUT, person.actor, person.actor)


def person_of(reader: Reader, keyring: Keyring, token: str, address: str) -> Person | None:
    """The person behind a session cookie, or None when it no longer counts. The cookie says whose it is, and its
    session is named by a MAC over it: whoever writes the database can neither put one in nor give one to another."""
    session = reader.one(_BY_ID, id=keyring.session(token))
    if session is None or session.user_id != token.partition(".")[0]:
        return None
    if session.revoked_at is not None or reader.now >= session.expires_at:
        return None
    if reader.now >= session.last_seen_at + SESSION_IDLE * SECOND:
        return None
    user = users.find(reader, session.user_id)
    if user is None or user.disabled_at is not None:
        return None
    return Person(
        id=user.id,
        name=user.name,
        roles=frozenset(user.roles.split()),
        channel="web",
        method=session.method,
        authenticated_at=session.authenticated_at or session.created_at,
        session_id=session.id,
        address=address,
        proved_at=session.authenticated_at,
    )


def touch(tx: Transaction, session_id: str) -> None:
    """Keep a session from idling out."""
    tx.execute(_TOUCH, of=session_id, at=tx.now)


def end_all(tx: Transaction, user_id: str) -> int:
    """End all of a person's sessions; how many there were."""
    return tx.update(_END_ALL, of=user_id, at=tx.now)


def revoke(tx: Transaction, person: Person, session_id: str) -> None:
    """End one of a person's own sessions. Raises NotFound for any other."""
    if tx.update(_END_ONE, of=session_id, user_id=person.id, at=tx.now) != 1:
        raise NotFound("There is no such session, or it has ended.")
    tx.record(Kind.WEB_SESSION_REVOKED, person.actor, person.actor, sessions=1)


def revoke_others(tx: Transaction, person: Person) -> None:
    """End all of a person's sessions but the one that asks."""
    ended = tx.update(_END_OTHERS, user_id=person.id, but=person.session_id, at=tx.now)
    tx.record(Kind.WEB_SESSION_REVOKED, person.actor, person.actor, sessions=ended)


def live(reader: Reader, user_id: str) -> list[WebSession]:
    """A person's sessions that count now, the last seen first."""
    since = reader.now - SESSION_IDLE * SECOND
    return reader.all(_LIVE, user_id=user_id, now=reader.now, since=since)
