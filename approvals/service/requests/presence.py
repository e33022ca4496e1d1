"""Who is there right now: waiting callers and gate processes. On record, so that every serving process can show it;
nothing depends on it."""

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert  # its ON CONFLICT is SQLite's, too

from approvals.errors import NotPossible
from approvals.instant import SECOND
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import GateSession, WaitingCall, table_of
from approvals.service.storage.tables.handles import requests
from approvals.service.storage.tables.rows import RequestRow

FORGOTTEN_SECONDS = 45.0
"""A gate process of which nothing was heard for so long has no callers that wait: its stream speaks every 20 s."""
KEPT_SECONDS = 60.0
"""How long the callers of an ended request stay known, for streams that were cut meanwhile."""

_callers = table_of(WaitingCall)
_sessions = table_of(GateSession)

_ARRIVE = Statement(
    insert(_callers)
    .values({name: bindparam(name) for name in ("session_id", "call_id", "request_id", "arrived_at")})
    .on_conflict_do_nothing()
)
_LEAVE = Statement(
    delete(_callers).where(
        _callers.c.session_id == bindparam("session"),
        _callers.c.call_id == bindparam("call"),
        _callers.c.request_id == bindparam("request_id"),
    )
)
_WAITING = Statement(
    select(func.count().label("n"))
    .select_from(_callers)
    .join(_sessions, _sessions.c.id == _callers.c.session_id)
    .where(
        _callers.c.request_id == bindparam("request_id"),
        _sessions.c.closed_at.is_(None),
        _sessions.c.gone_at.is_(None),
        _sessions.c.last_seen_at > bindparam("since"),
    )
)
_AWAITED = Statement(
    select(_callers.c.request_id)
    .join(_sessions, _sessions.c.id == _callers.c.session_id)
    .where(
        _callers.c.request_id <= bindparam("last"),
        _sessions.c.closed_at.is_(None),
        _sessions.c.gone_at.is_(None),
        _sessions.c.last_seen_at > bindparam("since"),
    )
    .distinct()
)
_CALLERS = Statement(
    select(func.count().label("n"))
    .select_from(_callers)
    .join(_sessions, _sessions.c.id == _callers.c.session_id)
    .join(requests, requests.c.id == _callers.c.request_id)
    .where(
        requests.c.ended_at.is_(None),
        _sessions.c.closed_at.is_(None),
        _sessions.c.gone_at.is_(None),
        _sessions.c.last_seen_at > bindparam("since"),
    )
)
_OF_SESSION = Statement(select(_callers.c.request_id).where(_callers.c.session_id == bindparam("session")).distinct())
_PRESENT = Statement(
    select(_sessions.c.id).where(
        _sessions.c.id == bindparam("id"),
        _sessions.c.stream_id != "",
        _sessions.c.closed_at.is_(None),
        _sessions.c.gone_at.is_(None),
        _sessions.c.last_seen_at > bindparam("since"),
    )
)
_WAITING_SESSIONS = Statement(
    select(_callers.c.session_id)
    .join(_sessions, _sessions.c.id == _callers.c.session_id)
    .where(
        _callers.c.request_id == bindparam("request_id"),
        _sessions.c.stream_id != "",
        _sessions.c.closed_at.is_(None),
        _sessions.c.gone_at.is_(None),
        _sessions.c.last_seen_at > bindparam("since"),
    )
    .order_by(_callers.c.arrived_at.desc(), _callers.c.session_id)
    .limit(1)
)
_HERE = Statement(
    update(_sessions)
    .where(_sessions.c.id == bindparam("of"))
    .values({name: bindparam(name) for name in ("stream_id", "last_seen_at", "gone_at", "lost_at")})
)
_GONE = Statement(
    update(_sessions)
    .where(_sessions.c.id == bindparam("of"), _sessions.c.stream_id == bindparam("stream"))
    .values(gone_at=bindparam("gone_at"))
)
_TIDY = Statement(
    delete(_callers).where(
        _callers.c.request_id.in_(
            select(_callers.c.request_id)
            .join(requests, requests.c.id == _callers.c.request_id)
            .where(requests.c.ended_at < bindparam("before"))
        )
    )
)


def arrive(tx: Transaction, request_id: str, session: str, call_id: str) -> None:
    """A caller of this gate process waits."""
    tx.execute(_ARRIVE, session_id=session, call_id=call_id, request_id=request_id, arrived_at=tx.now)


def leave(tx: Transaction, request_id: str, session: str, call_id: str) -> None:
    """Note that a caller waits no longer."""
    tx.execute(_LEAVE, request_id=request_id, session=session, call=call_id)


def waiting(reader: Reader, request_id: str) -> int:
    """How many callers are known to wait for this request."""
    row = reader.one(_WAITING, request_id=request_id, since=reader.now - round(FORGOTTEN_SECONDS * SECOND))
    return row.n if row is not None else 0


def waited_for(reader: Reader, last: str) -> set[str]:
    """The requests, up to the id `last`, that a caller is known to wait for."""
    since = reader.now - round(FORGOTTEN_SECONDS * SECOND)
    return {row.request_id for row in reader.all(_AWAITED, last=last, since=since)}


def callers(reader: Reader) -> int:
    """How many callers are known to wait, for whatever is open."""
    row = reader.one(_CALLERS, since=reader.now - round(FORGOTTEN_SECONDS * SECOND))
    return row.n if row is not None else 0


def is_here(reader: Reader, session: str) -> bool:
    """Whether a gate process follows the service, as far as is known."""
    return reader.one(_PRESENT, id=session, since=reader.now - round(FORGOTTEN_SECONDS * SECOND)) is not None


def asked_of(reader: Reader, request_id: str, filed_by: str) -> str | None:
    """The gate process that can say something of a pending request now: the one whose caller came last, else the one
    that filed it, if it is there."""
    since = reader.now - round(FORGOTTEN_SECONDS * SECOND)
    row = reader.one(_WAITING_SESSIONS, request_id=request_id, since=since)
    if row is not None:
        return str(row.session_id)
    return filed_by if is_here(reader, filed_by) else None


def to_ask(reader: Reader, row: RequestRow, what: str, otherwise: str) -> str:
    """The gate process to ask about a pending request. Raises NotPossible when none is there: `what` it would do, and
    what is to be done `otherwise`."""
    session = asked_of(reader, row.id, row.session_id)
    if session is None:
        raise NotPossible(f"No process of {row.server} {what}", hint=otherwise, state=row.state)
    return session


def awaited(reader: Reader, session: str) -> list[str]:
    """The requests that callers of this gate process wait for."""
    return [row.request_id for row in reader.all(_OF_SESSION, session=session)]


def stream_opened(tx: Transaction, session: str, stream_id: str) -> None:
    """The gate process follows the service."""
    tx.execute(_HERE, of=session, stream_id=stream_id, last_seen_at=tx.now, gone_at=None, lost_at=None)


def stream_closed(tx: Transaction, session: str, stream_id: str) -> list[str]:
    """Note that a gate process has no stream any more; the requests that its callers no longer wait for."""
    tx.execute(_GONE, of=session, stream=stream_id, gone_at=tx.now)
    return awaited(tx, session)


def tidy(tx: Transaction) -> None:
    """Forget the callers of what ended a while ago."""
    tx.execute(_TIDY, before=tx.now - round(KEPT_SECONDS * SECOND))
