"""Looking for requests among all there ever were. Every look is bounded: it walks an index back, newest first, over at
most WINDOW requests, and says from where the next look goes on."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, bindparam, column, literal_column, select, table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import Select
from sqlalchemy.sql.expression import ColumnElement

from approvals.errors import Invalid
from approvals.service.history import fulltext
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables.handles import WITH_EXECUTION, requests
from approvals.service.storage.tables.rows import FoundRequest

WINDOW = 10_000
ORIGIN = ("on_behalf_of", "agent_session", "trace_id")
"""What agents' sides say of themselves."""
_INDEXED = (*ORIGIN, "agent_id", "decided_by", "server", "tool", "state")
"""The most telling first: the first one given is what is walked along, where no words are given."""
_text = table("request_text", column("rowid"), column("words"))
"""The full-text index: FTS5's own table, or a view on PostgreSQL (alembic/versions/0001)."""


@dataclass(frozen=True)
class Sought:
    """What is looked for; empty text fits everything. `words`, as `fulltext.split` makes them, all have to be among
    the request's."""

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
    """A page: newest first. `after` is where the next look goes on, to be given back as it is; None at the end."""

    rows: list[FoundRequest]
    after: str | None
    exhausted: bool
    """Whether the look ended at WINDOW, not because the page was full."""


def page(reader: Reader, sought: Sought, *, before: str | None = None, limit: int = 50) -> Found:
    """Up to `limit` requests that fit, from where another look ended. Raises Invalid for a `before` that is none."""
    given = {name: getattr(sought, name) for name in _INDEXED if getattr(sought, name)}
    words = {f"word{i}": word for i, word in enumerate(dict.fromkeys(sought.words))}
    if words and before is not None and not (before.isascii() and before.isdecimal() and len(before) < 19):
        raise Invalid("This is not where a look ended.", hint="Search again.")
    start: dict[str, Any] = {} if before is None else {"before": int(before) if words else before}
    walked = () if words else _walked(tuple(given))
    edge = None
    if len(given) > len(walked):  # else each row that is walked over fits
        along = words or {name: given[name] for name in walked}
        edge = reader.one(_edge(len(words), walked, before is not None), **along, **start)
    end: dict[str, Any] = {} if edge is None else {"edge": edge.place}
    statement = _page(len(words), tuple(given), before is not None, edge is not None)
    rows = reader.all(statement, **given, **words, **start, **end, limit=limit)
    if len(rows) == limit:
        return Found(rows, str(rows[-1].place), exhausted=False)
    return Found(rows, str(edge.place) if edge else None, exhausted=edge is not None)


@cache
def _edge(words: int, walked: tuple[str, ...], continued: bool) -> Statement[Row]:
    """The place at which the window ends."""
    place = _place(words)
    window = select(place.label("place"))
    window = window.where(_Has(words)) if words else _only(window, walked)
    return Statement(_before(window, words, continued).offset(WINDOW - 1).limit(1), varies=True)


@cache
def _page(words: int, given: tuple[str, ...], continued: bool, bounded: bool) -> Statement[FoundRequest]:
    statement = WITH_EXECUTION.add_columns(_place(words).label("place"))
    if words:
        kept = fulltext.words
        statement = statement.join(kept, kept.c.request_id == requests.c.id)
        statement = statement.join(_text, _text.c.rowid == kept.c.number).where(_Has(words))
    statement = _before(_only(statement, given), words, continued)
    if bounded:
        statement = statement.where(_place(words) >= bindparam("edge"))
    return Statement(statement.limit(bindparam("limit")), FoundRequest, varies=True)


def _place(words: int) -> ColumnElement[object]:
    """What the rows are in the order of."""
    return _text.c.rowid if words else requests.c.id


def _before(statement: "Select", words: int, continued: bool) -> "Select":  # type: ignore[type-arg]
    place = _place(words)
    ordered = statement.order_by(place.desc())
    return ordered.where(place < bindparam("before")) if continued else ordered


class _Has(ColumnElement[bool]):
    """Whether all the words `word0`, `word1`, … are among those of a row of the full-text index."""

    inherit_cache = False

    def __init__(self, number: int) -> None:
        self.words: list[BindParameter[str]] = [bindparam(f"word{i}") for i in range(number)]


@compiles(_Has, "sqlite")
def _has_in_fts5(has: _Has, compiler: Any, **options: object) -> str:
    quoted = " || ' ' || ".join(f"'\"' || {compiler.process(word, **options)} || '\"'" for word in has.words)
    return f"request_text.words MATCH ({quoted})"


@compiles(_Has, "postgresql")
def _has_in_array(has: _Has, compiler: Any, **options: object) -> str:
    listed = ", ".join(f"CAST({compiler.process(word, **options)} AS text)" for word in has.words)
    return f"request_text.words @> ARRAY[{listed}]"


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
