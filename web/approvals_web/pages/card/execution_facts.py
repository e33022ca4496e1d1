"""How a claimed request ran, as far as anybody knows: what a person needs to settle an unknown outcome."""

from dataclasses import dataclass

from approvals.instant import Instant
from approvals.service.identity import credentials, users
from approvals.service.requests.verifications import is_there
from approvals.service.storage.database import Reader
from approvals.service.storage.tables import Execution, GateSession
from approvals.service.storage.tables.handles import SESSION


@dataclass(frozen=True)
class Fact:
    """A name, and what is known under it; with the moment, where it has one."""

    name: str
    words: str = ""
    at: Instant | None = None


_FOUND = {
    "succeeded": "it took effect",
    "failed": "it ran and failed",
    "not_executed": "it did not run",
    "unclear": "it cannot tell",
}


def facts(reader: Reader, execution: Execution) -> list[Fact]:
    """In the order in which they came about."""
    session = reader.one(SESSION, id=execution.session_id)
    ended = execution.lease_until <= reader.now
    return [
        Fact("Started", at=execution.claimed_at),
        Fact("Server process", _gate(reader, session) if session else execution.session_id),
        Fact("Deadline passed" if ended else "Deadline", at=execution.lease_until),
        _process(session, reader.now) if session else Fact("Connection", "unknown"),
        *([_check(execution)] if execution.checked else []),
        *([Fact("Recorded", _settled(reader, execution))] if _was_settled(execution) else []),
    ]


def _gate(reader: Reader, session: GateSession) -> str:
    installation = credentials.installation(reader, session.installation_id)
    label = f"{installation.server} at {installation.label}" if installation else session.installation_id
    return f"{label}, process {session.id}"


def _process(session: GateSession, now: int) -> Fact:
    if session.closed_at is not None:
        return Fact("Stopped in order", at=session.closed_at)
    if session.lost_at is not None:
        return Fact("Connection lost", "the server stopped responding", session.lost_at)
    if not is_there(session, now):
        return Fact("Silent since", at=session.last_seen_at)
    return Fact("Connected", "last heard", session.last_seen_at)


def _check(execution: Execution) -> Fact:
    note = f": {execution.checked_note}" if execution.checked_note else ""
    return Fact("The tool's own check", f"{_FOUND[execution.checked or '']}{note}", execution.checked_at)


def _was_settled(execution: Execution) -> bool:
    return execution.settled_by is not None or execution.checked not in {None, "unclear"}


def _settled(reader: Reader, execution: Execution) -> str:
    if execution.settled_by is None:
        return "by the tool's own check, no person"
    user = users.find(reader, execution.settled_by)
    note = f": {execution.settled_note}" if execution.settled_note else ""
    return f"by {user.name if user else execution.settled_by}{note}"
