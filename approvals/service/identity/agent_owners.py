"""Who answers for an agent: people with an account here, by their handles."""

from collections.abc import Iterable

from sqlalchemy import bindparam, delete, select

from approvals.errors import Invalid
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import AgentOwner, User, table_of

MOST = 20

_owners = table_of(AgentOwner)
_users = table_of(User)

_BY_HANDLE = Statement(select(_users).where(_users.c.handle == bindparam("handle")), User)
_OF_AGENT = Statement(
    select(_users.c.id, _users.c.handle, _users.c.name)
    .join_from(_owners, _users, _users.c.id == _owners.c.user_id)
    .where(_owners.c.agent_id == bindparam("agent_id"))
    .order_by(_users.c.handle)
)
_CLEAR = Statement(delete(_owners).where(_owners.c.agent_id == bindparam("agent_id")))


def owners(reader: Reader, agent_id: str) -> list[Row]:
    """The `id`, `handle` and `name` of each."""
    return reader.all(_OF_AGENT, agent_id=agent_id)


def accounts(reader: Reader, handles: Iterable[str]) -> dict[str, str]:
    """The ids of accounts by their handles. Raises Invalid for a handle that is nobody's, or a disabled account's."""
    wanted = sorted({handle.strip().lower() for handle in handles if handle.strip()})
    if len(wanted) > MOST:
        raise Invalid(f"An agent has at most {MOST} owners.", hint="Name those who answer for it.")
    found = {handle: reader.one(_BY_HANDLE, handle=handle) for handle in wanted}
    for handle, row in found.items():
        if row is None or row.disabled_at is not None:
            raise Invalid(f"There is no live account {handle!r:.80}.", hint="List them: approvals user list")
    return {handle: row.id for handle, row in found.items() if row is not None}


def replace(tx: Transaction, agent_id: str, known: dict[str, str]) -> None:
    """Make these its owners, and nobody else. Whoever calls holds the agent."""
    tx.execute(_CLEAR, agent_id=agent_id)
    for user_id in known.values():
        tx.insert(AgentOwner, agent_id=agent_id, user_id=user_id)
