"""Settling `unknown` by the tool's own look (`Approval(verify=…)`), which a gate of the same installation reports.

A gate process that is still there speaks for itself: only it may say what came of a claim it holds. What it never said
another process finds out once it is gone.
"""

from sqlalchemy import bindparam, or_, select, update

from approvals.errors import NotFound, NotPossible
from approvals.instant import SECOND
from approvals.protocol.messages import Unsettled, Verification
from approvals.protocol.states import OUTCOMES, State
from approvals.service.audit.kinds import Kind
from approvals.service.requests.expiry import SILENCE_SECONDS
from approvals.service.requests.settlements import MARGIN_SECONDS, check_over
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Statement, changed
from approvals.service.storage.tables import Execution, GateSession, Installation, table_of
from approvals.service.storage.tables.handles import EXECUTION, SESSION, executions, requests
from approvals.service.storage.tables.rows import RequestRow

PAGE = 10

_sessions = table_of(GateSession)

_UNSETTLED = Statement(
    select(requests.c.id, requests.c.digest, requests.c.sealed_arguments)
    .join_from(requests, executions, executions.c.request_id == requests.c.id)
    .join(_sessions, _sessions.c.id == executions.c.session_id)
    .where(
        requests.c.state == State.UNKNOWN.value,
        requests.c.id > bindparam("after"),
        requests.c.installation_id == bindparam("installation"),
        requests.c.tool == bindparam("tool"),
        executions.c.lease_until <= bindparam("over"),
        or_(
            executions.c.session_id == bindparam("session"),
            _sessions.c.closed_at.is_not(None),
            _sessions.c.lost_at.is_not(None),
            _sessions.c.last_seen_at <= bindparam("silent"),
        ),
    )
    .order_by(requests.c.id)
    .limit(PAGE)
)
_CHECKED = Statement(
    update(executions)
    .where(executions.c.id == bindparam("of"))
    .values({name: bindparam(name) for name in ("finished_at", "outcome", "checked", "checked_at", "checked_note")})
)


class Verifications:
    """Takes what tools found out about their own lost outcomes."""

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions

    def unsettled(
        self, reader: Reader, installation: Installation, session: str, tool: str, after: str
    ) -> tuple[Unsettled, ...]:
        """The next PAGE requests of this tool that this gate process may verify, by id."""
        rows = reader.all(
            _UNSETTLED,
            after=after,
            installation=installation.id,
            tool=tool,
            session=session,
            over=reader.now - round(MARGIN_SECONDS * SECOND),
            silent=reader.now - round(SILENCE_SECONDS * SECOND),
        )
        return tuple(Unsettled.model_construct(**row) for row in rows)

    def verify(self, tx: Transaction, installation: Installation, request_id: str, found: Verification) -> None:
        """Settle what was unknown; the same finding again changes nothing. Raises NotFound (not this installation's),
        NotPossible (settled otherwise, too early, or the gate that claimed it is still there)."""
        row = self._transitions.lock(tx, request_id)
        session = tx.one(SESSION, id=found.session)
        if row.installation_id != installation.id or session is None or session.installation_id != installation.id:
            raise NotFound("There is no such request.", hint="Check the id.")
        row = self._transitions.apply_due(tx, row)
        execution = tx.one(EXECUTION, request_id=row.id)
        if execution is not None and execution.outcome == found.outcome:
            return
        if execution is None or row.state != State.UNKNOWN:
            raise NotPossible(f"The request is {row.state}: there is nothing to verify.", state=row.state)
        actor = f"installation:{installation.id}"
        if found.outcome == "unclear":
            self._keep(tx, row, execution, found, actor)
            return
        _check_alone(tx, row, execution, found)
        if found.outcome == "not_executed":
            check_over(execution, tx.now)
        touched = _checked(tx, execution, found, finished_at=tx.now, outcome=found.outcome)
        because = f"the tool's own check found it{': ' if found.note else ''}{found.note}"
        self._transitions.move(tx, row, OUTCOMES[found.outcome], actor, touched, because=because)

    def _keep(self, tx: Transaction, row: RequestRow, execution: Execution, found: Verification, actor: str) -> None:
        """Note that a tool cannot tell: shown to whoever settles it, and on record when it says something new."""
        if (execution.checked, execution.checked_note) == (found.outcome, found.note):
            return
        touched = _checked(tx, execution, found, finished_at=None, outcome=None)
        because = f"it cannot tell: {found.note}"
        tx.record(Kind.EXECUTION_CHECKED, actor, row.id, touched, because=because)
        tx.wake(row.id)


def _checked(tx: Transaction, execution: Execution, found: Verification, **ended: object) -> Touched:
    said = {"checked": found.outcome, "checked_at": tx.now, "checked_note": found.note} | ended
    tx.execute(_CHECKED, of=execution.id, **said)
    return Touched(Execution, execution, changed(execution, **said))


def _check_alone(tx: Transaction, row: RequestRow, execution: Execution, found: Verification) -> None:
    """Raises NotPossible while the gate process that holds the claim is there to say it itself."""
    claimer = tx.one(SESSION, id=execution.session_id)
    if claimer is not None and claimer.id != found.session and is_there(claimer, tx.now):
        raise NotPossible("The gate process that claimed it is still there.", hint="Ask later.", state=row.state)


def is_there(session: GateSession, now: int) -> bool:
    """Whether a gate process gave a sign of life lately and did not say goodbye."""
    silent = session.last_seen_at <= now - round(SILENCE_SECONDS * SECOND)
    return session.closed_at is None and session.lost_at is None and not silent
