"""How far a server's gate has come: its processes, the tools they brought, the calls that came through it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from approvals.instant import SECOND, Instant
from approvals.service.controls.freezes import LIVE_SECONDS
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import GateSession, SessionTool, table_of
from approvals.service.storage.tables.handles import requests

LAST = 5
"""Processes of one installation that are shown."""

_sessions = table_of(GateSession)
_session_tools = table_of(SessionTool)
_LAST = Statement(
    select(_sessions)
    .where(_sessions.c.installation_id == bindparam("of"))
    .order_by(_sessions.c.last_seen_at.desc(), _sessions.c.id)
    .limit(LAST),
    GateSession,
)
_ONLINE = Statement(
    select(_sessions.c.installation_id)
    .where(_sessions.c.closed_at.is_(None), _sessions.c.lost_at.is_(None), _sessions.c.gone_at.is_(None))
    .where(_sessions.c.last_seen_at > bindparam("since"))
    .distinct()
)
_TOOLS = Statement(
    select(func.count().label("n")).select_from(_session_tools).where(_session_tools.c.session_id == bindparam("of"))
)
_FIRST = Statement(
    select(requests.c.id, requests.c.summary, requests.c.agent_id)
    .where(requests.c.installation_id == bindparam("of"))
    .order_by(requests.c.id)
    .limit(1)
)


@dataclass(frozen=True)
class Connection:
    """Of one installation, as of now."""

    sessions: Sequence[GateSession]
    """Its last processes, the one heard last first."""
    tools: int
    """That the one heard last serves; those behind a proxy come with the first call."""
    first: Row | None
    """The first request ever filed through it."""
    now: Instant

    @property
    def online(self) -> int:
        """How many processes are there."""
        return sum(is_online(session, self.now) for session in self.sessions)

    @property
    def last_heard(self) -> Instant | None:
        return self.sessions[0].last_seen_at if self.sessions else None

    @property
    def talked(self) -> bool:
        """Whether a client has said anything through it: asked for its tools, or called one."""
        return self.first is not None or any(session.recorded for session in self.sessions)


def connection(reader: Reader, installation_id: str) -> Connection:
    """Of one installation."""
    sessions = reader.all(_LAST, of=installation_id)
    served = reader.one(_TOOLS, of=sessions[0].id) if sessions else None
    return Connection(sessions, served.n if served else 0, reader.one(_FIRST, of=installation_id), reader.now)


def online(reader: Reader) -> set[str]:
    """The installations that have a process which is there."""
    since = reader.now - round(LIVE_SECONDS * SECOND)
    return {row.installation_id for row in reader.all(_ONLINE, since=since)}


def is_online(session: GateSession, now: Instant) -> bool:
    """Whether a gate process keeps its stream open and was heard lately."""
    heard = session.last_seen_at > now - round(LIVE_SECONDS * SECOND)
    return session.closed_at is None and session.lost_at is None and session.gone_at is None and heard
