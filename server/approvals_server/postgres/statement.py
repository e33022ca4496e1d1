"""The text of one statement: what it is called, for people and rules. Nothing is enforced by it."""

import logging
from dataclasses import dataclass
from typing import Annotated

import sqlglot
from pydantic import Field
from sqlglot import exp
from sqlglot.errors import SqlglotError

from approvals_server.postgres.text import single

LONGEST = 20_000
UNCLASSIFIED = "unclassified"
SCHEMA = "public"
"""In which names without one are looked for, whatever a role is set to."""
_VERBS = {
    verb: verb
    for verb in [
        "select",
        "insert",
        "update",
        "delete",
        "merge",
        "create",
        "drop",
        "alter",
        "grant",
        "revoke",
        "comment",
    ]
}
_VERBS |= {"truncatetable": "truncate", "union": "select", "intersect": "select", "except": "select"}
logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it says aloud what it does not know

Sql = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST, pattern=r"^[^\x00]*$", description="One statement, PostgreSQL's dialect."),
]


@dataclass(frozen=True)
class Statement:
    """What a text is called: `verb` is its kind in one word, `tables` what it names."""

    verb: str = UNCLASSIFIED
    tables: tuple[str, ...] = ()
    has_where: bool = False
    """Whether every UPDATE and DELETE in it has a condition that compares a column with something else than itself."""


def classified(sql: str) -> Statement:
    """What a text is called; unclassified when that is not plain to see."""
    try:
        found = [one for one in sqlglot.parse(single(sql), dialect="postgres") if one is not None]
    except (SqlglotError, RecursionError, ValueError):
        return Statement()
    if len(found) != 1 or found[0].key not in _VERBS:
        return Statement()
    return Statement(_VERBS[found[0].key], _named(found[0]), _has_where(found[0]))


def _named(statement: exp.Expr) -> tuple[str, ...]:
    """All tables, with the schema in which the database looks for those without one."""
    names = ([part.name for part in table.parts] for table in statement.find_all(exp.Table))
    return tuple(sorted({".".join(name if len(name) > 1 else [SCHEMA, *name]) for name in names}))


def _has_where(statement: exp.Expr) -> bool:
    wheres = [change.args.get("where") for change in statement.find_all(exp.Update, exp.Delete)]
    return bool(wheres) and all(where is not None and _chooses(where.this) for where in wheres)


def _chooses(condition: exp.Expr) -> bool:
    """Whether it can leave a row out, as far as is plain to see: `id = id` and `id = 1 OR true` do not."""
    if isinstance(condition, exp.Paren | exp.Not):
        return _chooses(condition.this)
    if isinstance(condition, exp.Or):
        return _chooses(condition.left) and _chooses(condition.right)
    if isinstance(condition, exp.And):
        return _chooses(condition.left) or _chooses(condition.right)
    if isinstance(condition, exp.Binary) and condition.left == condition.right:
        return False
    return condition.find(exp.Column) is not None
