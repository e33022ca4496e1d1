"""What the processes over one database tell each other, and what they find out when a word was lost."""

from collections.abc import Callable

from sqlalchemy import bindparam, select

from approvals.bus import Bus
from approvals.database import Reader, Row, Statement
from approvals.filing import FOLLOW
from approvals.gate_stream import GateStreams
from approvals.instant import SECOND, Instant
from approvals.models import WaitingCall
from approvals.transition import WAKE, requests

POLL_SECONDS = 2.0
"""The slow poll beneath the notifications."""
OVERLAP = 15 * SECOND
"""How far back each poll looks: a transaction may become visible after a later one."""
PAGE = 1000

_callers = WaitingCall.__table__  # type: ignore[attr-defined]
_CHANGED = Statement(
    select(requests.c.id, requests.c.changed_at, _callers.c.session_id)
    .join_from(requests, _callers, _callers.c.request_id == requests.c.id, isouter=True)
    .where(requests.c.changed_at > bindparam("after"))
    .order_by(requests.c.changed_at)
    .limit(PAGE)
)


class Replicas:
    """Event loop only."""

    def __init__(self, bus: Bus, gates: GateStreams) -> None:
        self._bus = bus
        self._gates = gates
        self._after: Instant = 0
        self._seen: dict[str, Instant] = {}
        self._deeds: dict[str, Callable[..., None]] = {WAKE: bus.wake, FOLLOW: self._follow}

    def hear(self, message: str) -> None:
        """Something that another process announced; words of a newer version than this one are ignored."""
        deed, *words = message.split(" ")
        if deed in self._deeds:
            self._deeds[deed](*words)

    def changes(self, reader: Reader) -> list[Row]:
        """What changed lately, with the gate processes that wait for it."""
        after = self._after or reader.now
        return reader.all(_CHANGED, after=after - OVERLAP)

    def take(self, changes: list[Row]) -> None:
        """Wake those who may not have heard of it."""
        for row in changes:
            if row.session_id is not None:
                self._gates.follow(row.session_id, row.id)
            if self._seen.get(row.id) != row.changed_at:
                self._bus.wake(row.id)
        if changes:
            self._after = changes[-1].changed_at
            self._seen = {row.id: row.changed_at for row in changes}
        elif not self._after:
            self._after = 1

    def _follow(self, session: str, request_id: str) -> None:
        if self._gates.follow(session, request_id):
            self._bus.wake(request_id)  # it may have changed before this was heard
