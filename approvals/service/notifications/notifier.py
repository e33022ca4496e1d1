"""What carries requests to people and systems elsewhere: three verbs, each rendering anew from the record.

A notifier never decides how often to try: it raises, and the outbox does. Where one verb means several messages (a
channel, and people one by one), it answers with a step for each: every one of them is then sent, tried again and given
up on its own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from approvals.instant import Instant
from approvals.protocol.messages import RequestStatus
from approvals.protocol.request_details import RequestDetails
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables.rows import RequestRun

ANNOUNCE, UPDATE, REPLY = "announce", "update", "reply"


@dataclass(frozen=True)
class Notice:
    """One message, as of the moment it is sent."""

    id: str
    """The same at every attempt: receivers may drop what they have seen."""
    row: RequestRun
    """The request with its execution."""
    status: RequestStatus
    agent: str | None
    at: Instant
    target: str = ""
    """Which of the notifier's copies it is about, as a step of the notifier called it; empty for all of them."""
    details: RequestDetails | None = None
    """What people are told of it."""
    said: str = ""
    """What the last message of this request through this notifier said, as `Sent` named it."""


@dataclass(frozen=True)
class Step:
    """One message more. `request_id`: of another request than the one that led to it."""

    verb: str
    target: str
    request_id: str = ""


@dataclass(frozen=True)
class Sent:
    """What came of a message that arrived, or had nothing to say."""

    said: str = ""
    """Names the words, to tell whether the next message has any others."""
    then: Callable[[Transaction], Iterable[Step]] = lambda _: ()
    """Writes down what was sent, in the transaction that ends the message; its steps remain."""


NOTHING = Sent()


class Notifier(Protocol):
    """Raises NotDelivered when it should be tried again, Undeliverable when that is of no use."""

    name: str

    @property
    def trouble(self) -> str | None:
        """What keeps it from speaking until a person mends it; None while all is well."""
        ...

    async def announce(self, notice: Notice) -> Sent:
        """A request waits for a decision."""
        ...

    async def update(self, notice: Notice) -> Sent:
        """Show a request as it is now: it has changed."""
        ...

    async def reply(self, notice: Notice) -> Sent:
        """Remind people of a request that still waits, for more of them or for any."""
        ...


@dataclass
class NotDelivered(Exception):
    """Raised when a message did not arrive; what came instead, and how many seconds to wait at least."""

    why: str
    after: float = field(default=0.0)


class Undeliverable(NotDelivered):
    """No further attempt would do better."""
