"""MCP servers: installations, keys, definitions that wait for a person."""

from dataclasses import dataclass

from approvals_web.operator.messages.ask import Ask


@dataclass(frozen=True)
class ListedInstallation:
    """An installation, as `approvals server list` shows it."""

    server: str
    label: str
    assurance: str
    keys: int
    last_used: str
    since: str
    state: str


@dataclass(frozen=True)
class ListedOffer:
    """A changed definition that waits for an admin."""

    server: str
    tool: str
    label: str
    since: str
    loosens: str
    hash: str


@dataclass(frozen=True)
class AddServer(Ask[str]):
    """A new installation; its key."""

    name: str
    label: str
    assurance: str
    trusted: bool
    expires: str = "never"


@dataclass(frozen=True)
class ListServers(Ask[list[ListedInstallation]]):
    """Every installation."""


@dataclass(frozen=True)
class RotateServer(Ask[str]):
    """A second key; that key."""

    name: str
    label: str


@dataclass(frozen=True)
class RevokeServer(Ask[int]):
    """An installation revoked; how many keys there were."""

    name: str
    label: str


@dataclass(frozen=True)
class ListOffers(Ask[list[ListedOffer]]):
    """Changed definitions that wait for an admin."""


@dataclass(frozen=True)
class RejectOffer(Ask[None]):
    """A changed definition that is not to stand."""

    name: str
    tool: str
    tool_hash: str
    label: str | None
