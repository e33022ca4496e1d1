"""Freezes, rollouts and audiences."""

from dataclasses import dataclass

from approvals_web.operator.messages.ask import Ask


@dataclass(frozen=True)
class MadeFreeze:
    """What came of `approvals freeze`."""

    words: str
    mode: str
    new: bool
    revoked: int


@dataclass(frozen=True)
class Swept:
    """How many approvals were taken back, and held requests let go; both 0 when all is done."""

    revoked: int
    released: int


@dataclass(frozen=True)
class ListedFreeze:
    """A freeze that stands."""

    what: str
    mode: str
    since: str
    by: str
    gates: str
    reason: str


@dataclass(frozen=True)
class ListedRollout:
    """A rollout that is set."""

    server: str
    tool: str
    whom: str
    mode: str
    set_by: str
    set_at: str


@dataclass(frozen=True)
class MakeFreeze(Ask[MadeFreeze]):
    """All writes stopped, or those to a server, or by an agent."""

    server: str | None
    agent: str | None
    mode: str
    reason: str


@dataclass(frozen=True)
class LiftFreeze(Ask[list[str]]):
    """One freeze lifted, or every one; what is not frozen any more, in words."""

    server: str | None
    agent: str | None
    everything: bool


@dataclass(frozen=True)
class Sweep(Ask[Swept]):
    """The next batch of approvals to take back, and of held requests to let go."""


@dataclass(frozen=True)
class ListFreezes(Ask[list[ListedFreeze]]):
    """What is frozen."""


@dataclass(frozen=True)
class SetRollout(Ask[None]):
    """How far a gate is rolled out."""

    server: str
    tool: str
    whom: str
    mode: str


@dataclass(frozen=True)
class ClearRollout(Ask[None]):
    """What was set for exactly this, forgotten."""

    server: str
    tool: str
    whom: str


@dataclass(frozen=True)
class ListRollouts(Ask[list[ListedRollout]]):
    """What is set."""


@dataclass(frozen=True)
class Audience(Ask[str]):
    """Which agents a server is for: set, or only said when there are no entries."""

    name: str
    entries: tuple[str, ...] | None
