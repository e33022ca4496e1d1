"""Arguments as rows that a person can read: a path, a value in words, and what is odd about it."""

import contextlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from approvals.protocol.canonical import decode, is_redacted
from approvals.service.text import oddities, visible

MAX_ROWS = 100
MAX_VALUE = 6000
"""Characters of one value; the raw view has all of it."""


@dataclass(frozen=True)
class Line:
    """One leaf."""

    path: str
    value: str
    secret: bool = False
    odd: tuple[str, ...] = ()
    """What is odd about its characters, in words."""
    more: int = 0
    """Characters that are left out here."""
    stand_in: str = ""
    """Of a secret: equal for equal secrets."""
    above: bool = False
    """Whether a view above shows it whole, so that it is not repeated."""


def lines(arguments: Any, above: Collection[str] = ()) -> tuple[list[Line], int]:
    """The first MAX_ROWS leaves of encoded arguments, in order, and how many more there are; a value whose path is in
    `above` is named only."""
    leaves = list(_leaves(arguments, "", above))
    return leaves[:MAX_ROWS], len(leaves[MAX_ROWS:])


def all_lines(arguments: Any) -> Iterator[Line]:
    """Every leaf, none left out."""
    return _leaves(arguments, "", ())


def step(path: str, key: str | int) -> str:
    """One step further down."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{_name(key)}" if path else _name(key)


def leaf(value: Any, path: str = "") -> Line:
    """One encoded leaf: different values never look the same, unless cut."""
    if is_redacted(value):
        return Line(path, f"•••• secret, {value['length']} characters", secret=True, stand_in=value["$redacted"])
    plain = decode(value)
    text = _quoted(plain) if isinstance(plain, str) else _word(plain)
    return Line(path, visible(text, keep="\n\t"), odd=oddities(text))


def _leaves(value: Any, path: str, above: Collection[str]) -> Iterator[Line]:
    if path in above and path:
        yield Line(path, "above", above=True)
    elif isinstance(value, dict) and value and not is_redacted(value) and not value.keys() <= {"$int", "$float"}:
        for key, item in value.items():
            name = str(decode({key: 0}).popitem()[0])
            if odd := oddities(name):
                yield Line(step(path, name), "(the name itself)", odd=odd)
            yield from _leaves(item, step(path, name), above)
    elif isinstance(value, list) and value:
        for i, item in enumerate(value):
            yield from _leaves(item, step(path, i), above)
    else:
        line = leaf(value, path or "(none)")
        more = max(0, len(line.value) - MAX_VALUE)
        yield replace(line, value=line.value[:MAX_VALUE], more=more) if more else line


def _word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def _name(key: str) -> str:
    """A key as a step of a path; quoted where it would read as several."""
    plain = key and not set(key) & set('.[]"') and key == key.strip()
    return visible(key if plain else json.dumps(key, ensure_ascii=False))


def _quoted(text: str) -> str:
    """Text as it is, but in quotes where it would read as something else: a number, nothing, a secret."""
    with contextlib.suppress(ValueError):
        json.loads(text)
        return json.dumps(text, ensure_ascii=False)
    looks_plain = text and text == text.strip() and not text.startswith(('"', "{", "[", "•"))
    return text if looks_plain else json.dumps(text, ensure_ascii=False)
