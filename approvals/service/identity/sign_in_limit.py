"""Guessing passwords is slowed down: failures are counted by name and by address, for all replicas together; those from
a browser that its owner signed in with before by that browser alone, so that strangers' failures shut nobody out of it.

A try counts from before it is known whether it fails, so that many at once are counted, too. After FREE of them (more
for an address, behind which many people may sit) the next has to wait, twice as long each time, up to LONGEST.
Nobody is locked out for good, and one-time links and an identity provider are not affected.
"""

import hashlib

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert  # its ON CONFLICT is SQLite's, too

from approvals.errors import TooMany
from approvals.instant import SECOND, Instant
from approvals.service.storage.database import Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import SignInAttempts, table_of

FREE = {"name": 10, "address": 30, "browser": 10}
FIRST_WAIT = 15 * SECOND
LONGEST = 15 * 60 * SECOND
FORGOTTEN = 60 * 60 * SECOND
"""After an hour without a failure, nothing is held against a name or an address."""

_attempts = table_of(SignInAttempts)
_KNOW = Statement(
    insert(_attempts).values(key=bindparam("key"), failures=0, since_at=bindparam("since_at")).on_conflict_do_nothing()
)
_LOCK = Statement(
    select(_attempts.c.key)
    .where(_attempts.c.key.in_((bindparam("a"), bindparam("b"))))
    .order_by(_attempts.c.key)
    .with_for_update()
)
_BY_KEY = Statement(select(_attempts).where(_attempts.c.key == bindparam("key")), SignInAttempts)
_COUNT = Statement(
    update(_attempts)
    .where(_attempts.c.key == bindparam("of"))
    .values(failures=bindparam("failures"), since_at=bindparam("since_at"))
)
_GIVE_BACK = Statement(
    update(_attempts)
    .where(_attempts.c.key == bindparam("of"), _attempts.c.failures > 0)
    .values(failures=_attempts.c.failures - 1)
)
_TIDY = Statement(delete(_attempts).where(_attempts.c.since_at <= bindparam("before")))


Counters = dict[str, int]
"""What a try is counted by, and how many failures of each are free."""


def counters(name: str, address: str, browser: str | None = None) -> Counters:
    """For a sign-in under this name from this address; `browser` is one that the account's owner is known by."""
    counted = {"name": name, "address": address} if browser is None else {"browser": browser}
    return {hashlib.sha256(f"{kind}\0{value}".encode()).hexdigest(): FREE[kind] for kind, value in counted.items()}


def take(tx: Transaction, keys: Counters) -> None:
    """Count one try. Raises TooMany, which is not counted, while any of the counters has to wait."""
    tx.execute(_TIDY, before=tx.now - FORGOTTEN)
    for key in sorted(keys):
        tx.execute(_KNOW, key=key, since_at=tx.now)
    tx.lock(_LOCK, a=min(keys), b=max(keys))
    counted = {key: tx.one(_BY_KEY, key=key) for key in keys}
    until = max(may_try_at(row.failures, row.since_at, keys[key]) for key, row in counted.items() if row is not None)
    if tx.now < until:
        raise TooMany(
            "Too many failed sign-ins.",
            hint=f"Wait {-(-(until - tx.now) // SECOND)} seconds, or use a sign-in link.",
        )
    for key, row in counted.items():
        tx.execute(_COUNT, of=key, failures=(row.failures if row is not None else 0) + 1, since_at=tx.now)


def succeeded(tx: Transaction, keys: Counters) -> None:
    """Take an attempt that was right off the count. Others still count: else an account of one's own would undo the
    limit."""
    for key in sorted(keys):
        tx.execute(_GIVE_BACK, of=key)


def may_try_at(failures: int, last_at: Instant, free: int) -> Instant:
    """From when on another try is heard."""
    beyond = failures - free
    return last_at if beyond < 0 else last_at + min(FIRST_WAIT << min(beyond, 20), LONGEST)
