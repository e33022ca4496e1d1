"""Requests whose agent, or whose agent's key, no longer counts: they end at once, and whoever waits hears why.

A transaction of its own, after the one that took the key back: this one holds requests first, as claims do. It finds
what is left over by itself, so nothing depends on being woken, and a key that runs out is found as well.
"""

from sqlalchemy import bindparam, or_, select

from approvals.protocol.states import Move, State
from approvals.service.audit.log import SYSTEM
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import Agent, Credential, table_of
from approvals.service.storage.tables.handles import requests

BATCH = 50

_agents = table_of(Agent)
_credentials = table_of(Credential)

_WAITING = (State.PENDING.value, State.APPROVED.value)
_FOUND = Statement(
    select(requests.c.id, _agents.c.disabled_at, _credentials.c.revoked_at)
    .join_from(requests, _credentials, _credentials.c.id == requests.c.agent_credential_id)
    .join(_agents, _agents.c.id == requests.c.agent_id)
    .where(or_(*(requests.c.state == state for state in _WAITING)))
    .where(
        or_(
            _agents.c.disabled_at.is_not(None),
            _credentials.c.revoked_at.is_not(None),
            _credentials.c.expires_at <= bindparam("now"),
        )
    )
    .order_by(requests.c.id)
    .limit(bindparam("limit"))
)


def sweep(tx: Transaction, transitions: Transitions) -> int:
    """End up to BATCH of them; how many there were."""
    if not tx.try_lock("key revocations"):
        return 0
    found = tx.all(_FOUND, now=tx.now, limit=BATCH)
    for left_over in found:
        row = transitions.apply_due(tx, transitions.lock(tx, left_over.id))
        if row.state in _WAITING:  # a claim may have come first: what runs, runs
            transitions.move(tx, row, Move.WITHDRAW, SYSTEM, because=_because(left_over))
    return len(found)


def left(reader: Reader) -> bool:
    """Whether there are any."""
    return bool(reader.all(_FOUND, now=reader.now, limit=1))


def _because(left_over: Row) -> str:
    if left_over.disabled_at is not None:
        return "the agent was revoked"
    return "the agent's key was revoked" if left_over.revoked_at is not None else "the agent's key ran out"
