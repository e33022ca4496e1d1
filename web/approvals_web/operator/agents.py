"""What an operator may do with agents from the command line; every change is audited."""

from collections.abc import Callable
from typing import Any

from approvals.instant import Instant, to_datetime
from approvals.service.identity import agents, credentials, key_lifetimes, servers
from approvals.service.service import Service
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables import Credential

PAGE = 200


def add(
    s: Service,
    tx: Transaction,
    actor: str,
    name: str,
    owners: list[str],
    groups: list[str],
    covers: str = "",
    expires: str = key_lifetimes.NEVER,
) -> Any:
    life = key_lifetimes.seconds(expires)
    key = servers.add_agent(tx, actor, name, owners=owners, covers=covers, life=life)
    if groups:
        agents.set_groups(tx, actor, servers.agent_named(tx, name), groups)
    return key


def listed(s: Service, tx: Transaction, actor: str) -> Any:
    return [_shown(s, found) for found in everyone(tx)]


def keys(s: Service, tx: Transaction, actor: str, name: str) -> Any:
    agent = servers.agent_named(tx, name)
    return [_key(key, tx.now) for key in credentials.live(tx, "agent", agent.id)]


def rotate(
    s: Service, tx: Transaction, actor: str, name: str, covers: str | None = None, expires: str | None = None
) -> Any:
    life = None if expires is None else key_lifetimes.seconds(expires)
    return servers.rotate(
        tx,
        actor,
        "agent",
        servers.agent_named(tx, name),
        covers=covers,
        life=life,
        forever=expires == key_lifetimes.NEVER,
    )


def revoke(s: Service, tx: Transaction, actor: str, name: str, key: str | None = None) -> Any:
    return servers.revoke(tx, actor, "agent", servers.agent_named(tx, name), key)


def owner(s: Service, tx: Transaction, actor: str, name: str, add: list[str], remove: list[str]) -> Any:
    agent = servers.agent_named(tx, name)
    return agents.change_owners(tx, actor, agent, add=add, remove=remove)


def groups(s: Service, tx: Transaction, actor: str, name: str, names: list[str]) -> Any:
    return agents.set_groups(tx, actor, servers.agent_named(tx, name), names)


def limits(s: Service, tx: Transaction, actor: str, name: str, pending: int | None, minute: int | None) -> Any:
    agents.set_limits(tx, actor, servers.agent_named(tx, name), pending=pending, minute=minute)
    return name


def scopes(s: Service, tx: Transaction, actor: str, name: str, key: str, covers: str) -> Any:
    return agents.set_scopes(tx, actor, servers.agent_named(tx, name), key, covers)


def everyone(tx: Transaction) -> list[dict[str, Any]]:
    """Every agent, page by page."""
    found: list[dict[str, Any]] = []
    while page := agents.page(tx, after=found[-1]["row"].name if found else "", limit=PAGE):
        found += page
    return found


def _shown(s: Service, found: dict[str, Any]) -> dict[str, Any]:
    row = found["row"]
    pending, minute = s.allowances.limits(row)
    used = max((key.last_used_at for key in found["keys"] if key.last_used_at), default=None)
    return {
        "name": row.name,
        "owners": " ".join(found["owners"]),
        "groups": row.groups,
        "keys": len(found["keys"]),
        "last used": _when(used),
        "pending": f"{found['pending']} of {'any' if pending is None else pending}",
        "a minute": "any" if minute is None else minute,
        "since": _when(row.created_at),
        "state": "disabled" if row.disabled_at else "live",
    }


def _key(key: Credential, now: Instant) -> dict[str, Any]:
    return {
        "key": key.id,
        "since": _when(key.created_at),
        "last used": _when(key.last_used_at),
        "expires": _when(key.expires_at) or "never",
        "covers": key.scopes or "everything",
        "state": "live" if credentials.is_live(key, now) else "ran out",
    }


def _when(at: Instant | None) -> str:
    return to_datetime(at).isoformat(timespec="seconds") if at else ""


AGENT_COMMANDS: dict[str, Callable[..., Any]] = {
    "agent add": add,
    "agent list": listed,
    "agent keys": keys,
    "agent rotate": rotate,
    "agent revoke": revoke,
    "agent owner": owner,
    "agent groups": groups,
    "agent limits": limits,
    "agent scopes": scopes,
}
