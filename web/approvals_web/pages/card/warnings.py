"""What deserves a second look before a decision. Words for people; nothing is decided by them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from approvals.protocol.canonical import is_redacted
from approvals.protocol.states import State
from approvals.service.history.argument_rows import leaf, odd, values
from approvals.service.storage.tables import Execution, Request
from approvals.service.storage.tables.rows import RequestRow
from approvals_web.pages.card.views import View, sql
from approvals_web.pages.card.views.places import places

MOST = 8
"""Warnings of one kind; the rest is counted."""
LONGEST = 8000
"""Characters of arguments that a row of the list is looked through for."""
LONGEST_WORD = 120
"""Letters without a blank; beyond, something may stand far to the right of what is read."""


@dataclass(frozen=True)
class Warning:
    """What deserves a look, and the request that it is about, if another one."""

    words: str
    request: str = ""


def of_request(row: RequestRow, state: State, execution: Execution | None) -> Iterator[Warning]:
    """By the record of the request itself."""
    contradicted = bool(execution and execution.contradiction)
    if state is State.UNKNOWN:
        yield Warning("Whether it took effect is unknown.")
    if contradicted:
        yield Warning("A late report contradicts this outcome. See Execution under Details.")
    if row.hidden > 0:
        yield Warning(f"{row.hidden} characters are hidden: they look like a credential, or repeat a secret argument.")
    if row.content_version > 1 and row.edit_id is None:
        yield Warning("The content changed since it was first asked. Earlier votes do not count.")
    if row.replaces is not None:
        yield Warning("The same call was requested before and ended without running.", row.replaces)


@lru_cache(maxsize=4096)
def tag(arguments: str) -> str:
    """The worst of them in two words, for a row of the list; nothing of arguments too long to look through there."""
    if len(arguments) > LONGEST:
        return ""
    plain = json.loads(arguments)
    said = [words for view in sql.found(list(places(plain))) for words in view.warnings]
    for part, short in _SHORT:
        if any(part in words for words in said):
            return short
    oddities = [what for _, what in odd(plain)]
    if any("mixes" in what for what in oddities):
        return "look-alike letters"
    return "hidden characters" if oddities else ""


_SHORT = (
    ("without WHERE", "no WHERE"),
    ("always true", "WHERE is always true"),
    ("changes the structure", "changes the structure"),
    ("SQL statements", "several statements"),
)


def of_arguments(arguments: object, views: list[View]) -> Iterator[Warning]:
    """By what the arguments hold: SQL that takes whole tables, characters that deceive, words without an end."""
    yield from _capped(
        [f"{view.path}: {words}" for view in views if isinstance(view, sql.Sql) for words in view.warnings]
    )
    found = [f"{path}: {what}." for path, what in odd(arguments)]
    if found:
        yield Warning("Some text has hidden, reordering or look-alike characters. They are made visible.")
    yield from _capped(found)
    yield from _capped([f"{path}: one word has {size:,} characters." for path, size in _long_words(arguments)])


def _long_words(arguments: object) -> Iterator[tuple[str, int]]:
    for place in places(arguments):
        if isinstance(place.value, str) and len(place.value) > LONGEST_WORD:
            longest = max(map(len, place.value.split()), default=0)
            if longest > LONGEST_WORD:
                yield place.path or "(all)", longest


def differing(now: object, then: object) -> list[str]:
    """The first MOST paths at which two calls' encoded arguments differ, and how; the rest is counted."""
    mine, theirs = dict(values(now)), dict(values(then))
    paths = [path for path in dict.fromkeys([*mine, *theirs]) if _differ(path, mine, theirs)]
    return [*(_difference(path, mine, theirs) for path in paths[:MOST]), *_uncounted(paths)]


def of_refusal(row: RequestRow, denied: Request) -> Iterator[Warning]:
    """What an earlier denied attempt had otherwise: alike in most, or it says nothing about this call."""
    by = f" by {denied.decided_by}" if denied.decided_by else ""
    said = f": “{denied.comment[:120]}”" if denied.comment else ""
    now, then = json.loads(row.arguments), {} if denied.erased_at else json.loads(denied.arguments)
    differences = [] if denied.erased_at else differing(now, then)
    if len(differences) * 2 > len(list(islice(values(now), 2 * MOST))):
        return
    changed = f". What changed: {'; '.join(differences)}" if differences else ""
    yield Warning(f"A request of this agent with this tool was denied{by}{said}{changed}", denied.id)


def _differ(path: str, mine: Mapping[str, object], theirs: Mapping[str, object]) -> bool:
    """Python takes 1 for true, and 1 is not true."""
    if (path in mine) != (path in theirs):
        return True
    one, other = mine[path], theirs[path]
    return type(one) is not type(other) or one != other


def _difference(path: str, mine: Mapping[str, object], theirs: Mapping[str, object]) -> str:
    if is_redacted(mine.get(path)) and is_redacted(theirs.get(path)):
        return f"{path} (another secret)"
    return f"{path} ({_short(path, theirs)} then, {_short(path, mine)} now)"


def _short(path: str, values_of: Mapping[str, object]) -> str:
    if path not in values_of:
        return "nothing"
    value = leaf(values_of[path]).value
    return value if len(value) <= 60 else f"{value[:60]}…"


def _capped(said: list[str]) -> list[Warning]:
    return [Warning(words) for words in (*said[:MOST], *_uncounted(said))]


def _uncounted(said: list[str]) -> list[str]:
    return [f"… and {len(said) - MOST} more"] if len(said) > MOST else []
