"""After a restore from a back-up: what was open when it was made may have gone on since, and nobody here knows.

An older copy has forgotten executions, so an approval in it may have been used already. Nothing that it holds open may
therefore lead to an execution (P3): each such request ends, or becomes unknown, and is asked anew.
"""

from collections import Counter

from sqlalchemy import bindparam, or_, select, update

from approvals.protocol.states import Move, State
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.identity import credentials, sign_in_links
from approvals.service.identity.admins import Admin, require_admin
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Transaction
from approvals.service.storage.row_changes import Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import (
    Credential,
    SignInLink,
    StandingGrant,
    WebSession,
    table_of,
)
from approvals.service.storage.tables.handles import requests

BATCH = 200
BECAUSE = "the database was restored from a back-up"
MOVES = {State.PENDING: Move.WITHDRAW, State.APPROVED: Move.REVOKE, State.EXECUTING: Move.LOSE}

_sessions = table_of(WebSession)
_links = table_of(SignInLink)
_grants = table_of(StandingGrant)
_credentials = table_of(Credential)

_UNSURE = Statement(
    select(requests.c.id).where(or_(*(requests.c.state == state.value for state in MOVES))).limit(BATCH)
)
_SIGN_OUT = Statement(update(_sessions).where(_sessions.c.revoked_at.is_(None)).values(revoked_at=bindparam("now")))
_OPEN_LINKS = Statement(
    select(_links).where(_links.c.spent_at.is_(None), _links.c.expires_at > bindparam("now")).order_by(_links.c.id),
    SignInLink,
)
_SPEND = Statement(update(_links).where(_links.c.id == bindparam("of")).values(spent_at=bindparam("now")))
_WITH_TOKENS = Statement(
    select(_credentials.c.user_id)
    .distinct()
    .where(_credentials.c.kind == "user", _credentials.c.revoked_at.is_(None))
    .order_by(_credentials.c.user_id)
)
_LIVE_GRANTS = Statement(
    select(_grants.c.id, _grants.c.request_id)
    .where(_grants.c.revoked_at.is_(None), _grants.c.expires_at > bindparam("now"))
    .order_by(_grants.c.id)
)
_REVOKE_GRANT = Statement(
    update(_grants).where(_grants.c.id == bindparam("of")).values(revoked_at=bindparam("now"), revoked_by=BECAUSE)
)


class Restorations:
    """Makes a restored database safe to serve. Nothing may serve it meanwhile."""

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions

    def record(self, tx: Transaction, by: Admin) -> None:
        """Put it on record; sign everybody out, and void the links, grants and people's tokens that may have
        been used or revoked since."""
        actor = require_admin(tx, by)
        tx.execute(_SIGN_OUT, now=tx.now)
        tx.record(Kind.DATABASE_RESTORED, actor, "database")
        for link in tx.all(_OPEN_LINKS, now=tx.now):
            watch = Watch(tx, SignInLink, id=link.id)
            tx.execute(_SPEND, of=link.id, now=tx.now)
            tx.record(Kind.LINK_VOIDED, SYSTEM, sign_in_links.subject(link), watch, because=BECAUSE)
        for row in tx.all(_WITH_TOKENS):
            watch = Watch(tx, Credential, user_id=row.user_id)
            credentials.revoke_all(tx, "user", row.user_id)
            tx.record(Kind.TOKEN_REVOKED, SYSTEM, f"user:{row.user_id}", watch, because=BECAUSE)
        for grant in tx.all(_LIVE_GRANTS, now=tx.now):
            watch = Watch(tx, StandingGrant, id=grant.id)
            tx.execute(_REVOKE_GRANT, of=grant.id, now=tx.now)
            tx.record(Kind.GRANT_REVOKED, SYSTEM, grant.request_id, watch, grant=grant.id, because=BECAUSE)

    def close(self, tx: Transaction) -> Counter[str]:
        """Move up to BATCH requests that could still lead to an execution: how many became what; empty when done."""
        became: Counter[str] = Counter()
        for found in tx.all(_UNSURE):
            row = self._transitions.lock(tx, found.id)
            after = self._transitions.move(tx, row, MOVES[State(row.state)], SYSTEM, because=BECAUSE)
            became[after.state] += 1
        return became
