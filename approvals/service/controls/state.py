"""What the owner on call can move at any moment: freezes, rollout, audience. All of a server's in one read.

Whoever changes a control waits for the transactions that rest on it, and those that come later wait for the change:
what commits after a freeze has seen it.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sqlalchemy import ColumnClause, and_, bindparam, func, literal_column, or_, select, union_all

from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables.handles import freezes, rollouts, servers

_lock = func.hashtextextended("approvals controls", 0)
_LOCK_SHARED = Statement(select(func.pg_advisory_xact_lock_shared(_lock)))
_LOCK_EXCLUSIVE = Statement(select(func.pg_advisory_xact_lock(_lock)))
_nothing: ColumnClause[str] = literal_column("''")
_zero: ColumnClause[int] = literal_column("0")


class _Control:
    control: str
    id: str
    scope: str
    of: str
    mode: str
    reason: str
    made_at: int
    made_by: str


_CONTROLS = Statement(
    union_all(
        select(
            literal_column("'freeze'").label("control"),
            freezes.c.id,
            freezes.c.scope,
            freezes.c.of,
            freezes.c.mode,
            freezes.c.reason,
            freezes.c.made_at,
            freezes.c.made_by,
        ).where(
            freezes.c.lifted_at.is_(None),
            or_(freezes.c.scope != "server", and_(freezes.c.scope == "server", freezes.c.of == bindparam("server"))),
        ),
        select(
            literal_column("'rollout'"),
            _nothing,
            rollouts.c.tool,
            rollouts.c.audience,
            rollouts.c.mode,
            _nothing,
            _zero,
            _nothing,
        ).where(rollouts.c.server == bindparam("server")),
        select(
            literal_column("'audience'"), _nothing, _nothing, servers.c.audience, _nothing, _nothing, _zero, _nothing
        ).where(servers.c.name == bindparam("server"), servers.c.audience != ""),
    ),
    _Control,
)


class FreezeInForce(Protocol):
    """What matters of a freeze for the calls that it stops."""

    id: str
    scope: str
    of: str
    mode: str
    reason: str
    made_at: int
    made_by: str


class SetRollout(NamedTuple):
    """A rollout that is set: for a tool (empty for all) and an audience (empty for everybody)."""

    tool: str
    audience: str
    mode: str


@dataclass(frozen=True)
class Controls:
    """How the controls are set for one server."""

    freezes: tuple[FreezeInForce, ...]
    """Those in force over everything, this server, or any one agent."""
    rollouts: tuple[SetRollout, ...]
    audience: str
    """`agent:NAME` and `group:NAME`, with spaces between; empty for everybody."""


def lock_shared(tx: Transaction) -> None:
    """Keep anybody from changing a control until this transaction has ended. Comes before any other lock."""
    tx.lock(_LOCK_SHARED)


def lock_exclusive(tx: Transaction) -> None:
    """Wait for every transaction that rests on the controls; those that come later wait for this one."""
    tx.lock(_LOCK_EXCLUSIVE)


def load(reader: Reader, server: str) -> Controls:
    """Read how the controls of a server are set now."""
    rows = reader.all(_CONTROLS, server=server)
    by = {kind: [row for row in rows if row.control == kind] for kind in ("freeze", "rollout", "audience")}
    return Controls(
        tuple(by["freeze"]),
        tuple(SetRollout(row.scope, row.of, row.mode) for row in by["rollout"]),
        by["audience"][0].of if by["audience"] else "",
    )
