"""Agents: added, listed, given keys, owners, groups and limits, revoked."""

from dataclasses import dataclass

from approvals_web.operator.messages.ask import Ask


@dataclass(frozen=True)
class ListedAgent:
    """An agent, as `approvals agent list` shows it."""

    name: str
    owners: str
    groups: str
    keys: int
    last_used: str
    pending: str
    a_minute: str
    since: str
    state: str


@dataclass(frozen=True)
class ListedKey:
    """One of an agent's keys."""

    key: str
    since: str
    last_used: str
    expires: str
    covers: str
    state: str


@dataclass(frozen=True)
class AddAgent(Ask[str]):
    """A new agent; its key."""

    name: str
    owners: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    covers: str = ""
    expires: str = "never"


@dataclass(frozen=True)
class ListAgents(Ask[list[ListedAgent]]):
    """Every agent."""


@dataclass(frozen=True)
class ListKeys(Ask[list[ListedKey]]):
    """An agent's unrevoked keys."""

    name: str


@dataclass(frozen=True)
class RotateAgent(Ask[str]):
    """A second key; that key. What is None stays as with the last one."""

    name: str
    covers: str | None = None
    expires: str | None = None


@dataclass(frozen=True)
class RevokeAgent(Ask[int]):
    """An agent, or one of its keys, revoked; how many keys there were."""

    name: str
    key: str | None = None


@dataclass(frozen=True)
class ChangeOwners(Ask[list[str]]):
    """Owners added and removed; who they are then."""

    name: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetAgentGroups(Ask[list[str]]):
    """An agent's groups, and no others."""

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetLimits(Ask[None]):
    """How much an agent may ask; None for the service's own limit."""

    name: str
    pending: int | None
    minute: int | None


@dataclass(frozen=True)
class SetScopes(Ask[str]):
    """What one key covers from now on; as it is kept."""

    name: str
    key: str
    covers: str
