"""What a gate process serves, taken down part by part; what is odd about one tool costs no other one its place.

Definitions are kept for ever, so an installation brings no more new ones in a minute than one gate may serve. Whoever
registers what is known already, in however many processes, brings none.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select, update

from approvals.errors import Conflict, Invalid, TooMany
from approvals.instant import SECOND, Instant
from approvals.protocol.definitions import Checked, checked
from approvals.protocol.limits import MAX_SERVED, MAX_TOOLS
from approvals.protocol.registration import Pins, Registration
from approvals.service.audit.kinds import Kind
from approvals.service.storage.database import Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import GateSession, Installation, SessionTool, ToolDefinitionRow, table_of
from approvals.service.storage.tables.handles import LOCK_SERVER, SESSION
from approvals.service.tools.offers import Offers
from approvals.service.tools.registry import DEFINITION

logger = logging.getLogger("approvals")

MINUTE = 60 * SECOND
AT_ONCE = 50
"""Tools that are taken down in one transaction: whoever else writes waits for no more."""

_sessions = table_of(GateSession)
_served = table_of(SessionTool)
_definitions = table_of(ToolDefinitionRow)

_SEEN = Statement(
    update(_sessions)
    .where(_sessions.c.id == bindparam("of"))
    .values(last_seen_at=bindparam("last_seen_at"), code_version=bindparam("code_version"))
)
_ONE = Statement(
    select(_served).where(_served.c.session_id == bindparam("of"), _served.c.name == bindparam("name")), SessionTool
)
_FORGET = Statement(delete(_served).where(_served.c.session_id == bindparam("of"), _served.c.name == bindparam("name")))
_FORGET_OTHERS = Statement(
    delete(_served).where(_served.c.session_id == bindparam("of"), _served.c.part_of != bindparam("part_of"))
)
_TOTAL = Statement(
    select(func.count().label("tools"), func.coalesce(func.sum(_served.c.size), 0).label("size")).where(
        _served.c.session_id == bindparam("of"), _served.c.part_of == bindparam("part_of")
    )
)
_LATELY = Statement(
    select(
        func.count().label("tools"),
        func.sum(_definitions.c.size).label("size"),
        func.min(_definitions.c.first_seen_at).label("oldest"),
    ).where(_definitions.c.registered_by == bindparam("of"), _definitions.c.first_seen_at > bindparam("since"))
)


@dataclass(frozen=True)
class Examined:
    """One part of a registration, its tools checked."""

    registration: Registration
    tools: tuple[Checked, ...]
    refused: Mapping[str, str]
    """Those that cannot be gated, by name, with why."""

    def pieces(self) -> Iterator["Examined"]:
        """What is taken down in one transaction each, so that others write in between: parts of the same part."""
        for start in range(0, max(1, len(self.tools)), AT_ONCE):
            last = start + AT_ONCE >= len(self.tools)
            told = self.registration
            if not last:
                told = told.model_copy(update={"complete": False})
            yield Examined(told, self.tools[start : start + AT_ONCE], self.refused)


def examine(registration: Registration) -> Examined:
    """Costs as much as the part is long, and needs no database: it is done outside the writer and the event loop."""
    tools: list[Checked] = []
    refused: dict[str, str] = {}
    for definition in registration.tools:
        try:
            tools.append(checked(definition))
        except Invalid as error:
            refused[definition.name] = error.detail
    return Examined(registration, tuple(tools), refused)


class Registrations:
    """Takes registrations down."""

    def __init__(self, offers: Offers) -> None:
        self._offers = offers

    def take(self, tx: Transaction, installation: Installation, part: Examined) -> None:
        """Raises Invalid for a name given twice, and for more than one process may serve; TooMany for more that is new
        than an installation may bring in a minute; Conflict when the session is another's or has ended."""
        told = part.registration
        tx.lock(LOCK_SERVER, name=installation.server)
        pinned = self._pins(tx, installation, told, self._open_session(tx, installation, told))
        new = [self._take(tx, installation, told, tool, pinned) for tool in part.tools]
        if any(new):
            _check_new(tx, installation)
        total = tx.one(_TOTAL, of=told.session, part_of=told.part_of)
        if total is not None and (total.tools > MAX_TOOLS or total.size > MAX_SERVED):
            raise Invalid(
                f"A gate serves at most {MAX_TOOLS:,} tools, with {MAX_SERVED:,} bytes of definitions.",
                hint="Divide the server.",
            )
        if told.complete:
            tx.execute(_FORGET_OTHERS, of=told.session, part_of=told.part_of)

    def _take(
        self, tx: Transaction, installation: Installation, told: Registration, tool: Checked, pinned: bool
    ) -> bool:
        """Whether its definition is a new one."""
        before = tx.one(_ONE, of=told.session, name=tool.definition.name)
        if before is not None and before.part_of == told.part_of:
            raise _twice(tool.definition.name)
        new = self._keep(tx, installation, tool)
        tx.execute(_FORGET, of=told.session, name=tool.definition.name)
        tx.insert(
            SessionTool,
            session_id=told.session,
            name=tool.definition.name,
            tool_hash=tool.tool_hash,
            code_version=told.code_versions.get(tool.definition.name, ""),
            size=tool.size,
            part_of=told.part_of,
        )
        self._offers.offer(tx, installation, tool.definition, tool.tool_hash, pinned=pinned)
        return new

    def _keep(self, tx: Transaction, installation: Installation, tool: Checked) -> bool:
        of = {"server": installation.server, "tool_hash": tool.tool_hash}
        if tx.one(DEFINITION, **of) is not None:
            return False
        brought = {"registered_by": installation.id, "first_seen_at": tx.now}
        tx.insert(ToolDefinitionRow, **of, **brought, name=tool.definition.name, body=tool.body, size=tool.size)
        return True

    def _pins(self, tx: Transaction, installation: Installation, told: Registration, started: Instant) -> bool:
        """Whether what departs from what stands, or is new, waits for a person."""
        if told.pins is Pins.FIRST:
            return self._offers.has_stood(tx, installation, started)
        return told.pins is Pins.AGAIN

    def _open_session(self, tx: Transaction, installation: Installation, told: Registration) -> Instant:
        """When it started."""
        session = tx.one(SESSION, id=told.session)
        if session is None:
            facts = {"code_version": told.code_version}
            times = {"started_at": tx.now, "last_seen_at": tx.now}
            tx.insert(GateSession, id=told.session, installation_id=installation.id, **facts, **times)
            actor = f"installation:{installation.id}"
            tx.record(Kind.SESSION_STARTED, actor, installation.server, session=told.session, **facts)
        elif session.installation_id != installation.id or session.closed_at is not None:
            raise Conflict("This session is another's, or has ended.", hint="Start with a new session id.")
        else:
            tx.execute(_SEEN, of=session.id, last_seen_at=tx.now, code_version=told.code_version)
        return tx.now if session is None else session.started_at


def _check_new(tx: Transaction, installation: Installation) -> None:
    """Raises TooMany. Registrations of one server follow one another, so the count is exact."""
    lately = tx.one(_LATELY, of=installation.id, since=tx.now - MINUTE)
    if lately is None or (lately.tools <= MAX_TOOLS and lately.size <= MAX_SERVED):
        return
    words = f"{MAX_TOOLS:,} new tool definitions a minute, of {MAX_SERVED:,} bytes, are the most"
    logger.warning("the installation %s of %s is slowed down: %s", installation.label, installation.server, words)
    raise TooMany(
        f"This gate's installation defines too many tools anew: {words}.",
        hint="What is registered already costs nothing: keep definitions the same from start to start.",
        retry_after_seconds=max(1, (lately.oldest + MINUTE - tx.now) // SECOND + 1),
    )


def _twice(name: str) -> Invalid:
    return Invalid(f"The tool {name[:200]!r} is registered twice.")
