"""Passwords of local accounts, kept as hashes that the web app makes."""

from sqlalchemy import bindparam, update

from approvals.service.audit.kinds import Kind
from approvals.service.identity import credentials, sessions
from approvals.service.storage.database import Transaction
from approvals.service.storage.row_changes import Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Credential, User, table_of

MINIMUM_PASSWORD = 10

_users = table_of(User)
_SET = Statement(update(_users).where(_users.c.id == bindparam("of")).values(password_hash=bindparam("password_hash")))


def set_password(tx: Transaction, user_id: str, password_hash: str, actor: str) -> None:
    """Set a password. Every signed-in browser of the account is signed out, and its personal tokens end: whoever
    changes a password may fear that somebody else was in."""
    watches = Watch(tx, User, id=user_id), Watch(tx, Credential, user_id=user_id)
    tx.execute(_SET, of=user_id, password_hash=password_hash)
    sessions.end_all(tx, user_id)
    tokens = credentials.revoke_all(tx, "user", user_id)
    tx.record(Kind.USER_PASSWORD_SET, actor, f"user:{user_id}", *watches, tokens=tokens)
