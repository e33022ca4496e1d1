"""Signed-in browsers, as their owner sees and ends them."""

from sqlalchemy import bindparam, select, update

from approvals.errors import NotFound
from approvals.instant import SECOND
from approvals.service.audit.kinds import Kind
from approvals.service.identity.users import SESSION_IDLE, Person
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import WebSession, table_of

PAGE = 50

_sessions = table_of(WebSession)
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
