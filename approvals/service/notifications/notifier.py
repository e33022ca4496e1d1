"""What carries requests to people and systems elsewhere: three verbs, each rendering anew from the record.

A notifier never decides how often to try: it raises, and the outbox does.
"""

from dataclasses import dataclass, field
from typing import Protocol

from approvals.instant import Instant
from approvals.protocol.messages import RequestStatus
from approvals.service.storage.statements import Row


@dataclass(frozen=True)
class Notice:
    """One message, as of the moment it is sent."""

    id: str
    """The same at every attempt: receivers may drop what they have seen."""
    row: Row
    """The request with its execution."""
    status: RequestStatus
    agent: str | None
    at: Instant


class Notifier(Protocol):
    """Raises NotDelivered when it should be tried again, Undeliverable when that is of no use."""

    name: str

    @property
    def trouble(self) -> str | None:
        """What keeps it from speaking until a person mends it; None while all is well."""
        ...

    async def announce(self, notice: Notice) -> None:
        """A request waits for a decision."""

    async def update(self, notice: Notice) -> None:
        """It has changed."""

    async def reply(self, notice: Notice) -> None:
        """It still waits: a reminder."""


@dataclass
class NotDelivered(Exception):
    """It did not arrive; what came instead, and how many seconds to wait at least."""

    why: str
    after: float = field(default=0.0)


class Undeliverable(NotDelivered):
    """No further attempt would do better."""
