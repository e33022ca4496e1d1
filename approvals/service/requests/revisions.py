"""How often what is shown of one request is looked up, or changes, while it waits."""

from sqlalchemy import bindparam, func, or_, select

from approvals.errors import TooMany
from approvals.instant import SECOND
from approvals.service.audit.kinds import Kind
from approvals.service.storage.database import Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import AuditEvent, table_of
from approvals.service.storage.tables.rows import RequestRow

MOST = 100
"""Each is an event for good, and people could never decide on what goes on changing."""

_events = table_of(AuditEvent)
_KINDS = (Kind.REQUEST_REVISED, Kind.REQUEST_PREVIEWED, Kind.REQUEST_EDIT_ASKED)
_COUNT = Statement(
    select(func.count().label("n"))
    .select_from(_events)
    .where(_events.c.subject == bindparam("id"), or_(*(_events.c.kind == kind.value for kind in _KINDS)))
)


def check(tx: Transaction, row: RequestRow) -> None:
    """Raises TooMany when it may not change once more: what is shown stays, and is held against what is found before
    anything runs."""
    counted = tx.one(_COUNT, id=row.id)
    if counted is None or counted.n < MOST:
        return
    left = (row.expires_at - tx.now) / SECOND if row.expires_at else 60
    raise TooMany(
        f"What request {row.id} would do was looked up, or changed, {MOST} times while it waited, which is the most.",
        hint="Its preview or its tool's definition must hold still for a person to decide. It is asked anew once this "
        "request has ended.",
        retry_after_seconds=max(1, int(left) + 1),
    )
