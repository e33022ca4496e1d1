"""What an operator may move from the command line: freezes, rollout, audience."""

from collections.abc import Callable
from typing import Any

from approvals.errors import Invalid
from approvals.instant import to_datetime
from approvals.service.controls import audiences, freezes, rollouts
from approvals.service.identity.servers import agent_named
from approvals.service.service import Service
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables import Freeze


def freeze(
    s: Service, tx: Transaction, actor: str, server: str | None, agent: str | None, mode: str, reason: str
) -> Any:
    made = s.freezes.make(tx, actor, *scope(tx, server, agent), mode, reason)
    words = freezes.sentence(tx, made.freeze)
    return {"words": words, "mode": made.freeze.mode, "new": made.new, "revoked": made.revoked}


def unfreeze(s: Service, tx: Transaction, actor: str, server: str | None, agent: str | None, everything: bool) -> Any:
    if not everything:
        return [freezes.what(tx, s.freezes.lift(tx, actor, *scope(tx, server, agent)))]
    if server is not None or agent is not None:
        raise Invalid("--all lifts every freeze.", hint="Leave --server and --agent out, or --all.")
    return [freezes.what(tx, lifted) for lifted in s.freezes.lift_all(tx, actor)]


def freeze_sweep(s: Service, tx: Transaction, actor: str) -> Any:
    """The next batch of approvals to take back, or of held requests to let go; 0 when it is done."""
    return {"revoked": s.freezes.sweep(tx), "released": s.releases.sweep(tx)}


def freeze_list(s: Service, tx: Transaction, actor: str) -> Any:
    return [_frozen(tx, row) for row in freezes.in_force(tx)]


def rollout_set(s: Service, tx: Transaction, actor: str, server: str, tool: str, whom: str, mode: str) -> Any:
    rollouts.set_rollout(tx, actor, server, tool, whom, mode)


def rollout_clear(s: Service, tx: Transaction, actor: str, server: str, tool: str, whom: str) -> Any:
    rollouts.clear_rollout(tx, actor, server, tool, whom)


def rollout_list(s: Service, tx: Transaction, actor: str) -> Any:
    return [
        {
            "server": row.server,
            "tool": row.tool or "(every tool)",
            "for": row.audience or "(everybody)",
            "mode": row.mode,
            "set by": freezes.by(tx, row.set_by),
            "set at": to_datetime(row.set_at).isoformat(timespec="seconds"),
        }
        for row in rollouts.listed(tx)
    ]


def server_audience(s: Service, tx: Transaction, actor: str, name: str, entries: list[str] | None) -> Any:
    """Set it, or only say it."""
    if entries is None:
        return audiences.known_server(tx, name).audience
    return audiences.set_audience(tx, actor, name, entries)


def scope(tx: Transaction, server: str | None, agent: str | None) -> tuple[str, str]:
    """Of a freeze: of all writes without either. Raises Invalid for both, NotFound for what there is not."""
    if server is not None and agent is not None:
        raise Invalid("A freeze is over one server or one agent.", hint="Make two.")
    if server is not None:
        return "server", audiences.known_server(tx, server).name
    return ("agent", agent_named(tx, agent).id) if agent is not None else ("all", "")


def _frozen(tx: Transaction, row: Freeze) -> dict[str, Any]:
    gates = freezes.gates(tx, row)
    return {
        "what": freezes.what(tx, row).rpartition(" ")[0],
        "mode": row.mode,
        "since": to_datetime(row.made_at).isoformat(timespec="seconds"),
        "by": freezes.by(tx, row.made_by),
        "gates": f"{sum(1 for gate in gates if gate.confirmed_at)} of {len(gates)} confirmed",
        "reason": row.reason,
    }


COMMANDS: dict[str, Callable[..., Any]] = {
    "freeze": freeze,
    "unfreeze": unfreeze,
    "freeze sweep": freeze_sweep,
    "freeze list": freeze_list,
    "rollout set": rollout_set,
    "rollout clear": rollout_clear,
    "rollout list": rollout_list,
    "server audience": server_audience,
}
