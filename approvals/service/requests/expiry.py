"""What time does to requests, and to gate processes that fell silent. Tidying only: every move asks the time itself."""

from sqlalchemy import bindparam, func, null, or_, select, update

from approvals.instant import SECOND, Instant
from approvals.protocol.limits import MAX_UNREPORTED
from approvals.protocol.states import State
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import GateSession, table_of
from approvals.service.storage.tables.handles import executions, requests

BATCH = 200
SILENCE_SECONDS = 60.0
"""A gate process that has neither a stream nor a report for this long is lost."""

_sessions = table_of(GateSession)

_joined = select(requests, executions.c.lease_until).join_from(
    requests, executions, executions.c.request_id == requests.c.id, isouter=True
)
_DUE = Statement(
    _joined.where(
        or_(
            (requests.c.state == State.PENDING.value) & (requests.c.expires_at <= bindparam("now")),
            (requests.c.state == State.APPROVED.value) & (requests.c.execute_by <= bindparam("now")),
            (requests.c.state == State.EXECUTING.value) & (executions.c.lease_until <= bindparam("now")),
        )
    ).limit(BATCH)
)
_NEXT = {
    State.PENDING: Statement(
        select(func.min(requests.c.expires_at).label("at")).where(requests.c.state == State.PENDING.value)
    ),
    State.APPROVED: Statement(
        select(func.min(requests.c.execute_by).label("at")).where(requests.c.state == State.APPROVED.value)
    ),
    State.EXECUTING: Statement(
        select(func.min(executions.c.lease_until).label("at"))
        .join_from(requests, executions, executions.c.request_id == requests.c.id)
        .where(requests.c.state == State.EXECUTING.value)
    ),
    "reminder": Statement(select(func.min(requests.c.remind_at).label("at")).where(requests.c.remind_at.is_not(None))),
}
_SILENT = Statement(
    select(_sessions).where(
        _sessions.c.closed_at.is_(None), _sessions.c.lost_at.is_(None), _sessions.c.last_seen_at <= bindparam("before")
    ),
    GateSession,
)
_LOST = Statement(
    update(_sessions)
    .where(_sessions.c.id == bindparam("of"), _sessions.c.closed_at.is_(None), _sessions.c.lost_at.is_(None))
    .where(_sessions.c.last_seen_at <= bindparam("before"))
    .values(lost_at=bindparam("lost_at"))
)
_HEARD = Statement(
    update(_sessions)
    .where(_sessions.c.id == bindparam("of"))
    .values(last_seen_at=bindparam("last_seen_at"), lost_at=null())
)


class Expiry:
    """Makes the moves that are due."""

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions

    def sweep(self, tx: Transaction) -> int:
        """Move up to BATCH requests that are due; how many there were."""
        if not tx.try_lock("expiry"):
            return 0
        due = tx.all(_DUE, now=tx.now)
        for row in due:
            self._transitions.apply_due(tx, self._transitions.lock(tx, row.id))
        return len(due)

    def heard(self, tx: Transaction, session_ids: list[str]) -> None:
        """Note that these gate processes have an open stream."""
        for session_id in session_ids:
            tx.execute(_HEARD, of=session_id, last_seen_at=tx.now)

    def lose_silent(self, tx: Transaction) -> None:
        """Put on record the gate processes that died with calls they may not have reported."""
        before = tx.now - round(SILENCE_SECONDS * SECOND)
        for session in tx.all(_SILENT, before=before):
            if tx.update(_LOST, of=session.id, before=before, lost_at=tx.now) != 1:
                continue  # it spoke up meanwhile, or another process said so
            facts = {"session": session.id, "recorded": session.recorded, "up_to_unrecorded": MAX_UNREPORTED}
            tx.record(Kind.SESSION_LOST, SYSTEM, session.installation_id, **facts)


def next_due(reader: Reader) -> Instant | None:
    """When the next request is due to move or to be reminded, or None."""
    rows = [reader.one(statement) for statement in _NEXT.values()]
    instants = [row["at"] for row in rows if row is not None and row["at"] is not None]
    return min(instants, default=None)
