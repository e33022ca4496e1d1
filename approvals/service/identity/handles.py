"""What rules call people. A name that somebody was ever called by is theirs for good: it never becomes another's."""

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert  # its ON CONFLICT is SQLite's, too

from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Handle, table_of

_handles = table_of(Handle)
_BY_NAME = Statement(select(_handles).where(_handles.c.name == bindparam("name")), Handle)
_TAKE = Statement(
    insert(_handles)
    .values(name=bindparam("name"), user_id=bindparam("user_id"), since_at=bindparam("since_at"))
    .on_conflict_do_nothing()
)


def take(tx: Transaction, user_id: str, name: str) -> bool:
    """Whether the name is this person's from now on: it was theirs, or nobody's. Two who want it at once do not both
    get it."""
    tx.execute(_TAKE, name=name, user_id=user_id, since_at=tx.now)
    return owner(tx, name) == user_id


def owner(reader: Reader, name: str) -> str | None:
    """The id of the person who is, or was, called so."""
    row = reader.one(_BY_NAME, name=name)
    return None if row is None else str(row.user_id)
