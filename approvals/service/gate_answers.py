"""Asking the gate of a pending request something, and waiting for what it answers."""

import asyncio
import contextlib
from collections.abc import Iterator

from approvals.errors import Invalid, NotPossible
from approvals.protocol.states import State
from approvals.service.identity.users import Person
from approvals.service.realtime.wakeup import Wakeup
from approvals.service.requests import edits, preview_refreshes
from approvals.service.requests.edits import Asked, Wanted
from approvals.service.requests.transitions import seen_state
from approvals.service.service import Service
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.tables import Edit

LOOK_SECONDS = 5.0
"""A look takes up to four."""
EDIT_SECONDS = 12.0
"""A look, and before it the check of arguments by somebody else's schema, which takes up to five."""
_LATER = "The card changes by itself when it does."
_LATER_EDITED = "The card changes by itself when it does; after a minute the change is given up."


async def look_again(service: Service, request_id: str, person: Person) -> None:
    """Have it look up again what the call would do. Raises NotPossible when nobody answers in time, and as
    `refreshes.ask`."""
    with _hearing(service, request_id) as wakeup:
        asked = await service.write(lambda tx: _ask_again(service, tx, request_id, person))
        if asked.edit_id:
            service.gates.edit(asked.session, request_id, asked.edit_id)
        else:
            service.gates.look(asked.session, request_id)
        if not await wakeup.wait(LOOK_SECONDS):
            raise NotPossible("The server has not answered yet.", hint=_LATER)


async def edit(service: Service, request_id: str, person: Person, wanted: Wanted) -> None:
    """Have it read what a person made of the call: afterwards that is what everybody votes on. Raises Invalid with the
    tool's own words for what it does not take, NotPossible when something else was quicker or nobody answers in time,
    and as `Edits.ask`."""
    with _hearing(service, request_id) as wakeup:
        asked = await service.write(lambda tx: service.edits.ask(tx, request_id, person, wanted))
        service.gates.edit(asked.session, request_id, asked.edit_id)
        now = asyncio.get_running_loop().time
        deadline = now() + EDIT_SECONDS
        while True:
            answered = await service.read(lambda reader: edits.find(reader, asked.edit_id))
            if answered is not None and answered.answered_at is not None:
                break
            if not await wakeup.wait(max(0.0, deadline - now())):
                raise NotPossible("The server has not answered yet.", hint=_LATER_EDITED)
    if answered.refused is None:
        return
    if await service.read(lambda reader: _is_past(service, reader, request_id, answered)):
        raise NotPossible(answered.refused)
    raise Invalid(answered.refused)


def _is_past(service: Service, reader: Reader, request_id: str, asked: Edit) -> bool:
    """Whether something else became of the request than what was to be changed."""
    row = service.transitions.get(reader, request_id)
    return seen_state(row, reader.now) is not State.PENDING or row.content_version != asked.content_version


def _ask_again(service: Service, tx: Transaction, request_id: str, person: Person) -> Asked:
    row = preview_refreshes.check(tx, request_id, person)
    return service.edits.ask_again(tx, row) if row.edit_id is not None else preview_refreshes.ask(tx, row)


@contextlib.contextmanager
def _hearing(service: Service, request_id: str) -> Iterator[Wakeup]:
    """A wakeup that is set whenever the request changes."""
    wakeup = Wakeup()

    def listener(_: str) -> None:
        wakeup.set()

    service.bus.subscribe(listener, [request_id])
    try:
        yield wakeup
    finally:
        service.bus.unsubscribe(listener, [request_id])
