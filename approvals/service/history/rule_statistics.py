"""What became of the last requests under a rule, and how long people took."""

from collections import Counter
from dataclasses import dataclass
from statistics import median

from sqlalchemy import bindparam, select

from approvals.instant import SECOND
from approvals.policy.model import Action
from approvals.protocol.states import State
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import DecisionRow, table_of
from approvals.service.storage.tables.handles import requests

LAST = 1000
"""So many requests are looked at, the newest."""
_VOTES = 3 * LAST

_decisions = table_of(DecisionRow)
_NAMES = ("id", "state", "action", "created_at", "decided_at")
_recent = (
    select(*(requests.c[name] for name in _NAMES))
    .where(requests.c.rule == bindparam("rule"))
    .order_by(requests.c.id.desc())
    .limit(LAST)
    .subquery()
)
_RECENT = Statement(select(_recent))
_LOOKED = Statement(
    select(_decisions.c.looked_ms)
    .join_from(_recent, _decisions, _decisions.c.request_id == _recent.c.id)
    .where(_decisions.c.looked_ms.is_not(None))
    .limit(_VOTES)
)

_ENDS = {State.PENDING: "pending", State.DENIED: "denied", State.EXPIRED: "expired", State.WITHDRAWN: "withdrawn"}
"""All others were approved, whatever came of it."""


@dataclass(frozen=True)
class Figures:
    """Of the last LAST requests under a rule of this name, in whichever version of the policy."""

    fired: int
    approved: int
    denied: int
    expired: int
    withdrawn: int
    pending: int
    looked: float | None
    """Seconds that people had the card open before they decided, the median; None without a measurement."""
    decided: float | None
    """Seconds from filing to the decision of those that people decided, the median."""


def figures(reader: Reader, rule: str) -> Figures:
    rows = reader.all(_RECENT, rule=rule)
    ends = Counter(_ENDS.get(State(row.state), "approved") for row in rows)
    by_people = [row for row in rows if row.action == Action.REQUIRE_APPROVAL and row.decided_at is not None]
    looked = [row.looked_ms / 1000 for row in reader.all(_LOOKED, rule=rule)]
    decided = [(row.decided_at - row.created_at) / SECOND for row in by_people]
    return Figures(
        fired=len(rows),
        approved=ends["approved"],
        denied=ends["denied"],
        expired=ends["expired"],
        withdrawn=ends["withdrawn"],
        pending=ends["pending"],
        looked=median(looked) if looked else None,
        decided=median(decided) if decided else None,
    )
