"""Standing grants as pages and commands show them."""

from dataclasses import dataclass

from approvals.errors import Invalid
from approvals.instant import SECOND, Instant
from approvals.policy.grant_terms import parse, sentence
from approvals.service import grants
from approvals.service.identity.servers import agents
from approvals.service.storage.database import Reader
from approvals.service.storage.tables import StandingGrant


@dataclass(frozen=True)
class Shown:
    """One grant."""

    id: str
    state: str
    """live, revoked, expired or used up."""
    live: bool
    sentence: str
    left: int
    used: int
    uses: int
    span: float
    """Seconds until it ends."""
    by: str
    rule: str
    request_id: str
    made_at: Instant
    ends_at: Instant
    revoked_by: str | None
    revoked_at: Instant | None


def shown(reader: Reader, rows: list[StandingGrant]) -> list[Shown]:
    """Grants with what pages and commands show of them."""
    names = {row.id: row.name for row in agents(reader)} if rows else {}
    return [_shown(row, names.get(row.agent_id, "an agent"), reader.now) for row in rows]


def _shown(row: StandingGrant, agent: str, now: Instant) -> Shown:
    live = grants.is_live(row, now)
    states = {"revoked": row.revoked_at is not None, "expired": not live, "used up": row.used >= row.max_uses}
    return Shown(
        id=row.id,
        state=next((name for name, true in states.items() if true), "live"),
        live=live,
        sentence=_sentence(row, agent),
        left=row.max_uses - row.used,
        used=row.used,
        uses=row.max_uses,
        span=max(0, row.expires_at - now) / SECOND,
        by=row.granted_by,
        rule=row.rule,
        request_id=row.request_id,
        made_at=row.created_at,
        ends_at=row.expires_at,
        revoked_by=row.revoked_by,
        revoked_at=row.revoked_at,
    )


def _sentence(row: StandingGrant, agent: str) -> str:
    try:
        return sentence(parse(row.terms), agent, row.server, row.tool)
    except Invalid:
        return f"{agent}: {row.server}.{row.tool} (terms erased)"
