"""An effect to the cell: two trials of the same statement, and what is not the same in both."""

import hashlib
import json
from dataclasses import dataclass

from approvals_server.postgres.changes import Change
from approvals_server.postgres.rows import Row, Rows, in_order

LATER = "(set when it runs)"
"""In place of what each run makes anew: the time, a sequence's next number."""

Cells = frozenset[tuple[str, str]]
"""Columns, each with its table."""


@dataclass(frozen=True)
class Effect:
    """What a statement did in one transaction."""

    changes: tuple[Change, ...]
    rows: tuple[Rows, ...] = ()


def made_anew(one: Effect, other: Effect) -> Cells:
    """The columns whose new values differ between two runs."""
    return frozenset(
        (rows.table, name)
        for rows, again in zip(one.rows, other.rows, strict=False)
        for index, name in enumerate(rows.columns)
        if _values(rows.after, index) != _values(again.after, index)
    )


def settled(effect: Effect, anew: Cells) -> Effect:
    """The effect without what each run makes anew."""
    return Effect(effect.changes, tuple(_settled(rows, anew) for rows in effect.rows))


def basis_of(effect: Effect) -> str:
    """Names an effect by all of its cells."""
    told = json.dumps(
        [
            [(one.verb, one.table, one.rows) for one in effect.changes],
            [(rows.table, rows.columns, rows.before, rows.after) for rows in effect.rows],
        ]
    )
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _settled(rows: Rows, anew: Cells) -> Rows:
    def told(row: Row) -> Row:
        return tuple(
            LATER if (rows.table, name) in anew else cell for name, cell in zip(rows.columns, row, strict=True)
        )

    return Rows(rows.table, rows.columns, rows.before, tuple(sorted(map(told, rows.after), key=in_order)))


def _values(rows: tuple[Row, ...], index: int) -> list[str]:
    return sorted(json.dumps(row[index]) for row in rows)
