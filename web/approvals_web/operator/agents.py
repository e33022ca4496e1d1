"""Agents: added, listed, given keys, owners, groups and limits, revoked."""

from approvals.instant import Instant, written
from approvals.service.identity import agents, credentials, key_lifetimes, servers
from approvals.service.requests.rate_limits import Allowances
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables import Credential
from approvals_web.operator.messages.agents import (
    AddAgent,
    ChangeOwners,
    ListAgents,
    ListedAgent,
    ListedKey,
    ListKeys,
    RevokeAgent,
    RotateAgent,
    SetAgentGroups,
    SetLimits,
    SetScopes,
)
from approvals_web.operator.operation import Operation, answers

PAGE = 200


@answers(AddAgent)
def add(op: Operation, asked: AddAgent) -> str:
    life = key_lifetimes.seconds(asked.expires)
    key = servers.add_agent(op.tx, op.by, asked.name, owners=asked.owners, covers=asked.covers, life=life)
    if asked.groups:
        agents.set_groups(op.tx, op.by, servers.agent_named(op.tx, asked.name), asked.groups)
    return key


@answers(ListAgents)
def listing(op: Operation, asked: ListAgents) -> list[ListedAgent]:
    return [_listed(op.service.allowances, found) for found in everyone(op.tx)]


@answers(ListKeys)
def keys(op: Operation, asked: ListKeys) -> list[ListedKey]:
    agent = servers.agent_named(op.tx, asked.name)
    return [_key(key, op.tx.now) for key in credentials.live(op.tx, "agent", agent.id)]


@answers(RotateAgent)
def rotate(op: Operation, asked: RotateAgent) -> str:
    return servers.rotate(
        op.tx,
        op.by,
        "agent",
        servers.agent_named(op.tx, asked.name),
        covers=asked.covers,
        life=None if asked.expires is None else key_lifetimes.seconds(asked.expires),
        forever=asked.expires == key_lifetimes.NEVER,
    )


@answers(RevokeAgent)
def revoke(op: Operation, asked: RevokeAgent) -> int:
    return servers.revoke(op.tx, op.by, "agent", servers.agent_named(op.tx, asked.name), asked.key)


@answers(ChangeOwners)
def change_owners(op: Operation, asked: ChangeOwners) -> list[str]:
    return agents.change_owners(
        op.tx, op.by, servers.agent_named(op.tx, asked.name), add=asked.add, remove=asked.remove
    )


@answers(SetAgentGroups)
def set_groups(op: Operation, asked: SetAgentGroups) -> list[str]:
    return agents.set_groups(op.tx, op.by, servers.agent_named(op.tx, asked.name), asked.groups)


@answers(SetLimits)
def set_limits(op: Operation, asked: SetLimits) -> None:
    agents.set_limits(op.tx, op.by, servers.agent_named(op.tx, asked.name), pending=asked.pending, minute=asked.minute)


@answers(SetScopes)
def set_scopes(op: Operation, asked: SetScopes) -> str:
    return agents.set_scopes(op.tx, op.by, servers.agent_named(op.tx, asked.name), asked.key, asked.covers)


def everyone(tx: Transaction) -> list[agents.AgentEntry]:
    """Read every agent, page by page."""
    found: list[agents.AgentEntry] = []
    while page := agents.page(tx, after=found[-1].row.name if found else "", limit=PAGE):
        found += page
    return found


def _listed(allowances: Allowances, found: agents.AgentEntry) -> ListedAgent:
    pending, minute = allowances.limits(found.row)
    used = max((key.last_used_at for key in found.keys if key.last_used_at), default=None)
    return ListedAgent(
        name=found.row.name,
        owners=" ".join(found.owners),
        groups=found.row.groups,
        keys=len(found.keys),
        last_used=written(used),
        pending=f"{found.pending} of {'any' if pending is None else pending}",
        a_minute="any" if minute is None else str(minute),
        since=written(found.row.created_at),
        state="disabled" if found.row.disabled_at else "live",
    )


def _key(key: Credential, now: Instant) -> ListedKey:
    return ListedKey(
        key=key.id,
        since=written(key.created_at),
        last_used=written(key.last_used_at),
        expires=written(key.expires_at) or "never",
        covers=key.scopes or "everything",
        state="live" if credentials.is_live(key, now) else "ran out",
    )
