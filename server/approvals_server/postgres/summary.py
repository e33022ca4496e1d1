"""Rows in few words: what of them an agent gets to see, and what the rest is like."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from pydantic import BaseModel, Field

from approvals_server.paging import NEXT

Cell = bool | int | float | str | None
CELL = 400
"""Characters of a text in a cell."""
PAGE_BYTES = 48_000
"""Of all rows in an answer, as JSON."""
SAFE_INTEGER = 2**53 - 1
_NUMBERS = {"numeric", "smallint", "integer", "bigint", "double precision", "real"}
"""Types whose values may be numbers as text."""
_TEXTS = {"text", "character varying", "character", "name", "boolean"}
"""Types that are in order as texts; false is before true."""


class Column(BaseModel):
    """A column, and its values in the rows looked at."""

    name: str
    type: str
    nulls: int
    distinct: int
    minimum: Cell = Field(description="In the order of its type; null where that has none that is told.")
    maximum: Cell


class Found(BaseModel):
    """One page of a query's rows, and a summary of them and of those that follow."""

    columns: list[Column]
    rows: list[list[Cell]]
    rows_looked_at: int = Field(description="From this page's first row on; the columns' figures are about them.")
    more_rows: bool = Field(description="Whether there are still more than were looked at; count(*) tells how many.")
    next_cursor: str | None = Field(description=NEXT)


def cell(value: object) -> Cell:
    """A value that every client reads alike: long texts cut, numbers beyond 2**53 as text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return cut(str(value), CELL)


def columns_of(
    names: Sequence[str], types: Sequence[str], rows: Sequence[Sequence[Cell]], ranks: Mapping[int, Sequence[int]]
) -> list[Column]:
    """What is in each column of these rows; by number of a column, where the database puts its values."""
    return [
        _column(name, types[index], [row[index] for row in rows], ranks.get(index)) for index, name in enumerate(names)
    ]


def page_of(rows: Sequence[list[Cell]], limit: int) -> list[list[Cell]]:
    """The first rows, as many as fit; at least one."""
    page: list[list[Cell]] = []
    size = 0
    for row in rows[:limit]:
        size += len(json.dumps(row))
        if page and size > PAGE_BYTES:
            break
        page.append(row)
    return page


def cut(text: str, most: int) -> str:
    """A text of at most so many characters, which says when there was more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _number(value: object) -> Decimal:
    """Of a number that came as text."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:  # cut off
        return Decimal("Infinity")
    return Decimal("Infinity") if found.is_nan() else found


def _column(name: str, kind: str, values: list[Cell], ranks: Sequence[int] | None) -> Column:
    there = [index for index, value in enumerate(values) if value is not None]
    order = _order(kind, values, ranks)
    ordered = there if order else []
    least, most = min(ordered, key=order, default=None), max(ordered, key=order, default=None)
    return Column(
        name=cut(name, CELL),
        type=kind,
        nulls=len(values) - len(there),
        distinct=len({values[index] for index in there}),
        minimum=None if least is None else values[least],
        maximum=None if most is None else values[most],
    )


def _order(kind: str, values: list[Cell], ranks: Sequence[int] | None) -> Callable[[int], Decimal | str | int] | None:
    """Where the value of a row stands among the others; None of types whose order is not known here."""
    if ranks is not None:
        return ranks.__getitem__
    if kind in _NUMBERS:
        return lambda row: _number(values[row])
    return (lambda row: str(values[row])) if kind in _TEXTS else None
