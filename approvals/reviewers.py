"""Whose decisions count for a request, as its rule says. Pure."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from approvals.fingerprint import canonical

DECIDE, NOTIFY_ONLY, OFF = "decide", "notify_only", "off"


@dataclass(frozen=True)
class Channels:
    """What may happen where: `decide`, `notify_only` or `off`."""

    web: str = DECIDE
    slack: str = DECIDE
    api: str = OFF


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

    def dump(self) -> str:
        """As it is kept with a request."""
        return canonical(asdict(self)).decode()

    @classmethod
    def parse(cls, text: str) -> "Reviewers":
        """From what `dump` made; of nothing, the default."""
        kept: dict[str, Any] = json.loads(text or "{}")
        channels = Channels(**kept.pop("channels", {}))
        kept |= {name: tuple(kept[name]) for name in ("people", "groups") if name in kept}
        return cls(**kept, channels=channels)
