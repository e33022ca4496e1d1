"""A list of flat objects, as rows and columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from approvals.protocol.canonical import is_redacted
from approvals.service.history.argument_rows import leaf
from approvals.service.tools.layout import plain_name
from approvals_web.pages.card.views.places import Place

MAX_ROWS = 20
MAX_COLUMNS = 8
MAX_CELL = 200


@dataclass(frozen=True)
class Table:
    """Cells as the tree writes them; None where an object lacks the property."""

    path: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    more: int
    total: int
    cut: bool
    kind: str = "table"

    @property
    def covers(self) -> tuple[str, ...]:
        return (self.path,)


def found(everywhere: list[Place]) -> Iterator[Table]:
    """Lists of two objects or more that hold no lists or objects themselves."""
    for place in everywhere:
        if isinstance(place.value, list) and len(place.value) > 1 and all(map(_is_flat, place.value)):
            plain = [{plain_name(k): v for k, v in row.items()} for row in place.value]
            columns = tuple(dict.fromkeys(key for row in plain for key in row))
            if 0 < len(columns) <= MAX_COLUMNS:
                yield _table(place.path, columns, plain)


def _table(path: str, columns: tuple[str, ...], plain: Sequence[Mapping[str, object]]) -> Table:
    shown = [tuple(_cell(row[key]) if key in row else None for key in columns) for row in plain[:MAX_ROWS]]
    cut = len(plain) > MAX_ROWS or any(cell is not None and len(cell) > MAX_CELL for row in shown for cell in row)
    rows = tuple(tuple(_short(cell) for cell in row) for row in shown)
    names = tuple(leaf(key).value for key in columns)
    return Table(path, names, rows, len(plain[MAX_ROWS:]), len(plain), cut)


def _is_flat(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and not is_redacted(value) and all(map(_is_scalar, value.values()))


def _is_scalar(value: object) -> bool:
    encoded = isinstance(value, dict) and (is_redacted(value) or value.keys() in ({"$int"}, {"$float"}))
    return encoded or not isinstance(value, dict | list)


def _cell(value: object) -> str:
    return leaf(value).value


def _short(cell: str | None) -> str | None:
    return cell if cell is None or len(cell) <= MAX_CELL else f"{cell[:MAX_CELL]}… ({len(cell) - MAX_CELL:,} more)"
