"""One move of one request: one compare-and-swap, one audit event, one wake-up after the commit."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from sqlalchemy import bindparam, select, update

from approvals.errors import NotFound, NotPossible
from approvals.protocol import states
from approvals.protocol.states import OPEN, Deadlines, Move, State
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.notifications.notifier import UPDATE
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Row, Statement, changed
from approvals.service.storage.tables import Request
from approvals.service.storage.tables.handles import REQUEST, requests
from approvals.service.storage.tables.rows import RequestRow

_LOCK = Statement(select(requests.c.id).where(requests.c.id == bindparam("id")).with_for_update())


@dataclass(frozen=True)
class Moved:
    """A move that was made: of which request (as it is afterwards), and by whom."""

    move: Move
    was: State
    row: RequestRow
    actor: str


class Transitions:
    """Moves requests, and has notifiers tell of it. `moved` is called once a move is durable."""

    def __init__(self, moved: Callable[[Moved], None]) -> None:
        self._moved = moved

    def get(self, reader: Reader, request_id: str) -> RequestRow:
        """The request's row, with its execution's `lease_until`. Raises NotFound."""
        row = reader.one(REQUEST, id=request_id)
        if row is None:
            raise NotFound("There is no such request.", hint="Check the id.")
        return row

    def lock(self, tx: Transaction, request_id: str) -> RequestRow:
        """Get it, locked: until this transaction ends, no other one changes it. `now` is not before its last change,
        whatever clock that had. Raises NotFound."""
        tx.lock(_LOCK, id=request_id)
        row = self.get(tx, request_id)
        tx.now = max(tx.now, row.changed_at)
        return row

    def move(
        self,
        tx: Transaction,
        row: RequestRow,
        move: Move,
        actor: str,
        *touched: Touched,
        because: str = "",
        **changes: object,
    ) -> RequestRow:
        """Make one move, and put on record what else it `touched`; the row as it is afterwards. Raises NotPossible when
        the state has no such move, or the row has changed under us."""
        to = states.after(State(row.state), move)
        changes |= {"remind_at": None}  # nobody is reminded of what no longer waits for them
        if to not in OPEN:
            gone = {"attach_key": None, "sealed_arguments": None}  # nothing can run or be checked any more
            changes |= {"ended_at": tx.now, "ended_because": because or None, **gone}
        after = self.change(tx, row, Kind(f"request.{to}"), actor, *touched, because=because, state=to, **changes)
        tx.after_commit.append(partial(self._moved, Moved(move, State(row.state), after, actor)))
        return after

    def change(
        self,
        tx: Transaction,
        row: RequestRow,
        kind: Kind,
        actor: str,
        *touched: Touched,
        because: str = "",
        **changes: object,
    ) -> RequestRow:
        """Change a request's own columns under compare-and-swap, with its audit event."""
        after = changed(row, **changes, changed_at=tx.now)
        swapped = tx.update(
            _update(frozenset({*changes, "changed_at"})),
            of=row.id,
            was=row.state,
            version=row.content_version,
            **changes,
            changed_at=tx.now,
        )
        if swapped != 1:
            raise NotPossible("The request changed at the same moment.", hint="Look at its present state.")
        facts = {"was": row.state, "version": after.content_version, "digest": after.digest}
        of_request = Touched(Request, row, after)
        tx.record(kind, actor, row.id, of_request, *touched, **facts, **({"because": because} if because else {}))
        tx.tell(UPDATE, row.id)
        tx.wake(row.id)
        return after

    def apply_due(self, tx: Transaction, row: RequestRow) -> RequestRow:
        """The row after the moves that time has made by now."""
        due = states.due(State(row.state), deadlines(row), tx.now)
        return row if due is None else self.move(tx, row, due, SYSTEM, because=BECAUSE[due])


@cache
def _update(names: frozenset[str]) -> Statement[Row]:
    """Sets these columns alone: each of the others costs as much again."""
    unmoved = (requests.c.id == bindparam("of"), requests.c.state == bindparam("was"))
    same = requests.c.content_version == bindparam("version")
    return Statement(update(requests).where(*unmoved, same).values({name: bindparam(name) for name in sorted(names)}))


BECAUSE = {
    Move.EXPIRE: "nobody decided in time",
    Move.LAPSE: "it was approved, but not started in time",
    Move.LOSE: "the gate stopped reporting while the tool ran",
}


def deadlines(row: RequestRow) -> Deadlines:
    """The instants at which time moves this request."""
    return Deadlines(row.expires_at, row.execute_by, row.lease_until)


def seen_state(row: RequestRow, now: int) -> State:
    """The state as of `now`, whether or not the timer has come round."""
    due = states.due(State(row.state), deadlines(row), now)
    return State(row.state) if due is None else states.after(State(row.state), due)
