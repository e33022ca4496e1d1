"""How a claimed request ran, as far as anybody knows: what a person needs to settle an unknown outcome."""

from approvals.service.identity import credentials, users
from approvals.service.requests.verifications import is_there
from approvals.service.storage.database import Reader
from approvals.service.storage.tables import Execution, GateSession
from approvals.service.storage.tables.handles import SESSION
from approvals_web.http.rendering import when

Line = tuple[str, str]

_FOUND = {
    "succeeded": "it took effect",
    "failed": "it ran and failed",
    "not_executed": "it did not run",
    "unclear": "it cannot tell",
}


def lines(reader: Reader, execution: Execution) -> list[Line]:
    """Names and what is known under each."""
    session = reader.one(SESSION, id=execution.session_id)
    return [
        ("Claimed", when(execution.claimed_at)),
        ("By the gate", _gate(reader, session) if session else execution.session_id),
        ("Its lease ended" if execution.lease_until <= reader.now else "Its lease ends", when(execution.lease_until)),
        ("That process", _process(session, reader.now) if session else "unknown"),
        *([("The tool's own check", _check(execution))] if execution.checked else []),
        *([("Settled", _settled(reader, execution))] if _was_settled(execution) else []),
    ]


def _gate(reader: Reader, session: GateSession) -> str:
    installation = credentials.installation(reader, session.installation_id)
    label = f"{installation.server} at {installation.label}" if installation else session.installation_id
    return f"{label}, process {session.id}"


def _process(session: GateSession, now: int) -> str:
    if session.closed_at is not None:
        return f"ended in order, {when(session.closed_at)}"
    if session.lost_at is not None:
        return f"lost: fell silent, {when(session.lost_at)}"
    if not is_there(session, now):
        return f"silent since {when(session.last_seen_at)}"
    return f"there, last heard {when(session.last_seen_at)}"


def _check(execution: Execution) -> str:
    note = f": {execution.checked_note}" if execution.checked_note else ""
    return f"{_FOUND[execution.checked or '']}{note} ({when(execution.checked_at)})"


def _was_settled(execution: Execution) -> bool:
    return execution.settled_by is not None or execution.checked not in {None, "unclear"}


def _settled(reader: Reader, execution: Execution) -> str:
    if execution.settled_by is None:
        return "by the tool's own check, no person"
    user = users.find(reader, execution.settled_by)
    note = f": {execution.settled_note}" if execution.settled_note else ""
    return f"by {user.name if user else execution.settled_by}{note}"
