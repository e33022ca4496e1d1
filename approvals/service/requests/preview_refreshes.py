"""Asking the gate of a pending request to look up again what it would do; its answer is a filing (`filing`)."""

from approvals.errors import Forbidden, NotFound, NotPossible, TooMany
from approvals.protocol.states import State
from approvals.service.identity.users import Person
from approvals.service.requests import presence, revisions
from approvals.service.requests.edits import Asked
from approvals.service.requests.transitions import seen_state
from approvals.service.storage.channels import LOOK
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables.handles import REQUEST
from approvals.service.storage.tables.rows import RequestRow

_NOBODY_LOOKS = (
    "that waits for this is connected, so nobody can look again now.",
    "It is looked up again when the agent calls again, and before it runs.",
)


def check(tx: Transaction, request_id: str, person: Person) -> RequestRow:
    """The request, if there is something to look up. Raises NotFound, Forbidden, NotPossible."""
    row = tx.one(REQUEST, id=request_id)
    if row is None:
        raise NotFound("There is no such request.", hint="Check the id.")
    if not {"admin", "reviewer"} & person.roles:
        raise Forbidden("Only reviewers and admins have an effect looked up again.", hint="Ask one.")
    state = seen_state(row, tx.now)
    if state is not State.PENDING:
        raise NotPossible(f"The request is already {state}.", hint="What was decided on stays as it is.", state=state)
    if not row.preview and not row.no_preview:
        raise NotPossible("Its tool has no preview.", state=state)
    try:
        revisions.check(tx, row)
    except TooMany as most:
        raise NotPossible(most.detail, hint=most.hint, state=state) from most
    return row


def ask(tx: Transaction, row: RequestRow) -> Asked:
    """Ask; the gate process that is asked. Raises NotPossible when there is nobody who could."""
    session = presence.to_ask(tx, row, *_NOBODY_LOOKS)
    tx.notify(f"{LOOK} {session} {row.id}")
    return Asked("", session)
