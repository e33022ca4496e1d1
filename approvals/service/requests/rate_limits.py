"""How much one agent may ask of people: so many requests that wait, so many filings a minute.

Counted where it is filed, from indexed rows, only for calls that would be a request of their own. One agent's filings
follow one another meanwhile, so the limits are exact; agents do not wait for each other. Callers that nobody
identified share what their installation has.
"""

import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, literal_column, or_, select, update

from approvals import ids
from approvals.errors import TooMany
from approvals.instant import SECOND
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.requests.callers import Caller
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import Agent, AgentOwner, Installation, table_of
from approvals.service.storage.tables.handles import requests

logger = logging.getLogger("approvals")

MINUTE = 60 * SECOND
TELL_AGAIN = 3600 * SECOND
"""How long the owners are told nothing more of a flood."""

_agents = table_of(Agent)
_owners = table_of(AgentOwner)

_LOCK = Statement(select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("key"), 1))))
_OF = {
    "agent": requests.c.agent_id == bindparam("id"),
    "installation": requests.c.agent_id.is_(None) & (requests.c.installation_id == bindparam("id")),
}


def _counted(some: Any) -> Statement[Row]:
    return Statement(select(func.count().label("n"), func.min(some.c.id).label("oldest")).select_from(some))


_PENDING = {
    kind: _counted(
        select(requests.c.id)
        .where(of, requests.c.state == literal_column("'pending'"), requests.c.expires_at > bindparam("now"))
        .limit(bindparam("cap"))
        .subquery()
    )
    for kind, of in _OF.items()
}
_LATELY = {
    kind: _counted(
        select(requests.c.id)
        .where(of, requests.c.id >= bindparam("since"))
        .order_by(requests.c.id.desc())
        .limit(bindparam("cap"))
        .subquery()
    )
    for kind, of in _OF.items()
}
_TELL = Statement(
    update(_agents)
    .where(
        _agents.c.id == bindparam("of"),
        or_(_agents.c.flooded_at.is_(None), _agents.c.flooded_at <= bindparam("before")),
    )
    .values(flooded_at=bindparam("now"))
)
_FLOODING = Statement(
    select(_agents.c.id, _agents.c.name, _agents.c.flooded_at, _owners.c.user_id)
    .join_from(_agents, _owners, _owners.c.agent_id == _agents.c.id, isouter=True)
    .where(_agents.c.flooded_at > bindparam("since"), _agents.c.disabled_at.is_(None))
    .order_by(_agents.c.name)
    .limit(200)
)


@dataclass(frozen=True)
class Allowance:
    """The service's own limits, for every agent without limits of its own; None for no limit."""

    pending: int | None = 20
    minute: int | None = 60


class Allowances:
    """Counts before a request is made."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance

    def check(self, tx: Transaction, caller: Caller, installation: Installation, *, waits: bool) -> None:
        """Raises TooMany when this caller has asked enough; `waits` says whether a person would have to look at it."""
        pending, minute = self.limits(caller.agent)
        kind, of = ("agent", caller.agent.id) if caller.agent is not None else ("installation", installation.id)
        if pending is None and minute is None:
            return
        tx.lock(_LOCK, key=f"{kind} {of}")
        if minute is not None:
            self._check_minute(tx, caller, kind, of, minute)
        if pending is not None and waits and _number(tx.one(_PENDING[kind], id=of, now=tx.now, cap=pending)) >= pending:
            words = f"{pending} of its requests wait for people already, which is the most"
            raise self._refusal(tx, caller, kind, of, words, "Wait until some are decided.", 60)

    def limits(self, agent: Agent | None) -> tuple[int | None, int | None]:
        """The pending and the minute limit that count for this agent; None for unidentified callers."""
        own = (None, None) if agent is None else (agent.pending_limit, agent.minute_limit)
        service = (self._allowance.pending, self._allowance.minute)
        pending, minute = (theirs if mine is None else mine for mine, theirs in zip(own, service, strict=True))
        return pending, minute

    def tell(self, tx: Transaction, agent_id: str) -> None:
        """Tell the agent's owners that it floods people: once an hour."""
        if tx.update(_TELL, of=agent_id, now=tx.now, before=tx.now - TELL_AGAIN) == 1:
            tx.record(Kind.AGENT_FLOODING, SYSTEM, f"agent:{agent_id}")

    def _check_minute(self, tx: Transaction, caller: Caller, kind: str, of: str, minute: int) -> None:
        lately = tx.one(_LATELY[kind], id=of, since=ids.first(tx.now - MINUTE), cap=minute)
        if _number(lately) < minute:
            return
        oldest = lately.oldest if lately is not None else None
        again = (ids.instant(oldest) + MINUTE - tx.now) / SECOND if oldest else 60
        words = f"{minute} requests a minute are the most"
        raise self._refusal(tx, caller, kind, of, words, "Slow down.", max(1, int(again) + 1))

    def _refusal(
        self, tx: Transaction, caller: Caller, kind: str, of: str, words: str, hint: str, again: int
    ) -> TooMany:
        agent = caller.agent
        if agent is None:
            logger.warning("an unidentified caller of %s %s is slowed down: %s", kind, of, words)
        told = agent is not None and agent.flooded_at is not None and tx.now < agent.flooded_at + TELL_AGAIN
        whose = {"agent": of} if agent is not None and not told else {}
        who = f"The agent {agent.name}" if agent is not None else "This server, for callers that nobody identified,"
        return TooMany(f"{who} asks too much: {words}.", hint=hint, retry_after_seconds=again, **whose)


def flooding(reader: Reader, user_id: str, *, everybody: bool) -> list[str]:
    """The names of the agents that ran into a limit within the last hour: the person's own, or everybody's."""
    rows = reader.all(_FLOODING, since=reader.now - TELL_AGAIN)
    return sorted({row.name for row in rows if everybody or row.user_id == user_id})


def _number(row: Row | None) -> int:
    return int(row.n) if row is not None else 0
