"""What the owner on call can move at any moment: freezes, rollout, audience. All of a server's in one read.

Whoever moves a lever waits for the transactions that rest on it, and those that come later wait for the move: what
commits after a freeze has seen it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnClause, and_, bindparam, func, literal_column, or_, select, union_all

from approvals.service.realtime.channels import MOVED
from approvals.service.storage.database import (
    Reader,
    Row,
    Statement,
    Transaction,
)
from approvals.service.storage.tables.handles import freezes, rollouts, servers

_lock = func.hashtextextended("approvals levers", 0)
_KEEP = Statement(select(func.pg_advisory_xact_lock_shared(_lock)))
_TAKE = Statement(select(func.pg_advisory_xact_lock(_lock)))
_nothing: ColumnClause[str] = literal_column("''")
_zero: ColumnClause[int] = literal_column("0")
_STANDING = Statement(
    union_all(
        select(
            literal_column("'freeze'").label("lever"),
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
    )
)


@dataclass(frozen=True)
class Levers:
    """How the levers stand for one server."""

    freezes: tuple[Row, ...]
    """Those in force over everything, this server, or any one agent."""
    rollouts: tuple[Row, ...]
    audience: str
    """`agent:NAME` and `group:NAME`, with spaces between; empty for everybody."""


def keep(tx: Transaction) -> None:
    """Nobody moves a lever until this transaction has ended. Before anything else is held."""
    tx.hold(_KEEP)


def take(tx: Transaction) -> None:
    """Move levers alone: whatever rests on them has ended, or begins afterwards."""
    tx.hold(_TAKE)


def standing(reader: Reader, server: str) -> Levers:
    """How they stand now."""
    rows = reader.all(_STANDING, server=server)
    by = {lever: [row for row in rows if row.lever == lever] for lever in ("freeze", "rollout", "audience")}
    return Levers(
        tuple(by["freeze"]),
        tuple(Row(tool=row.scope, audience=row.of, mode=row.mode) for row in by["rollout"]),
        by["audience"][0].of if by["audience"] else "",
    )


def moved(tx: Transaction, tell: Callable[[], None]) -> None:
    """Tell gates and pages, here and in other processes, once it is durable."""
    tx.after_commit.append(tell)
    tx.announce(MOVED)
