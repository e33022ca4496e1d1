"""Whose decisions count for a request, as its rule says. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from approvals.policy.stored_terms import written
from approvals.protocol.canonical import JsonObject

DECIDE, NOTIFY_ONLY, OFF = "decide", "notify_only", "off"
BY_RISK = "by_risk"
"""The rule says nothing: the table of channels does."""

_ALL = frozenset({"low", "medium", "high", "critical"})
CHANNELS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "web": (_ALL, _ALL),
    "slack": (_ALL - {"critical"}, _ALL),
    "api": (frozenset(), frozenset({"low", "medium"})),
}
"""Per channel: the risks that are decided there where the rule says nothing, and those where it says `decide`."""


@dataclass(frozen=True)
class Channels:
    """What may happen where: `decide`, `notify_only` or `off`."""

    web: str = DECIDE
    slack: str = BY_RISK
    api: str = OFF

    def decides(self, channel: str, risk: str) -> bool:
        """Whether a request of this risk may be decided there. Nothing is decided on an unknown channel, or at an
        unknown risk."""
        unsaid, at_most = CHANNELS.get(channel, (frozenset(), frozenset()))
        said = getattr(self, channel) if channel in CHANNELS else OFF
        return risk in {BY_RISK: unsaid, DECIDE: at_most}.get(said, frozenset())


@dataclass(frozen=True)
class Reviewers:
    """Who may decide, and how many of them it takes. Without people and groups: everybody with the role `reviewer`."""

    quorum: int = 1
    people: tuple[str, ...] = ()
    """Handles."""
    groups: tuple[str, ...] = ()
    each_group: bool = False
    """Whether every group has to be among those who approve, each by a person of its own."""
    exclude_requester: bool = True
    """Whether the agent's owners, and whoever it says it acts for, are kept from approving."""
    channels: Channels = Channels()
    escalated_to: tuple[str, ...] = ()
    """Groups that may decide, too, since nobody did in time. None of them stands for another group."""

    def dump(self) -> str:
        """The JSON that is kept with a request."""
        return written(self)

    @classmethod
    @lru_cache(1024)
    def parse(cls, text: str) -> "Reviewers":
        """The reviewers that `dump` wrote; of nothing, the default."""
        kept: JsonObject = json.loads(text or "{}")
        channels = Channels(**kept.pop("channels", {}))
        kept |= {name: tuple(kept[name]) for name in ("people", "groups", "escalated_to") if name in kept}
        return cls(**kept, channels=channels)

    def as_ruled(self) -> "Reviewers":
        """The reviewers of the rule itself, before any escalation."""
        return replace(self, escalated_to=())

    def escalated(self, groups: tuple[str, ...]) -> "Reviewers":
        """The same, with groups that may decide from now on."""
        return replace(self, escalated_to=tuple(dict.fromkeys((*self.escalated_to, *groups))))

    @property
    def anybody(self) -> bool:
        """Whether every reviewer may decide."""
        return not self.people and not self.groups

    def __str__(self) -> str:
        """The words for who may decide."""
        if self.anybody:
            return "any reviewer"
        members = [f"members of {listed(self.all_groups)}"] if self.all_groups else []
        return listed([*self.people, *members])

    @property
    def all_groups(self) -> tuple[str, ...]:
        """The groups of the rule, and those that it escalated to."""
        return tuple(dict.fromkeys((*self.groups, *self.escalated_to)))


def listed(names: Sequence[str], last: str = "or") -> str:
    """“a, b or c”."""
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), names[-1])))
