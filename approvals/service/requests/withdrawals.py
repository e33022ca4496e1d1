"""Taking a request back: by its agent, by an admin, or an approval by a reviewer. Never because a client hung up."""

from approvals.errors import Invalid, NotFound
from approvals.policy.eligibility import Act
from approvals.protocol.limits import MAX_REASON
from approvals.protocol.states import Move
from approvals.service.authority import Authority
from approvals.service.identity.admins import Admin, require_admin
from approvals.service.identity.users import Person
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables import Agent
from approvals.service.storage.tables.rows import RequestRow


class Withdrawals:
    """Withdraws pending requests, and approved ones that nobody has claimed."""

    def __init__(self, transitions: Transitions, authority: Authority) -> None:
        self._transitions = transitions
        self._authority = authority

    def by_agent(self, tx: Transaction, request_id: str, agent: Agent, comment: str) -> RequestRow:
        """Raises NotFound for another's request, NotPossible once it was claimed or ended."""
        row = self._transitions.lock(tx, request_id)
        if row.agent_id != agent.id:
            raise NotFound("There is no such request.", hint="Check the id.")
        return self._withdraw(tx, row, f"agent:{agent.id}", comment or "the agent took it back")

    def by_admin(self, tx: Transaction, request_id: str, by: Admin, comment: str) -> RequestRow:
        """Raises NotFound, Forbidden (no admin), Invalid, or NotPossible once it was claimed or ended."""
        actor, because = require_admin(tx, by), _because(f"{by.name} took it back", comment)
        return self._withdraw(tx, self._transitions.lock(tx, request_id), actor, because)

    def revoke(self, tx: Transaction, request_id: str, person: Person, comment: str) -> RequestRow:
        """Take an approval back that nobody has claimed yet. Raises NotFound, Forbidden (may not decide it), Invalid,
        NotPossible (not approved, or claimed)."""
        row = self._transitions.lock(tx, request_id)
        self._authority.check_may_decide(tx, row, person, Act.TEND)
        because = _because(f"{person.name} took the approval back", comment)
        return self._transitions.move(
            tx, self._transitions.apply_due(tx, row), Move.REVOKE, person.actor, because=because
        )

    def _withdraw(self, tx: Transaction, row: RequestRow, actor: str, because: str) -> RequestRow:
        row = self._transitions.apply_due(tx, row)
        return self._transitions.move(tx, row, Move.WITHDRAW, actor, because=because)


def _because(what: str, comment: str) -> str:
    """With the reason that was given. Raises Invalid for one that is too long."""
    if len(comment) > MAX_REASON:
        raise Invalid(f"The reason has over {MAX_REASON} characters.", hint="Shorten it.")
    return f"{what}{': ' if comment.strip() else ''}{comment.strip()}"
