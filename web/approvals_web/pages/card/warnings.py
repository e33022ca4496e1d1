"""What deserves a second look before a decision. Words for people; nothing is decided by them."""

import json
from collections.abc import Iterator
from typing import Any

from approvals.protocol.messages import State
from approvals.service.history.argument_rows import Line, all_lines
from approvals.service.storage.database import Row
from approvals_web.pages.card.views import View
from approvals_web.pages.card.views.sql import Sql

MOST = 8
"""Warnings of one kind; the rest is counted."""


def of_request(row: Row, state: State, execution: Row | None) -> Iterator[str]:
    """By the record of the request itself."""
    said = {
        "The gate sits beside the agent (cooperative): a hostile agent could go round it.": row.assurance
        == "cooperative",
        "Nobody has reviewed how this tool describes itself; read the arguments, not the headline.": not row.reviewed,
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
    odd = [f"{line.path}: {what}." for line in all_lines(arguments) for what in line.odd]
    if odd:
        yield "Some text has hidden, reordering or look-alike characters; they are made visible."
    yield from _capped(odd)
    yield from _capped([f"{view.path}: {words}" for view in views if isinstance(view, Sql) for words in view.warnings])


def differing(now: Any, then: Any) -> list[str]:
    """The paths at which two calls' encoded arguments differ, and how."""
    mine, theirs = _by_path(now), _by_path(then)
    return [
        _difference(path, mine.get(path), theirs.get(path))
        for path in dict.fromkeys([*mine, *theirs])
        if _value(mine.get(path)) != _value(theirs.get(path)) or _stand_in(mine, theirs, path)
    ]


def of_refusal(row: Row, denied: Row) -> Iterator[str]:
    """What an earlier denied attempt had otherwise."""
    differences = differing(json.loads(row.arguments), json.loads(denied.arguments)) if not denied.erased_at else []
    if differences:
        yield f"An attempt of this agent with this tool was denied (request {denied.id}). It differs in: " + "; ".join(
            _capped(differences)
        )
    else:
        yield f"This agent's attempt with this tool was denied before (request {denied.id})."


def _by_path(arguments: Any) -> dict[str, Line]:
    return {line.path: line for line in all_lines(arguments)}


def _value(line: Line | None) -> str | None:
    return None if line is None else line.value


def _stand_in(mine: dict[str, Line], theirs: dict[str, Line], path: str) -> bool:
    """Two secrets of one length look alike; their stand-ins tell them apart."""
    return path in mine and path in theirs and mine[path].stand_in != theirs[path].stand_in


def _difference(path: str, mine: Line | None, theirs: Line | None) -> str:
    if mine is not None and theirs is not None and mine.secret and theirs.secret:
        return f"{path} (another secret)"
    return f"{path} ({_short(theirs)} then, {_short(mine)} now)"


def _short(line: Line | None) -> str:
    if line is None:
        return "nothing"
    return line.value if len(line.value) <= 60 else f"{line.value[:60]}…"


def _capped(said: list[str]) -> Iterator[str]:
    yield from said[:MOST]
    if len(said) > MOST:
        yield f"… and {len(said) - MOST} more"
