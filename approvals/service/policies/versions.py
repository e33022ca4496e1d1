"""Every policy that was in force: its text, by its hash, and when it came into force."""

from sqlalchemy import bindparam, func, select

from approvals.policy.model import Policy, policy_hash
from approvals.service.audit.kinds import Kind
from approvals.service.identity import vote_changes
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import PolicyLoad, PolicyVersion, table_of

_versions = table_of(PolicyVersion)
_loads = table_of(PolicyLoad)

_VERSION = Statement(select(_versions).where(_versions.c.hash == bindparam("hash")), PolicyVersion)
_KNOWN = Statement(select(_versions.c.hash).where(_versions.c.hash == bindparam("hash")))
_ONE_AT_A_TIME = Statement(select(func.pg_advisory_xact_lock(func.hashtextextended("policy load", 0))))
"""Held while a policy comes into force: replicas compare with what came into force last, one after the other."""
_LAST = Statement(select(_loads).order_by(_loads.c.id.desc()).limit(1), PolicyLoad)
_LOADS = Statement(
    select(_loads).where(_loads.c.id < bindparam("before")).order_by(_loads.c.id.desc()).limit(bindparam("limit")),
    PolicyLoad,
)
_LOADS_OF = Statement(
    select(_loads).where(_loads.c.hash == bindparam("hash")).order_by(_loads.c.id.desc()).limit(bindparam("limit")),
    PolicyLoad,
)
NEWEST = 2**62


def store(tx: Transaction, policy: Policy) -> str:
    """Keep a policy's text, once; its hash."""
    name = policy_hash(policy)
    if tx.one(_KNOWN, hash=name) is None:
        tx.insert(PolicyVersion, hash=name, text=policy.text, created_at=tx.now)
    return name


def load(tx: Transaction, policy: Policy, by: str) -> bool:
    """Put a policy in force: kept and on record, once for all replicas that load the same one. Whether it was news."""
    tx.lock(_ONE_AT_A_TIME)
    before = last(tx)
    name = policy_hash(policy)
    if before is not None and before.hash == name:
        return False
    store(tx, policy)
    watch = Watch(tx, PolicyLoad, hash=name)
    vote_changes.begin(tx, vote_changes.EVERYBODY)  # it may name other members of a group
    tx.insert(PolicyLoad, at=tx.now, hash=name, by=by)
    tx.record(Kind.POLICY_LOADED, by, name, watch, hash=name, before=before.hash if before is not None else None)
    return True


def last(reader: Reader) -> PolicyLoad | None:
    """What came into force last, on whichever replica."""
    return reader.one(_LAST)


def loads(reader: Reader, before: int = NEWEST, limit: int = 20) -> list[PolicyLoad]:
    """What came into force before the load of that number, newest first."""
    return reader.all(_LOADS, before=before, limit=limit)


def loads_of(reader: Reader, name: str, limit: int = 20) -> list[PolicyLoad]:
    """When that version came into force, newest first."""
    return reader.all(_LOADS_OF, hash=name, limit=limit)


def version(reader: Reader, name: str) -> PolicyVersion | None:
    """A version by its hash."""
    return reader.one(_VERSION, hash=name)
