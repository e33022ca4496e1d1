"""Whose votes count has changed: messages of what waits are to say so. Noted with the change, told after it, batch by
batch (`requests/vote_messages.py`)."""

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # its ON CONFLICT is SQLite's, too

from approvals.service.storage.database import Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import VoteTelling, table_of

EVERYBODY = ""

_BEGIN = Statement(
    insert(table_of(VoteTelling))
    .values(of=bindparam("user_id"), after="")
    .on_conflict_do_update(index_elements=["of"], set_={"after": ""})
)


def begin(tx: Transaction, user_id: str) -> None:
    """Note that a person's roles, groups, account or agents changed; EVERYBODY where it may be anybody's."""
    tx.execute(_BEGIN, user_id=user_id)
