"""The changed rows of an effect, drawn for its card."""

from typing import Literal

from approvals import View
from approvals_server.postgres.effect import Effect
from approvals_server.postgres.rows import Row, Rows

MOST_COLUMNS = 10
Side = Literal["before", "after"]


def view(effect: Effect, side: Side, most: int) -> View | None:
    """One table as a table, several as lines; None where there is nothing."""
    there = [(rows, _of(rows, side)) for rows in effect.rows if _of(rows, side)]
    if not there or not most:
        return None
    if len(there) == 1:
        (rows, found) = there[0]
        chosen = _chosen(rows)
        cells = tuple(tuple(row[index] for index in chosen) for row in found[:most])
        return View(kind="table", columns=tuple(rows.columns[index] for index in chosen), rows=cells)
    return View(kind="text", text="\n".join(line for rows, found in there for line in _lines(rows, found, most)))


def note(effect: Effect, most: int) -> str:
    """How many of the rows are not shown."""
    shown = sum(min(most, len(rows.before or rows.after)) for rows in effect.rows)
    changed = sum(change.rows for change in effect.changes)
    return "" if shown >= changed else f"{shown} of them are shown"


def _of(rows: Rows, side: Side) -> tuple[Row, ...]:
    return rows.before if side == "before" else rows.after


def _chosen(rows: Rows) -> list[int]:
    """The columns to show: all that fit; else the first, and those that change before those that do not."""
    if len(rows.columns) <= MOST_COLUMNS:
        return list(range(len(rows.columns)))
    same = [_values(rows.before, index) == _values(rows.after, index) for index in range(len(rows.columns))]
    return sorted(sorted(range(len(rows.columns)), key=lambda index: (index > 0 and same[index], index))[:MOST_COLUMNS])


def _values(rows: tuple[Row, ...], index: int) -> list[str]:
    return sorted(row[index] or "" for row in rows)


def _lines(rows: Rows, found: tuple[Row, ...], most: int) -> list[str]:
    said = [
        f"{rows.table}: " + ", ".join(f"{rows.columns[index]} = {row[index]}" for index in _chosen(rows))
        for row in found[:most]
    ]
    return [*said, f"{rows.table}: and {len(found) - most} more"] if len(found) > most else said
