"""Standing grants."""

from dataclasses import dataclass

from approvals_web.operator.messages.ask import Ask


@dataclass(frozen=True)
class ListedGrant:
    """A grant, as `approvals grant list` shows it."""

    id: str
    state: str
    left: int
    ends: str
    by: str
    terms: str


@dataclass(frozen=True)
class ListGrants(Ask[list[ListedGrant]]):
    """Grants that can be used now, or the newest of all."""

    every: bool


@dataclass(frozen=True)
class RevokeGrant(Ask[None]):
    """A grant revoked, with the approvals by it that nobody has claimed."""

    grant_id: str


@dataclass(frozen=True)
class AllowGrants(Ask[None]):
    """Whether grants may be made and used for an installation's calls."""

    name: str
    label: str
    allowed: bool
