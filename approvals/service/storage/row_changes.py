"""Rows before and after a change: what an audit event tells of them."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select
from sqlmodel import SQLModel

from approvals.service.storage.statements import Row, Statement, table_of

if TYPE_CHECKING:
    from approvals.service.storage.database import Transaction


@dataclass(frozen=True)
class Touched:
    """A row of a table, before and after a change; None where there was or is none."""

    model: type[SQLModel]
    before: SQLModel | Row | None
    after: SQLModel | Row | None


class Watch:
    """Rows of a table before a change, locked from now on; `touched` are those that are different by then."""

    def __init__(self, tx: "Transaction", model: type[SQLModel], **where: object) -> None:
        self._tx, self._model, self._where = tx, model, where
        self._key = [column.name for column in table_of(model).primary_key.columns]
        lock, self._find = _statements(model, tuple(where))
        tx.lock(lock, **where)
        self._before = self._rows()

    def touched(self) -> list[Touched]:
        """What changed since."""
        after = self._rows()
        pairs = [(self._before.get(key), after.get(key)) for key in {**self._before, **after}]
        return [Touched(self._model, was, now) for was, now in pairs if was != now]

    def _rows(self) -> dict[tuple[object, ...], Row]:
        return {tuple(row[name] for name in self._key): row for row in self._tx.all(self._find, **self._where)}


@cache
def _statements(model: type[SQLModel], names: tuple[str, ...]) -> tuple[Statement[Row], Statement[Row]]:
    table = table_of(model)
    found = select(table).where(*(table.c[name] == bindparam(name) for name in names))
    return Statement(found.with_for_update(key_share=True)), Statement(found)
