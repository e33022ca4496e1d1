"""What the processes over one database tell each other, and what they find out when a word was lost."""

from collections.abc import Callable

from sqlalchemy import bindparam, select, tuple_

from approvals.instant import SECOND, Instant
from approvals.service.realtime.bus import Bus
from approvals.service.realtime.gate_streams import GateStreams
from approvals.service.storage.channels import CONTROLS_CHANGED, EDIT, FOLLOW, KEYS_REVOKED, LOOK, WAKE
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import WaitingCall, table_of
from approvals.service.storage.tables.handles import requests

POLL_SECONDS = 2.0
"""The slow poll beneath the notifications."""
OVERLAP = 15 * SECOND
"""How far back each poll looks: a transaction may become visible after a later one."""
PAGE = 1000
"""Requests read at once; each poll reads as many pages as there are."""

_callers = table_of(WaitingCall)
_page = (
    select(requests.c.id, requests.c.changed_at)
    .where(tuple_(requests.c.changed_at, requests.c.id) > tuple_(bindparam("after"), bindparam("last")))
    .order_by(requests.c.changed_at, requests.c.id)
    .limit(PAGE)
    .subquery()
)
_CHANGED = Statement(
    select(_page.c.id, _page.c.changed_at, _callers.c.session_id)
    .join_from(_page, _callers, _callers.c.request_id == _page.c.id, isouter=True)
    .distinct()
    .order_by(_page.c.changed_at, _page.c.id)
)


class Replicas:
    """Event loop only, but for `changes`."""

    def __init__(
        self, bus: Bus, gates: GateStreams, controls_changed: Callable[[], None], keys_revoked: Callable[[], None]
    ) -> None:
        self._bus = bus
        self._gates = gates
        self._after: Instant = 0
        self._looked_at: Instant = 0
        self._seen: dict[str, Instant] = {}
        self._deeds: dict[tuple[str, int], Callable[..., None]] = {
            (WAKE, 1): bus.wake,
            (FOLLOW, 2): self._follow,
            (LOOK, 2): gates.look,
            (EDIT, 3): gates.edit,
            (CONTROLS_CHANGED, 0): controls_changed,
            (KEYS_REVOKED, 0): keys_revoked,
        }
        """By the deed and the number of its words."""

    def hear(self, message: str) -> None:
        """Something that another process announced; words of a newer version than this one are ignored."""
        deed, *words = message.split(" ")
        known = self._deeds.get((deed, len(words)))
        if known is not None:
            known(*words)

    def changes(self, reader: Reader) -> list[Row]:
        """What changed lately, with the gate processes that wait for it."""
        looked_at = reader.now
        after, last, changes = (self._after or looked_at) - OVERLAP, "", list[Row]()
        while rows := reader.all(_CHANGED, after=after, last=last):
            after, last = rows[-1].changed_at, rows[-1].id
            changes += rows
        self._looked_at = looked_at
        return changes

    def take(self, changes: list[Row]) -> None:
        """Wake those who may not have heard of it."""
        for row in changes:
            if row.session_id is not None:
                self._gates.follow(row.session_id, row.id)
            if self._seen.get(row.id) != row.changed_at:
                self._bus.wake(row.id)
        self._after = self._looked_at
        self._seen = {row.id: row.changed_at for row in changes}

    def _follow(self, session: str, request_id: str) -> None:
        if self._gates.follow(session, request_id):
            self._bus.wake(request_id)  # it may have changed before this was heard
