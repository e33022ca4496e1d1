"""Freezes as acts: made, lifted, confirmed by gates; and approvals that one found unclaimed, taken back."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert  # its ON CONFLICT is SQLite's, too

from approvals import ids
from approvals.errors import Invalid, NotFound
from approvals.protocol.limits import MAX_REASON
from approvals.protocol.states import Move, State
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.controls import audiences, state
from approvals.service.controls.freezes import (
    CONCERNED,
    HOLD,
    REFUSE,
    SCOPES,
    STANDS,
    in_force,
    number,
    sentence,
    stopping,
    subject,
)
from approvals.service.identity import credentials
from approvals.service.identity.admins import Admin, require_admin
from approvals.service.requests import freeze_messages
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.channels import CONTROLS_CHANGED
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Statement, changed
from approvals.service.storage.tables import Freeze, FreezeConfirmation, GateSession, Installation, table_of
from approvals.service.storage.tables.handles import freezes, requests

BATCH = 200
"""Approvals that one transaction takes back."""

_confirmations = table_of(FreezeConfirmation)
_sessions = table_of(GateSession)

_ONE = Statement(
    select(freezes).where(STANDS, freezes.c.scope == bindparam("scope"), freezes.c.of == bindparam("of")), Freeze
)
_LIFT = Statement(
    update(freezes)
    .where(freezes.c.id == bindparam("freeze_id"))
    .values(lifted_at=bindparam("at"), lifted_by=bindparam("by"))
)
_EXPLAIN = Statement(update(freezes).where(freezes.c.id == bindparam("freeze_id")).values(reason=bindparam("why")))
_UNCLAIMED = Statement(
    select(requests.c.id)
    .where(requests.c.state == State.APPROVED.value, CONCERNED)
    .order_by(requests.c.id)
    .limit(BATCH)
)
_SESSION = Statement(select(_sessions.c.installation_id).where(_sessions.c.id == bindparam("id")))
_CONFIRM = Statement(
    insert(_confirmations)
    .values({name: bindparam(name) for name in ("freeze_id", "session_id", "confirmed_at")})
    .on_conflict_do_nothing()
)


@dataclass(frozen=True)
class Made:
    """What came of asking for a freeze."""

    freeze: Freeze
    new: bool
    """Else it stood already."""
    revoked: int
    """Approvals taken back so far; `Freezes.sweep` goes on while there are more."""


class Freezes:
    """Makes and lifts freezes."""

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions

    def make(self, tx: Transaction, by: Admin, scope: str, of: str, mode: str, reason: str) -> Made:
        """Stop writes: `all`, those to the `server`, or by the `agent` (its id). From the commit on nothing of them is
        approved, granted or claimed. The same again is no error; another mode takes the place of the one before.
        Raises Invalid, or NotFound for a server or agent that there is not."""
        actor = require_admin(tx, by)
        if scope not in SCOPES or mode not in {REFUSE, HOLD} or len(reason) > MAX_REASON:
            raise Invalid(
                "This freeze cannot be made.", hint=f"Scope: {', '.join(SCOPES)}; mode: refuse or hold; a short reason."
            )
        state.lock_exclusive(tx)
        _check_of(tx, scope, of)
        before = tx.one(_ONE, scope=scope, of=of)
        if before is not None and before.mode == mode:
            if reason and reason != before.reason:
                self._explain(tx, actor, before, reason)
            return Made(changed(before, reason=reason or before.reason), new=False, revoked=self._revoke(tx))
        if before is not None:
            reason = reason or before.reason
            self._end(tx, actor, before)
        made = {"made_at": tx.now, "made_by": actor}
        freeze = tx.insert(Freeze, id=ids.new(tx.now), scope=scope, of=of, mode=mode, reason=reason, **made)
        facts = {"freeze": freeze.id, "mode": mode, "because": reason}
        touched = Touched(Freeze, None, freeze)
        tx.record(Kind.FREEZE_MADE, actor, subject(freeze), touched, **facts)
        freeze_messages.begin(tx, freeze)
        tx.signal(CONTROLS_CHANGED)
        return Made(freeze, new=True, revoked=self._revoke(tx))

    def lift(self, tx: Transaction, by: Admin, scope: str, of: str = "") -> Freeze:
        """Lift one freeze; others stay. Raises NotFound when it does not stand."""
        actor = require_admin(tx, by)
        state.lock_exclusive(tx)
        freeze = tx.one(_ONE, scope=scope, of=of)
        if freeze is None:
            raise NotFound("This is not frozen.", hint="See what is: approvals freeze --list")
        self._end(tx, actor, freeze)
        return freeze

    def lift_all(self, tx: Transaction, by: Admin) -> list[Freeze]:
        """Lift whatever stands."""
        actor = require_admin(tx, by)
        state.lock_exclusive(tx)
        standing = in_force(tx)
        for freeze in standing:
            self._end(tx, actor, freeze)
        return standing

    def sweep(self, tx: Transaction) -> int:
        """Take back approvals that a freeze in force concerns, at most BATCH; how many there were. They could not be
        claimed anyway."""
        state.lock_shared(tx)
        return self._revoke(tx)

    def confirm(self, tx: Transaction, installation: Installation, session_id: str, heard: Iterable[str]) -> None:
        """A gate process has heard of these. Raises NotFound for another's session."""
        session = tx.one(_SESSION, id=session_id)
        if session is None or session.installation_id != installation.id:
            raise NotFound("There is no such gate session.", hint="Register the tools first.")
        standing = {freeze.id for freeze in in_force(tx)}
        for freeze_id in sorted(standing.intersection(heard)):
            tx.execute(_CONFIRM, freeze_id=freeze_id, session_id=session_id, confirmed_at=tx.now)

    def _explain(self, tx: Transaction, actor: str, freeze: Freeze, reason: str) -> None:
        tx.execute(_EXPLAIN, freeze_id=freeze.id, why=reason)
        touched = Touched(Freeze, freeze, changed(freeze, reason=reason))
        facts = {"freeze": freeze.id, "because": reason}
        tx.record(Kind.FREEZE_EXPLAINED, actor, subject(freeze), touched, **facts)
        freeze_messages.begin(tx, freeze)
        tx.signal(CONTROLS_CHANGED)

    def _end(self, tx: Transaction, actor: str, freeze: Freeze) -> None:
        tx.execute(_LIFT, freeze_id=freeze.id, at=tx.now, by=actor)
        touched = Touched(Freeze, freeze, changed(freeze, lifted_at=tx.now, lifted_by=actor))
        tx.record(Kind.FREEZE_LIFTED, actor, subject(freeze), touched, freeze=freeze.id)
        freeze_messages.begin(tx, freeze)
        tx.signal(CONTROLS_CHANGED)

    def _revoke(self, tx: Transaction) -> int:
        unclaimed = [row.id for row in tx.all(_UNCLAIMED)]
        for request_id in unclaimed:
            row = self._transitions.apply_due(tx, self._transitions.lock(tx, request_id))
            freeze = stopping(state.load(tx, row.server).freezes, row.agent_id)
            if row.state == State.APPROVED and freeze is not None:
                self._transitions.move(tx, row, Move.REVOKE, SYSTEM, because=sentence(tx, freeze))
        return len(unclaimed)


def unclaimed(reader: Reader) -> bool:
    """Whether an approval is left that a freeze in force concerns."""
    return bool(number(reader)) and reader.one(_UNCLAIMED) is not None


def _check_of(reader: Reader, scope: str, of: str) -> None:
    if scope == "server":
        audiences.known_server(reader, of)
    elif scope == "agent" and credentials.agent(reader, of) is None:
        raise NotFound("There is no such agent.", hint="List them: approvals agent list")
    elif scope == "all" and of:
        raise Invalid("A freeze of all writes names nobody.")
