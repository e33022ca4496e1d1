"""Taking a standing grant back, and with it what it approved and nobody has claimed yet."""

from sqlalchemy import bindparam, select, update

from approvals.errors import NotPossible
from approvals.policy.eligibility import Act
from approvals.protocol.states import Move, State
from approvals.service import grants
from approvals.service.audit.kinds import Kind
from approvals.service.authority import Authority
from approvals.service.identity import users
from approvals.service.identity.admins import Admin, is_admin
from approvals.service.identity.users import Person
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Transaction
from approvals.service.storage.row_changes import Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Permission, StandingGrant, table_of
from approvals.service.storage.tables.handles import requests

_grants = table_of(StandingGrant)
_permissions = table_of(Permission)

_REVOKE = Statement(
    update(_grants)
    .where(_grants.c.id == bindparam("of"), _grants.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"), revoked_by=bindparam("by"))
)
_UNCLAIMED = Statement(
    select(requests.c.id)
    .join_from(_permissions, requests, _permissions.c.request_id == requests.c.id)
    .where(_permissions.c.grant_id == bindparam("grant_id"), requests.c.state == State.APPROVED.value)
    .order_by(requests.c.id)
)


class GrantRevocations:
    """Revokes grants."""

    def __init__(self, transitions: Transitions, authority: Authority) -> None:
        self._transitions = transitions
        self._authority = authority

    def revoke(self, tx: Transaction, grant_id: str, by: Admin) -> None:
        """Raises NotFound, NotPossible (revoked before), or Forbidden for whoever is no admin and could not decide the
        request that it was made with."""
        grant = grants.find(tx, grant_id)
        if isinstance(by, Person) and not is_admin(users.find(tx, by.id)):
            self._authority.check_may_decide(tx, self._transitions.get(tx, grant.request_id), by, Act.TEND)
        self._revoke(tx, grant, by.actor, by.name)

    def _revoke(self, tx: Transaction, grant: StandingGrant, actor: str, name: str) -> None:
        watch = Watch(tx, StandingGrant, id=grant.id)
        if tx.update(_REVOKE, of=grant.id, at=tx.now, by=name) != 1:
            raise NotPossible("This grant was revoked before.", hint="There is nothing left to do.")
        # Its row is held by now: whoever files by it at this moment has either done so, and is found, or finds it gone.
        tx.record(Kind.GRANT_REVOKED, actor, grant.request_id, watch, grant=grant.id)
        tx.wake(grant.request_id)
        for found in tx.all(_UNCLAIMED, grant_id=grant.id):
            row = self._transitions.apply_due(tx, self._transitions.lock(tx, found.id))
            if row.state == State.APPROVED:
                because = f"{name} revoked the grant that approved it"
                self._transitions.move(tx, row, Move.REVOKE, actor, because=because)
