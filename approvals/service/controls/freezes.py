"""Writes stopped at once: all, one server's, one agent's. New ones are refused, or held until the freeze is lifted.

Nothing that a freeze concerns is approved or claimed while it stands. What runs already goes on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert  # its ON CONFLICT is SQLite's, too

from approvals import ids as identifier
from approvals.errors import Frozen, Invalid, NotFound
from approvals.instant import SECOND
from approvals.protocol.messages import MAX_REASON, StandingFreeze, State
from approvals.protocol.states import Move
from approvals.service.audit.log import SYSTEM
from approvals.service.controls import audiences as audience
from approvals.service.controls import state as levers
from approvals.service.controls.state import Levers
from approvals.service.identity import credentials
from approvals.service.identity import users as people
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import (
    Reader,
    Row,
    Statement,
    Transaction,
)
from approvals.service.storage.tables import (
    Freeze,
    FreezeConfirmation,
    GateSession,
    Installation,
)
from approvals.service.storage.tables.handles import executions, freezes, requests

BATCH = 200
"""Approvals that one transaction takes back."""
LISTED = 200
REFUSE, HOLD = "refuse", "hold"
SCOPES = ("all", "server", "agent")
LIVE_SECONDS = 45.0
"""A gate process that was not heard of for longer is not expected to confirm."""


_confirmations = FreezeConfirmation.__table__  # type: ignore[attr-defined]
_sessions = GateSession.__table__  # type: ignore[attr-defined]
_installations = Installation.__table__  # type: ignore[attr-defined]

_in_force = freezes.c.lifted_at.is_(None)
CONCERNED = exists(
    select(freezes.c.id).where(
        _in_force,
        or_(
            freezes.c.scope == "all",
            and_(freezes.c.scope == "server", freezes.c.of == requests.c.server),
            and_(freezes.c.scope == "agent", freezes.c.of == requests.c.agent_id),
        ),
    )
)
"""Of a request: whether any freeze in force stops it."""
_SESSION = Statement(select(_sessions.c.installation_id).where(_sessions.c.id == bindparam("id")))
_IN_FORCE = Statement(select(freezes).where(_in_force).order_by(freezes.c.made_at, freezes.c.id))
_COUNT = Statement(select(func.count().label("n")).select_from(freezes).where(_in_force))
_ONE = Statement(
    select(freezes).where(_in_force, freezes.c.scope == bindparam("scope"), freezes.c.of == bindparam("of"))
)
_LIFTED = Statement(select(freezes).where(freezes.c.lifted_at.is_not(None)).order_by(freezes.c.id.desc()).limit(20))
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
_RUNNING = Statement(
    select(requests, executions.c.claimed_at, executions.c.lease_until)
    .join_from(requests, executions, executions.c.request_id == requests.c.id)
    .where(requests.c.state == State.EXECUTING.value, CONCERNED)
    .order_by(requests.c.id)
    .limit(LISTED)
)
_CONFIRM = Statement(
    insert(_confirmations)
    .values({name: bindparam(name) for name in ("freeze_id", "session_id", "confirmed_at")})
    .on_conflict_do_nothing()
)
_GATES = Statement(
    select(_sessions.c.id, _installations.c.server, _installations.c.label, _confirmations.c.confirmed_at)
    .select_from(_sessions)
    .join(_installations, _installations.c.id == _sessions.c.installation_id)
    .join(
        _confirmations,
        and_(_confirmations.c.session_id == _sessions.c.id, _confirmations.c.freeze_id == bindparam("freeze_id")),
        isouter=True,
    )
    .where(
        _sessions.c.closed_at.is_(None),
        _sessions.c.gone_at.is_(None),
        _sessions.c.last_seen_at > bindparam("since"),
        or_(bindparam("server") == "", _installations.c.server == bindparam("server")),
    )
    .order_by(_installations.c.server, _installations.c.label, _sessions.c.id)
    .limit(LISTED)
)


@dataclass(frozen=True)
class Made:
    """What came of asking for a freeze."""

    freeze: Row
    new: bool
    """Else it stood already."""
    revoked: int
    """Approvals taken back so far; `Freezes.sweep` goes on while there are more."""


class Freezes:
    """Makes and lifts freezes."""

    def __init__(self, transitions: Transitions, tell: Callable[[], None]) -> None:
        self._transitions = transitions
        self._tell = tell

    def make(self, tx: Transaction, actor: str, scope: str, of: str, mode: str, reason: str) -> Made:
        """Stop writes: `all`, those to the `server`, or by the `agent` (its id). From the commit on nothing of them is
        approved, granted or claimed. The same again is no error; another mode takes the place of the one before.
        Raises Invalid, or NotFound for a server or agent that there is not."""
        if scope not in SCOPES or mode not in {REFUSE, HOLD} or len(reason) > MAX_REASON:
            raise Invalid(
                "This freeze cannot be made.", hint=f"Scope: {', '.join(SCOPES)}; mode: refuse or hold; a short reason."
            )
        levers.take(tx)
        _check_of(tx, scope, of)
        before = tx.one(_ONE, scope=scope, of=of)
        if before is not None and before.mode == mode:
            if reason and reason != before.reason:
                self._explain(tx, actor, before, reason)
            return Made(Row(before | {"reason": reason or before.reason}), new=False, revoked=self._revoke(tx))
        if before is not None:
            reason = reason or before.reason
            self._end(tx, actor, before)
        freeze = Row(id=identifier.new(tx.now), scope=scope, of=of, mode=mode, reason=reason)
        freeze |= {"made_at": tx.now, "made_by": actor}
        tx.insert(Freeze, **freeze)
        self._transitions.log.append(
            tx, "freeze.made", actor, subject(freeze), freeze=freeze.id, mode=mode, because=reason
        )
        levers.moved(tx, self._tell)
        return Made(freeze, new=True, revoked=self._revoke(tx))

    def lift(self, tx: Transaction, actor: str, scope: str, of: str = "") -> Row:
        """Lift one freeze; others stay. Raises NotFound when it does not stand."""
        levers.take(tx)
        freeze = tx.one(_ONE, scope=scope, of=of)
        if freeze is None:
            raise NotFound("This is not frozen.", hint="See what is: approvals freeze --list")
        self._end(tx, actor, freeze)
        return freeze

    def lift_all(self, tx: Transaction, actor: str) -> list[Row]:
        """Lift whatever stands."""
        levers.take(tx)
        standing = in_force(tx)
        for freeze in standing:
            self._end(tx, actor, freeze)
        return standing

    def sweep(self, tx: Transaction) -> int:
        """Take back approvals that a freeze in force concerns, at most BATCH; how many there were. They could not be
        claimed anyway."""
        levers.keep(tx)
        return self._revoke(tx)

    def confirm(self, tx: Transaction, installation: Row, session_id: str, heard: Iterable[str]) -> None:
        """A gate process has heard of these. Raises NotFound for another's session."""
        session = tx.one(_SESSION, id=session_id)
        if session is None or session.installation_id != installation.id:
            raise NotFound("There is no such gate session.", hint="Register the tools first.")
        standing = {freeze.id for freeze in in_force(tx)}
        for freeze_id in sorted(standing.intersection(heard)):
            tx.change(_CONFIRM, freeze_id=freeze_id, session_id=session_id, confirmed_at=tx.now)

    def _explain(self, tx: Transaction, actor: str, freeze: Row, reason: str) -> None:
        tx.change(_EXPLAIN, freeze_id=freeze.id, why=reason)
        self._transitions.log.append(tx, "freeze.explained", actor, subject(freeze), freeze=freeze.id, because=reason)
        levers.moved(tx, self._tell)

    def _end(self, tx: Transaction, actor: str, freeze: Row) -> None:
        tx.change(_LIFT, freeze_id=freeze.id, at=tx.now, by=actor)
        self._transitions.log.append(tx, "freeze.lifted", actor, subject(freeze), freeze=freeze.id)
        levers.moved(tx, self._tell)

    def _revoke(self, tx: Transaction) -> int:
        ids = [row.id for row in tx.all(_UNCLAIMED)]
        for request_id in ids:
            row = self._transitions.as_of_now(tx, self._transitions.take(tx, request_id))
            freeze = stopping(levers.standing(tx, row.server).freezes, row.agent_id)
            if row.state == State.APPROVED and freeze is not None:
                self._transitions.move(tx, row, Move.REVOKE, SYSTEM, because=sentence(tx, freeze))
        return len(ids)


def _check_of(reader: Reader, scope: str, of: str) -> None:
    if scope == "server":
        audience.known_server(reader, of)
    elif scope == "agent" and credentials.principal(reader, "agent", of) is None:
        raise NotFound("There is no such agent.", hint="List them: approvals agent list")
    elif scope == "all" and of:
        raise Invalid("A freeze of all writes names nobody.")


def stopping(freezes: Iterable[Row], agent_id: str | None) -> Row | None:
    """Of the freezes over a server, the one that stops this agent's writes: one that refuses before one that holds."""
    meant = [freeze for freeze in freezes if freeze.scope != "agent" or freeze.of == agent_id]
    return min(meant, key=lambda freeze: (freeze.mode != REFUSE, freeze.made_at, freeze.id), default=None)


def concerning(freezes: Iterable[Row], request: Row) -> Row | None:
    """Of all freezes in force, the one that stops a request."""
    of_server = [freeze for freeze in freezes if freeze.scope != "server" or freeze.of == request.server]
    return stopping(of_server, request.agent_id)


def check(reader: Reader, standing: Levers, agent_id: str | None, *, filing: bool = False) -> Row | None:
    """The freeze that holds a call which is filed. Raises Frozen for what is not to be filed, approved or claimed."""
    freeze = stopping(standing.freezes, agent_id)
    if freeze is not None and not (filing and freeze.mode == HOLD):
        raise Frozen(
            sentence(reader, freeze),
            hint="Nothing is approved or started until the freeze is lifted.",
            freeze=freeze.id,
        )
    return freeze


def in_force(reader: Reader) -> list[Row]:
    """The freezes that stand, oldest first."""
    return reader.all(_IN_FORCE)


def shown(reader: Reader) -> list[Row]:
    """As `in_force`, each with its sentence in `words`."""
    return [Row(row | {"words": sentence(reader, row)}) for row in in_force(reader)]


def number(reader: Reader) -> int:
    """How many stand."""
    row = reader.one(_COUNT)
    return row.n if row is not None else 0


def lifted(reader: Reader) -> list[Row]:
    """The last twenty that were lifted."""
    return reader.all(_LIFTED)


def unclaimed(reader: Reader) -> bool:
    """Whether an approval is left that a freeze in force concerns."""
    return bool(number(reader)) and reader.one(_UNCLAIMED) is not None


def running(reader: Reader) -> list[Row]:
    """What runs although it is frozen by now: it had begun before."""
    return reader.all(_RUNNING)


def gates(reader: Reader, freeze: Row) -> list[Row]:
    """The live gate processes that a freeze concerns, with when each confirmed it; None for not yet."""
    since = reader.now - round(LIVE_SECONDS * SECOND)
    return reader.all(_GATES, freeze_id=freeze.id, since=since, server=freeze.of if freeze.scope == "server" else "")


def told(reader: Reader, freezes: Iterable[Row]) -> tuple[StandingFreeze, ...]:
    """As gates hear of them."""
    return tuple(
        StandingFreeze(
            id=freeze.id,
            agent_id=freeze.of if freeze.scope == "agent" else "",
            mode=freeze.mode,
            words=sentence(reader, freeze),
        )
        for freeze in freezes
    )


def sentence(reader: Reader, freeze: Row) -> str:
    """What is frozen, since when, by whom, and why."""
    minutes = max(0, reader.now - freeze.made_at) // (60 * SECOND)
    since = f"for {minutes} minutes" if minutes > 1 else "since just now"
    why = f": {freeze.reason}" if freeze.reason else ""
    return f"{what(reader, freeze)} frozen {since}, by {by(reader, freeze.made_by)}{why}"


def what(reader: Reader, freeze: Row) -> str:
    """The sentence's subject, and its verb."""
    if freeze.scope == "agent":
        agent = credentials.principal(reader, "agent", freeze.of)
        return f"Writes by the agent {agent.name if agent is not None else freeze.of} are"
    return f"Writes to the server {freeze.of} are" if freeze.scope == "server" else "All writes are"


def by(reader: Reader, actor: str) -> str:
    """A person's name; an operator's as the machine has it."""
    kind, _, name = actor.partition(":")
    user = people.find(reader, name) if kind == "user" else None
    return str(user.name) if user is not None else f"the operator {name}" if kind == "cli" else actor


def subject(freeze: Row) -> str:
    """What the audit event is about."""
    return f"freeze:{freeze.scope}" + (f":{freeze.of}" if freeze.of else "")
