"""What the tables' columns are made of."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, Text, text
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "pk": "%(table_name)s_pk",
    "fk": "%(table_name)s_%(column_0_N_name)s_fk",
    "uq": "%(table_name)s_%(column_0_N_name)s_unique",
    "ck": "%(table_name)s_%(constraint_name)s",
    "ix": "%(table_name)s_by_%(column_0_N_name)s",
}
"""So that every database knows a constraint by the same name, which a later migration can say."""

NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""Given by the database; only INTEGER counts up by itself on SQLite."""


def instant(**options: Any) -> Any:
    return Field(sa_type=BigInteger, **options)


def long_text(**options: Any) -> Any:
    return Field(sa_type=Text, **options)


def one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def index_where(name: str, columns: str | tuple[str, ...], condition: str, *, unique: bool = False) -> Index:
    """An index over the few rows that still await something."""
    over = (columns,) if isinstance(columns, str) else columns
    return Index(name, *over, unique=unique, sqlite_where=text(condition), postgresql_where=text(condition))
