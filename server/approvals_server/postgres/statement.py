"""The text of one statement: what it is called, for people and rules. Nothing is enforced by it."""

import logging
from dataclasses import dataclass
from typing import Annotated

import sqlglot
from pydantic import Field
from sqlglot import exp
from sqlglot.errors import SqlglotError

LONGEST = 20_000
UNCLASSIFIED = "unclassified"
logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it says aloud what it does not know

Sql = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST, pattern=r"^[^\x00]*$", description="One statement, PostgreSQL's dialect."),
]


@dataclass(frozen=True)
class Statement:
    """What a text is called: `verb` is its kind in one word, `tables` what it names as its target."""

    verb: str = UNCLASSIFIED
    tables: tuple[str, ...] = ()
    has_where: bool = False
    """Whether every UPDATE and DELETE in it has a condition over a column."""


def single(sql: str) -> str:
    """The text without what may follow one statement."""
    return sql.strip().rstrip(";").rstrip()


def classified(sql: str) -> Statement:
    """What a text is called; unclassified when that is not plain to see."""
    try:
        found = [one for one in sqlglot.parse(sql, dialect="postgres") if one is not None]
    except (SqlglotError, RecursionError, ValueError):
        return Statement()
    if len(found) != 1 or isinstance(found[0], exp.Command):
        return Statement()
    return Statement(found[0].key, _targets(found[0]), _has_where(found[0]))


def _targets(statement: exp.Expr) -> tuple[str, ...]:
    target = statement.this
    table = target.find(exp.Table) if isinstance(target, exp.Expr) else None
    return () if table is None else (".".join(part.name for part in table.parts),)


def _has_where(statement: exp.Expr) -> bool:
    changes = list(statement.find_all(exp.Update, exp.Delete))
    return bool(changes) and all(_is_condition(change.args.get("where")) for change in changes)


def _is_condition(where: exp.Expr | None) -> bool:
    return where is not None and where.find(exp.Column) is not None
