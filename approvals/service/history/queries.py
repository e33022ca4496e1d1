"""Lists of requests by keyset: no OFFSET, no counting."""

from functools import cache

from sqlalchemy import bindparam, literal_column, select

from approvals.protocol.states import State
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables.handles import WITH_EXECUTION, executions, requests
from approvals.service.storage.tables.rows import RequestRun

_WAITING = (State.PENDING, State.APPROVED, State.EXECUTING, State.UNKNOWN)
LONGEST_QUEUE = 200
ORIGIN = ("on_behalf_of", "agent_session", "trace_id")
"""What agents' sides say of themselves, and may be searched by."""

_CONTRADICTED = Statement(
    select(requests.c.id, requests.c.summary, requests.c.state, executions.c.contradiction)
    .join_from(executions, requests, executions.c.request_id == requests.c.id)
    .where(executions.c.contradiction.is_not(None), executions.c.contradiction_seen_at.is_(None))
    .order_by(executions.c.request_id)
    .limit(bindparam("limit"))
)


def page(
    reader: Reader,
    *,
    state: str | None = None,
    server: str | None = None,
    tool: str | None = None,
    on_behalf_of: str | None = None,
    agent_session: str | None = None,
    trace_id: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[RequestRun]:
    """Up to `limit` requests older than `before`, newest first, joined with their executions."""
    given = {"state": state, "server": server, "tool": tool}
    given |= {"on_behalf_of": on_behalf_of, "agent_session": agent_session, "trace_id": trace_id}
    filters = {name: str(value) for name, value in given.items() if value is not None}
    start = {"before": before} if before is not None else {}
    return reader.all(_page(tuple(filters), before is not None), **filters, **start, limit=limit)


def queue(reader: Reader) -> list[RequestRun]:
    """What is not ended: the longest waiting first, up to LONGEST_QUEUE of each state."""
    return [row for state in _WAITING for row in reader.all(_open(), state=state.value, limit=LONGEST_QUEUE)]


def contradicted(reader: Reader) -> list[Row]:
    """Settled requests whose late report says otherwise, and that nobody has acknowledged."""
    return reader.all(_CONTRADICTED, limit=LONGEST_QUEUE)


@cache
def _page(filters: tuple[str, ...], continued: bool) -> Statement[RequestRun]:
    statement = WITH_EXECUTION.order_by(requests.c.id.desc()).limit(bindparam("limit"))
    for name in filters:
        statement = statement.where(requests.c[name] == bindparam(name))
        if name in ORIGIN:
            statement = statement.where(requests.c[name] != literal_column("''"))  # else its index does not serve
    return Statement(statement.where(requests.c.id < bindparam("before")) if continued else statement, RequestRun)


@cache
def _open() -> Statement[RequestRun]:
    of_state = WITH_EXECUTION.where(requests.c.state == bindparam("state"))
    return Statement(of_state.order_by(requests.c.id).limit(bindparam("limit")), RequestRun)
