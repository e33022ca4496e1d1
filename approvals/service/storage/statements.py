"""Statements, and the rows that they read.

A row is a `Row` when it runs, which costs nothing to make. What the type checker knows of it is the second argument of
its `Statement`: a table's class for all columns of one table, a class of annotations for others.
"""

from typing import Any, Generic, TypeVar, cast, overload

from sqlalchemy import Executable, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import CompilerElement
from sqlmodel import SQLModel

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Row(dict[str, Any]):
    """A row whose columns are attributes."""

    def __getattr__(self, column: str) -> Any:
        try:
            return self[column]
        except KeyError:
            raise AttributeError(column) from None


def columns(row: object) -> Row:
    """The columns of a row by their names."""
    return cast(Row, row)


def changed(row: R, **changes: object) -> R:
    """The row as it is after a change of some columns."""
    return cast(R, Row(columns(row) | changes))


class Compiled:
    """A statement in one dialect's SQL."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = cast(CompilerElement, statement).compile(dialect=dialect)
        self.sql = str(compiled)
        self._literals = {key: value for key, value in compiled.params.items() if value is not None}
        self._names: tuple[str, ...] | None = None

    def bind(self, given: dict[str, object]) -> dict[str, object]:
        """The parameters, with the statement's own literals filled in."""
        return self._literals | given

    def names(self, description: Any) -> tuple[str, ...]:
        """The statement's columns, the same each time it is run."""
        if self._names is None:
            self._names = tuple(column[0] for column in description)
        return self._names


class Statement(Generic[R_co]):
    """A SQLAlchemy Core statement, compiled once per dialect; parameters are its named bind parameters. `varies`: the
    best plan hangs on their values, so PostgreSQL makes one each time."""

    @overload
    def __init__(self: "Statement[Row]", statement: Executable, *, varies: bool = False) -> None: ...

    @overload
    def __init__(self, statement: Executable, row: type[R_co], *, varies: bool = False) -> None: ...

    def __init__(self, statement: Executable, row: type[object] = Row, *, varies: bool = False) -> None:
        self.statement = statement
        self.row = row
        self.varies = varies
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect: Dialect) -> Compiled:
        known = self._compiled.get(dialect.name)
        if known is None:
            known = self._compiled[dialect.name] = Compiled(self.statement, dialect)
        return known


def table_of(model: type[SQLModel]) -> Table:
    """The table of a model, for statements."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table
