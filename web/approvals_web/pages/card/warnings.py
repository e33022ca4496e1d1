"""What deserves a second look before a decision. Words for people; nothing is decided by them."""

import json
from collections.abc import Iterator
from typing import Any

from approvals.protocol.canonical import is_redacted
from approvals.protocol.states import State
from approvals.service.history.argument_rows import leaf, odd, values
from approvals.service.storage.tables import Execution, Request
from approvals.service.storage.tables.rows import RequestRow
from approvals_web.pages.card.views import View
from approvals_web.pages.card.views.sql import Sql

MOST = 8
"""Warnings of one kind; the rest is counted."""


def of_request(row: RequestRow, state: State, execution: Execution | None) -> Iterator[str]:
    """By the record of the request itself."""
    said = {
        "The gate sits beside the agent (cooperative): a hostile agent could go round it.": row.assurance
        == "cooperative",
        "Nobody has reviewed how this tool describes itself; read the arguments, not the summary.": not row.reviewed,
        f"{row.hidden} characters are hidden: they look like a credential, or repeat a secret argument.": row.hidden
        > 0,
        "The content changed since it was first asked; earlier votes do not count.": row.content_version > 1,
        f"The same call was asked before and came to nothing (request {row.replaces}).": row.replaces is not None,
        "Whether it took effect is unknown.": state is State.UNKNOWN,
        "This is what a late report contradicts; see how it ran.": bool(execution and execution.contradiction),
    }
    yield from (words for words, true in said.items() if true)


def of_arguments(arguments: Any, views: list[View]) -> Iterator[str]:
    """By what the arguments hold: characters that deceive, and SQL that takes whole tables."""
    found = [f"{path}: {what}." for path, what in odd(arguments)]
    if found:
        yield "Some text has hidden, reordering or look-alike characters; they are made visible."
    yield from _capped(found)
    yield from _capped([f"{view.path}: {words}" for view in views if isinstance(view, Sql) for words in view.warnings])


def differing(now: Any, then: Any) -> list[str]:
    """The first MOST paths at which two calls' encoded arguments differ, and how; the rest is counted."""
    mine, theirs = dict(values(now)), dict(values(then))
    paths = [path for path in dict.fromkeys([*mine, *theirs]) if _differ(path, mine, theirs)]
    return [*(_difference(path, mine, theirs) for path in paths[:MOST]), *_uncounted(paths)]


def of_refusal(row: Request, denied: Request) -> Iterator[str]:
    """What an earlier denied attempt had otherwise."""
    differences = differing(json.loads(row.arguments), json.loads(denied.arguments)) if not denied.erased_at else []
    if differences:
        said = f"An attempt of this agent with this tool was denied (request {denied.id}). It differs in: "
        yield said + "; ".join(differences)
    else:
        yield f"This agent's attempt with this tool was denied before (request {denied.id})."


def _differ(path: str, mine: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Python takes 1 for true, and 1 is not true."""
    if (path in mine) != (path in theirs):
        return True
    one, other = mine[path], theirs[path]
    return type(one) is not type(other) or one != other


def _difference(path: str, mine: dict[str, Any], theirs: dict[str, Any]) -> str:
    if is_redacted(mine.get(path)) and is_redacted(theirs.get(path)):
        return f"{path} (another secret)"
    return f"{path} ({_short(path, theirs)} then, {_short(path, mine)} now)"


def _short(path: str, values_of: dict[str, Any]) -> str:
    if path not in values_of:
        return "nothing"
    value = leaf(values_of[path]).value
    return value if len(value) <= 60 else f"{value[:60]}…"


def _capped(said: list[str]) -> list[str]:
    return [*said[:MOST], *_uncounted(said)]


def _uncounted(said: list[str]) -> list[str]:
    return [f"… and {len(said) - MOST} more"] if len(said) > MOST else []
