"""Freezes, rollouts and audiences: set, lifted, listed."""

from approvals.errors import Invalid
from approvals.instant import written
from approvals.service.controls import audiences, freezes, rollouts
from approvals.service.identity.servers import agent_named
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables import Freeze
from approvals_web.operator.messages.controls import (
    Audience,
    ClearRollout,
    LiftFreeze,
    ListedFreeze,
    ListedRollout,
    ListFreezes,
    ListRollouts,
    MadeFreeze,
    MakeFreeze,
    SetRollout,
    Sweep,
    Swept,
)
from approvals_web.operator.operation import Operation, answers


@answers(MakeFreeze)
def freeze(op: Operation, asked: MakeFreeze) -> MadeFreeze:
    made = op.service.freezes.make(op.tx, op.by, *scope(op.tx, asked.server, asked.agent), asked.mode, asked.reason)
    return MadeFreeze(freezes.sentence(op.tx, made.freeze), made.freeze.mode, made.new, made.revoked)


@answers(LiftFreeze)
def unfreeze(op: Operation, asked: LiftFreeze) -> list[str]:
    if not asked.everything:
        return [freezes.what(op.tx, op.service.freezes.lift(op.tx, op.by, *scope(op.tx, asked.server, asked.agent)))]
    if asked.server is not None or asked.agent is not None:
        raise Invalid("--all lifts every freeze.", hint="Leave --server and --agent out, or --all.")
    return [freezes.what(op.tx, lifted) for lifted in op.service.freezes.lift_all(op.tx, op.by)]


@answers(Sweep)
def sweep(op: Operation, asked: Sweep) -> Swept:
    return Swept(op.service.freezes.sweep(op.tx), op.service.releases.sweep(op.tx))


@answers(ListFreezes)
def listing(op: Operation, asked: ListFreezes) -> list[ListedFreeze]:
    return [_frozen(op.tx, row) for row in freezes.in_force(op.tx)]


@answers(SetRollout)
def set_rollout(op: Operation, asked: SetRollout) -> None:
    rollouts.set_rollout(op.tx, op.by, asked.server, asked.tool, asked.whom, asked.mode)


@answers(ClearRollout)
def clear_rollout(op: Operation, asked: ClearRollout) -> None:
    rollouts.clear_rollout(op.tx, op.by, asked.server, asked.tool, asked.whom)


@answers(ListRollouts)
def list_rollouts(op: Operation, asked: ListRollouts) -> list[ListedRollout]:
    return [
        ListedRollout(
            server=row.server,
            tool=row.tool or "(every tool)",
            whom=row.audience or "(everybody)",
            mode=row.mode,
            set_by=freezes.by(op.tx, row.set_by),
            set_at=written(row.set_at),
        )
        for row in rollouts.listed(op.tx)
    ]


@answers(Audience)
def audience(op: Operation, asked: Audience) -> str:
    if asked.entries is None:
        return audiences.known_server(op.tx, asked.name).audience
    return audiences.set_audience(op.tx, op.by, asked.name, asked.entries)


def scope(tx: Transaction, server: str | None, agent: str | None) -> tuple[str, str]:
    """Name what a freeze is over: without either, all writes. Raises Invalid for both, or NotFound."""
    if server is not None and agent is not None:
        raise Invalid("A freeze is over one server or one agent.", hint="Make two.")
    if server is not None:
        return "server", audiences.known_server(tx, server).name
    return ("agent", agent_named(tx, agent).id) if agent is not None else ("all", "")


def _frozen(tx: Transaction, row: Freeze) -> ListedFreeze:
    gates = freezes.gates(tx, row)
    return ListedFreeze(
        what=freezes.what(tx, row).rpartition(" ")[0],
        mode=row.mode,
        since=written(row.made_at),
        by=freezes.by(tx, row.made_by),
        gates=f"{sum(1 for gate in gates if gate.confirmed_at)} of {len(gates)} confirmed",
        reason=row.reason,
    )
