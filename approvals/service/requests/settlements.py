"""Settling `unknown`: a person says what really happened."""

from typing import Literal

from sqlalchemy import bindparam, update

from approvals.errors import Forbidden, Invalid, NotPossible
from approvals.instant import SECOND, seconds_until
from approvals.policy.eligibility import Act
from approvals.protocol.states import OUTCOMES, State
from approvals.service.audit.kinds import Kind
from approvals.service.authority import Authority
from approvals.service.identity.users import Person
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Statement, changed
from approvals.service.storage.tables import Execution
from approvals.service.storage.tables.handles import EXECUTION, executions
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.text import says_something

MARGIN_SECONDS = 60.0
"""After the lease, before anyone may say "it did not run": a gate that was only slow reports by then."""

Truth = Literal["succeeded", "failed", "not_executed"]

_SETTLE = Statement(
    update(executions)
    .where(executions.c.id == bindparam("of"))
    .values({name: bindparam(name) for name in ("finished_at", "outcome", "settled_by", "settled_note")})
)
_SEEN = Statement(
    update(executions)
    .where(executions.c.id == bindparam("of"), executions.c.contradiction_seen_at.is_(None))
    .values(contradiction_seen_at=bindparam("at"), contradiction_seen_by=bindparam("by"))
)


class Settlements:
    """Settles executions whose outcome was lost, and takes note of what contradicts them."""

    def __init__(self, transitions: Transitions, authority: Authority) -> None:
        self._transitions = transitions
        self._authority = authority

    def settle(self, tx: Transaction, request_id: str, person: Person, truth: Truth, note: str) -> RequestRow:
        """Record what a person found out. Raises Forbidden, Invalid (no note), NotPossible (not unknown, or too early
        to say that it did not run)."""
        row = self._transitions.apply_due(tx, self._transitions.lock(tx, request_id))
        self._authority.check_may_decide(tx, row, person, Act.TEND)
        if row.state != State.UNKNOWN:
            raise NotPossible(f"The request is {row.state}: there is nothing to settle.", state=row.state)
        if not says_something(note):
            raise Invalid("Say how you know.", hint="For example: checked the orders table, no refund is there.")
        execution = tx.one(EXECUTION, request_id=row.id)
        if execution is None:
            raise NotPossible("Nothing was ever claimed here.", state=row.state)
        if truth == "not_executed":
            check_over(execution, tx.now)
        said = {"finished_at": tx.now, "outcome": truth, "settled_by": person.id, "settled_note": note}
        tx.execute(_SETTLE, of=execution.id, **said)
        settled = Touched(Execution, execution, changed(execution, **said))
        return self._transitions.move(tx, row, OUTCOMES[truth], person.actor, settled, because=note)

    def acknowledge(self, tx: Transaction, request_id: str, person: Person) -> None:
        """A person has seen that a late report contradicts what was settled: the queue stops saying so. Nothing else
        changes. Raises Forbidden, or NotPossible where nothing contradicts."""
        if not {"admin", "reviewer"} & person.roles:
            raise Forbidden("Only reviewers and admins acknowledge an incident.", hint="Ask one.")
        row = self._transitions.lock(tx, request_id)
        execution = tx.one(EXECUTION, request_id=row.id)
        if execution is None or execution.contradiction is None:
            raise NotPossible("Nothing contradicts what was settled here.", state=row.state)
        if tx.update(_SEEN, of=execution.id, at=tx.now, by=person.id) == 1:
            facts = {"kept": execution.outcome, "reported": execution.contradiction}
            seen = {"contradiction_seen_at": tx.now, "contradiction_seen_by": person.id}
            touched = Touched(Execution, execution, changed(execution, **seen))
            tx.record(Kind.INCIDENT_ACKNOWLEDGED, person.actor, row.id, touched, **facts)
            tx.wake(row.id)


def check_over(execution: Execution, now: int) -> None:
    """Raises NotPossible while a gate that is only slow may still be running it."""
    early = seconds_until(execution.lease_until + round(MARGIN_SECONDS * SECOND), now)
    if early:
        raise NotPossible(
            f"It may still be running: that can be said in {early:.0f} seconds.", hint="Wait, then settle."
        )
