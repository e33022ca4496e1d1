"""What a claim consumes."""

from approvals import ids
from approvals.service.storage.database import Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.tables import Permission
from approvals.service.storage.tables.rows import RequestRow


def grant_permission(tx: Transaction, row: RequestRow, source: str, *, grant_id: str | None = None) -> Touched:
    """Write down what a claim will consume: bound to this content, once per request."""
    permission = tx.insert(
        Permission,
        id=ids.new(tx.now),
        request_id=row.id,
        source=source,
        grant_id=grant_id,
        content_version=row.content_version,
        digest=row.digest,
        created_at=tx.now,
    )
    return Touched(Permission, None, permission)
