"""What a write would do, as its card shows it and rules read it."""

import contextlib
from collections.abc import Sequence

from approvals import Fact, Preview
from approvals_server.postgres import preview_views
from approvals_server.postgres.changes import Change, expectation, gravest, sentence, tables, total, verbs
from approvals_server.postgres.effect import Effect, basis_of
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.statement import Statement

MOST_TABLES = 20
SHOWN = (20, 5, 0)
"""Rows of each side, the most that fit."""
ESTIMATED = "the planner's estimate, and the most that it may change"
COUNTED = "counted when it was tried and rolled back"


def expected(statement: Statement, changes: Sequence[Change]) -> Preview:
    """By the planner's estimate. Whoever runs it rolls back what turns out to be more."""
    rows = total(changes)
    fact = Fact(name="rows", label="Rows, at most", value=rows, note=ESTIMATED, tolerance=rows // 5)
    return _preview(statement, changes, f"{expectation(changes) or _none(statement)}{_all(statement, changes)}", fact)


def counted(statement: Statement, changes: Sequence[Change]) -> Preview:
    """By what was counted when more came of it than was approved."""
    fact = Fact(name="rows", label="Rows, at most", value=total(changes), note=COUNTED)
    return _preview(statement, changes, sentence(changes) or _none(statement), fact)


def exact(statement: Statement, effect: Effect) -> Preview:
    """By trying it: how many rows, and which, as they are and as they would be."""
    rows = total(effect.changes)
    said = sentence(effect.changes) or f"Changes no row: {statement.verb.upper()}"
    for shown in SHOWN:
        fact = Fact(name="rows", label="Rows", value=rows, note=preview_views.note(effect, shown))
        before, after = preview_views.view(effect, "before", shown), preview_views.view(effect, "after", shown)
        with contextlib.suppress(ValueError):  # more bytes than a preview may have
            found = _preview(statement, effect.changes, said, fact)
            return Preview(**dict(found) | {"before": before, "after": after, "basis": basis_of(effect)})
    raise Refused("Its effect is too large to be shown.")


def _none(statement: Statement) -> str:
    return f"Changes no row that the planner sees: {statement.verb.upper()}"


def _all(statement: Statement, changes: Sequence[Change]) -> str:
    grave = gravest(changes) in {"delete", "update"}
    return "; it has no condition that looks at a row" if grave and not statement.has_where else ""


def _preview(statement: Statement, changes: Sequence[Change], effect: str, rows: Fact) -> Preview:
    written = tables(changes)
    if len(written) > MOST_TABLES:
        raise Refused(f"It changes {len(written)} tables; a write may change {MOST_TABLES} at the most.")
    verb = gravest(changes) or statement.verb
    return Preview(
        effect=effect,
        facts=(
            rows,
            Fact(name="sql.verb", label="Statement", value=verb),
            Fact(name="sql.verbs", label="Does", value=verbs(changes)),
            Fact(name="sql.tables", label="Tables", value=written),
            Fact(name="has_where", label="Has a condition", value=statement.has_where),
        ),
        reversible="by_hand" if verbs(changes) == ("insert",) else "no",
    )
