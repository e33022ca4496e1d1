"""Records of calls that needed no approval: numbered by their gate process, so that a gap shows."""

from sqlalchemy import bindparam, null, update

from approvals.errors import Conflict, NotFound
from approvals.protocol.messages import CallRecords, Recorded
from approvals.service.audit.kinds import Kind
from approvals.service.storage.database import Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import GateSession, Installation, table_of
from approvals.service.storage.tables.handles import LOCK_SESSION, SESSION

_sessions = table_of(GateSession)

_RECORDED = Statement(
    update(_sessions)
    .where(_sessions.c.id == bindparam("of"))
    .values(
        {name: bindparam(name) for name in ("recorded", "high_water", "last_seen_at", "closed_at")}
        | {"lost_at": null()}
    )
)


class Calls:
    """Keeps batches of call records, as payloads of audit events."""

    def record(self, tx: Transaction, installation: Installation, batch: CallRecords) -> Recorded:
        """Keep what is new in a batch. Raises Conflict with `next_number` when numbers are missing or out of order."""
        tx.lock(LOCK_SESSION, id=batch.session)  # the same batch may come twice at once, by way of two replicas
        session = tx.one(SESSION, id=batch.session)
        if session is None or session.installation_id != installation.id:
            raise NotFound("There is no such gate session.", hint="Register the tools first.")
        new = [call for call in batch.calls if call.number > session.recorded]
        numbers = [call.number for call in new]
        expected = list(range(session.recorded + 1, session.recorded + 1 + len(new)))
        if numbers != expected or batch.high_water < session.recorded + len(new):
            raise Conflict(
                f"Expected call {session.recorded + 1} next.",
                hint="Send the records from there on.",
                next_number=session.recorded + 1,
            )
        if new:
            facts = {
                "word_of": "the gate",
                "first": numbers[0],
                "last": numbers[-1],
                "calls": [call.model_dump(mode="json") for call in new],
            }
            self._append(tx, installation, Kind.CALLS_RECORDED, batch.session, facts)
        recorded = session.recorded + len(new)
        if batch.closed and session.closed_at is None:
            facts = {"recorded": recorded, "unrecorded": batch.high_water - recorded}
            self._append(tx, installation, Kind.SESSION_CLOSED, batch.session, facts)
        tx.execute(
            _RECORDED,
            of=batch.session,
            recorded=recorded,
            high_water=max(batch.high_water, session.high_water),
            last_seen_at=tx.now,
            closed_at=tx.now if batch.closed else session.closed_at,
        )
        return Recorded(next_number=recorded + 1)

    def _append(
        self, tx: Transaction, installation: Installation, kind: Kind, session: str, facts: dict[str, object]
    ) -> None:
        tx.record(kind, f"installation:{installation.id}", installation.server, session=session, **facts)
