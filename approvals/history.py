"""Looking for requests among all there ever were. Every look is bounded: it walks an index back, newest first, over at
most WINDOW requests, and says from where the next look goes on."""

from dataclasses import dataclass
from functools import cache

from sqlalchemy import BindParameter, bindparam, literal_column, select
from sqlalchemy.sql import Select

from approvals.database import Reader, Row, Statement
from approvals.status import WITH_EXECUTION
from approvals.transition import requests

WINDOW = 20_000
ORIGIN = ("on_behalf_of", "agent_session", "trace_id")
"""What agents' sides say of themselves."""
_INDEXED = (*ORIGIN, "agent_id", "decided_by", "server", "tool", "state")
"""The most telling first: the first one given is what is walked along."""


@dataclass(frozen=True)
class Sought:
    """What is looked for; empty words fit everything. `words` all have to stand in the headline or the tool's name."""

    words: tuple[str, ...] = ()
    server: str = ""
    tool: str = ""
    agent_id: str = ""
    decided_by: str = ""
    state: str = ""
    on_behalf_of: str = ""
    agent_session: str = ""
    trace_id: str = ""


@dataclass(frozen=True)
class Found:
    """A page: newest first. `after` is where the next look goes on; None at the beginning of time."""

    rows: list[Row]
    after: str | None
    exhausted: bool
    """Whether the look ended at WINDOW, not because the page was full."""


def page(reader: Reader, sought: Sought, *, before: str | None = None, limit: int = 50) -> Found:
    """Up to `limit` requests that fit, older than `before`."""
    given = {name: getattr(sought, name) for name in _INDEXED if getattr(sought, name)}
    words = {f"word{i}": f"%{_escaped(word)}%" for i, word in enumerate(sought.words)}
    statement, edge = _statements(tuple(given), len(words), before is not None)
    start = {"before": before} if before is not None else {}
    rows = reader.all(statement, **given, **words, **start, limit=limit)
    if len(rows) == limit:
        return Found(rows, rows[-1].id, exhausted=False)
    last = reader.one(edge, **{name: given[name] for name in _walked(tuple(given))}, **start)
    return Found(rows, last.id if last else None, exhausted=last is not None)


@cache
def _statements(given: tuple[str, ...], words: int, continued: bool) -> tuple[Statement, Statement]:
    """The page, and the id at which its window ends."""
    window = select(requests.c.id).order_by(requests.c.id.desc())
    window = _only(window, _walked(given))
    if continued:
        window = window.where(requests.c.id < bindparam("before"))
    seen = window.limit(WINDOW).subquery()
    statement = WITH_EXECUTION.join(seen, seen.c.id == requests.c.id).order_by(requests.c.id.desc())
    statement = _only(statement, given)
    for i in range(words):
        word: BindParameter[str] = bindparam(f"word{i}")
        statement = statement.where(
            requests.c.headline.ilike(word, escape="\\") | requests.c.tool.ilike(word, escape="\\")
        )
    return Statement(statement.limit(bindparam("limit"))), Statement(window.offset(WINDOW - 1).limit(1))


def _walked(given: tuple[str, ...]) -> tuple[str, ...]:
    """The filters that the index is chosen by: a tool belongs to its server's."""
    first = given[:1]
    return ("server", "tool") if first == ("server",) and "tool" in given else first


def _only(statement: "Select", names: tuple[str, ...]) -> "Select":  # type: ignore[type-arg]
    for name in names:
        statement = statement.where(requests.c[name] == bindparam(name))
        if name in ORIGIN:
            statement = statement.where(requests.c[name] != literal_column("''"))  # else its index does not serve
        if name == "decided_by":
            statement = statement.where(requests.c.decided_by.is_not(None))
    return statement


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
