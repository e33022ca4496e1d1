"""Writes stopped at once: all, one server's, one agent's. New ones are refused, or held until the freeze is lifted.

Nothing that a freeze concerns is approved or claimed while it stands. What runs already goes on. `requests.freezing`
makes and lifts freezes.
"""

from collections.abc import Iterable

from sqlalchemy import and_, bindparam, exists, func, or_, select

from approvals.errors import Frozen
from approvals.instant import SECOND
from approvals.protocol.registration import StandingFreeze
from approvals.protocol.states import State
from approvals.service.controls.state import Controls, FreezeInForce
from approvals.service.identity import credentials, users
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement, columns
from approvals.service.storage.tables import (
    Freeze,
    FreezeConfirmation,
    GateSession,
    Installation,
    Request,
    table_of,
)
from approvals.service.storage.tables.handles import executions, freezes, requests

LISTED = 200
REFUSE, HOLD = "refuse", "hold"
SCOPES = ("all", "server", "agent")
LIVE_SECONDS = 45.0
"""A gate process that was not heard of for longer is not expected to confirm."""

_confirmations = table_of(FreezeConfirmation)
_sessions = table_of(GateSession)
_installations = table_of(Installation)

STANDS = freezes.c.lifted_at.is_(None)
CONCERNED = exists(
    select(freezes.c.id).where(
        STANDS,
        or_(
            freezes.c.scope == "all",
            and_(freezes.c.scope == "server", freezes.c.of == requests.c.server),
            and_(freezes.c.scope == "agent", freezes.c.of == requests.c.agent_id),
        ),
    )
)
"""Of a request: whether any freeze in force stops it."""
_IN_FORCE = Statement(select(freezes).where(STANDS).order_by(freezes.c.made_at, freezes.c.id), Freeze)
_COUNT = Statement(select(func.count().label("n")).select_from(freezes).where(STANDS))
_LIFTED = Statement(
    select(freezes).where(freezes.c.lifted_at.is_not(None)).order_by(freezes.c.id.desc()).limit(20), Freeze
)
_RUNNING = Statement(
    select(requests, executions.c.claimed_at, executions.c.lease_until)
    .join_from(requests, executions, executions.c.request_id == requests.c.id)
    .where(requests.c.state == State.EXECUTING.value, CONCERNED)
    .order_by(requests.c.id)
    .limit(LISTED)
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


def stopping(freezes: Iterable[FreezeInForce], agent_id: str | None) -> FreezeInForce | None:
    """Of the freezes over a server, the one that stops this agent's writes: one that refuses before one that holds."""
    meant = [freeze for freeze in freezes if freeze.scope != "agent" or freeze.of == agent_id]
    return min(meant, key=lambda freeze: (freeze.mode != REFUSE, freeze.made_at, freeze.id), default=None)


def concerning(freezes: Iterable[FreezeInForce], request: Request) -> FreezeInForce | None:
    """Of all freezes in force, the one that stops a request."""
    of_server = [freeze for freeze in freezes if freeze.scope != "server" or freeze.of == request.server]
    return stopping(of_server, request.agent_id)


def check(reader: Reader, standing: Controls, agent_id: str | None, *, filing: bool = False) -> FreezeInForce | None:
    """The freeze that holds a call which is filed. Raises Frozen for what is not to be filed, approved or claimed."""
    freeze = stopping(standing.freezes, agent_id)
    if freeze is not None and not (filing and freeze.mode == HOLD):
        raise Frozen(
            sentence(reader, freeze),
            hint="Nothing is approved or started until the freeze is lifted.",
            freeze=freeze.id,
        )
    return freeze


def in_force(reader: Reader) -> list[Freeze]:
    """The freezes that stand, oldest first."""
    return reader.all(_IN_FORCE)


def shown(reader: Reader) -> list[Row]:
    """As `in_force`, each with its sentence in `words`."""
    return [Row(columns(freeze) | {"words": sentence(reader, freeze)}) for freeze in in_force(reader)]


def number(reader: Reader) -> int:
    """How many stand."""
    row = reader.one(_COUNT)
    return row.n if row is not None else 0


def lifted(reader: Reader) -> list[Freeze]:
    """The last twenty that were lifted."""
    return reader.all(_LIFTED)


def running(reader: Reader) -> list[Row]:
    """What runs although it is frozen by now: it had begun before."""
    return reader.all(_RUNNING)


def gates(reader: Reader, freeze: FreezeInForce) -> list[Row]:
    """The live gate processes that a freeze concerns, with when each confirmed it; None for not yet."""
    since = reader.now - round(LIVE_SECONDS * SECOND)
    return reader.all(_GATES, freeze_id=freeze.id, since=since, server=freeze.of if freeze.scope == "server" else "")


def told(reader: Reader, freezes: Iterable[FreezeInForce]) -> tuple[StandingFreeze, ...]:
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


def sentence(reader: Reader, freeze: FreezeInForce) -> str:
    """What is frozen, since when, by whom, and why."""
    minutes = max(0, reader.now - freeze.made_at) // (60 * SECOND)
    since = f"for {minutes} minutes" if minutes > 1 else "since just now"
    why = f": {freeze.reason}" if freeze.reason else ""
    return f"{what(reader, freeze)} frozen {since}, by {by(reader, freeze.made_by)}{why}"


def what(reader: Reader, freeze: FreezeInForce) -> str:
    """The sentence's subject, and its verb."""
    if freeze.scope == "agent":
        agent = credentials.agent(reader, freeze.of)
        return f"Writes by the agent {agent.name if agent is not None else freeze.of} are"
    return f"Writes to the server {freeze.of} are" if freeze.scope == "server" else "All writes are"


def by(reader: Reader, actor: str | None) -> str:
    """A person's name; an operator's as the machine has it; nothing for nobody."""
    kind, _, name = (actor or "").partition(":")
    user = users.find(reader, name) if kind == "user" else None
    return str(user.name) if user is not None else f"the operator {name}" if kind == "cli" else actor or ""


def subject(freeze: Freeze) -> str:
    """What the audit event is about."""
    return f"freeze:{freeze.scope}" + (f":{freeze.of}" if freeze.of else "")
