"""Failed sign-ins on record: of which account, how and from where, never what was typed.

Guessing cannot fill the record. Of each account, and of each way in where there is none, the first EACH of an hour are
recorded, and from then on each one that doubles their number.
"""

import hashlib

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert  # its ON CONFLICT is SQLite's, too

from approvals.instant import SECOND
from approvals.service.audit.kinds import Kind
from approvals.service.identity import users
from approvals.service.keyring import Keyring
from approvals.service.storage.database import Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import SignInAttempts, table_of

EACH = 20
HOUR = 60 * 60 * SECOND
NOBODY = "anonymous"
"""The actor of what somebody does who has not signed in."""

_attempts = table_of(SignInAttempts)
_KNOW = Statement(
    insert(_attempts).values(key=bindparam("key"), failures=0, since_at=bindparam("since_at")).on_conflict_do_nothing()
)
_LOCK = Statement(select(_attempts).where(_attempts.c.key == bindparam("key")).with_for_update(), SignInAttempts)
_COUNT = Statement(
    update(_attempts)
    .where(_attempts.c.key == bindparam("of"))
    .values(failures=bindparam("failures"), since_at=bindparam("since_at"))
)


def record(tx: Transaction, keyring: Keyring, way: str, address: str, name: str = "") -> None:
    """One more: by `password` (with the name that was given), `oidc` or `link`."""
    user = users.by_sign_in_name(tx, name) if name else None
    subject = f"user:{user.id}" if user is not None else f"sign-in:{way}"
    number = _counted(tx, subject)
    if is_recorded(number):
        facts = {"way": way, "address": address, "within_an_hour": number}
        facts |= {"name": keyring.sign_in_name(name)} if name else {}
        tx.record(Kind.USER_SIGN_IN_FAILED, NOBODY, subject, **facts)


def is_recorded(number: int) -> bool:
    """Whether the failure with this number, counted within an hour, is one of those that stand for all. Pure."""
    return number <= EACH or (number % EACH == 0 and (number // EACH).bit_count() == 1)


def _counted(tx: Transaction, subject: str) -> int:
    key = hashlib.sha256(f"failed\0{subject}".encode()).hexdigest()
    tx.execute(_KNOW, key=key, since_at=tx.now)
    row = tx.one(_LOCK, key=key)
    assert row is not None  # noqa: S101 — it was just made
    goes_on = tx.now < row.since_at + HOUR
    number = row.failures + 1 if goes_on else 1
    tx.execute(_COUNT, of=key, failures=number, since_at=row.since_at if goes_on else tx.now)
    return number
