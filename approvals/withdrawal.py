"""Taking a request back: by its agent, or by an admin. Never because a client hung up."""

from approvals.database import Row, Transaction
from approvals.errors import NotFound
from approvals.people import Person
from approvals.state import Move
from approvals.transition import Transitions


class Withdrawals:
    """Withdraws pending requests, and approved ones that nobody has claimed."""

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions

    def by_agent(self, tx: Transaction, request_id: str, agent: Row, comment: str) -> Row:
        """Raises NotFound for another's request, NotPossible once it was claimed or ended."""
        row = self._transitions.take(tx, request_id)
        if row.agent_id != agent.id:
            raise NotFound("There is no such request.", hint="Check the id.")
        return self._withdraw(tx, row, f"agent:{agent.id}", comment or "the agent took it back")

    def by_admin(self, tx: Transaction, request_id: str, admin: Person, comment: str) -> Row:
        """Raises NotFound, or NotPossible once it was claimed or ended."""
        row = self._transitions.take(tx, request_id)
        return self._withdraw(tx, row, admin.actor, comment or f"{admin.name} took it back")

    def _withdraw(self, tx: Transaction, row: Row, actor: str, because: str) -> Row:
        row = self._transitions.as_of_now(tx, row)
        return self._transitions.move(tx, row, Move.WITHDRAW, actor, because=because)
