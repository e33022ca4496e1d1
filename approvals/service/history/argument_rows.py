"""Arguments as rows that a person can read: a path, a value in words, and what is odd about it."""

import contextlib
import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from approvals.protocol.canonical import decode, is_redacted
from approvals.service.text import oddities, visible
from approvals.service.tools.layout import Layout, plain_name

_NONE = Layout({})
_NO_LETTER = re.compile(r"[\W_]")
MAX_NAME = 200
"""Characters of one name in a path."""
MAX_ROWS = 100
MAX_VALUE = 6000
"""Characters of one value; the raw view has all of it."""


@dataclass(frozen=True)
class Line:
    """One leaf."""

    path: str
    value: str
    title: str = ""
    """What the tool calls it, where that says more than the path."""
    secret: bool = False
    odd: tuple[str, ...] = ()
    """What is odd about its characters, in words."""
    more: int = 0
    """Characters that are left out here."""
    stand_in: str = ""
    """Of a secret: equal for equal secrets."""
    above: bool = False
    """Whether a view above shows it whole, so that it is not repeated."""


def lines(arguments: Any, above: Collection[str] = (), layout: Layout = _NONE) -> tuple[list[Line], int]:
    """The first MAX_ROWS leaves of encoded arguments, in the layout's order and with its titles, and how many more
    there are; a value whose path is in `above` is named only."""
    leaves = list(_leaves(layout.arranged(arguments), "", above, layout))
    return leaves[:MAX_ROWS], len(leaves[MAX_ROWS:])


def all_lines(arguments: Any) -> Iterator[Line]:
    """Every leaf, none left out."""
    return _leaves(arguments, "", (), _NONE)


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


def _leaves(value: Any, path: str, above: Collection[str], layout: Layout) -> Iterator[Line]:
    if path in above and path:
        yield Line(path, "above", _title(layout, path), above=True)
    elif isinstance(value, dict) and value and not is_redacted(value) and not value.keys() <= {"$int", "$float"}:
        for key, item in value.items():
            name = plain_name(key)
            if odd := oddities(name):
                yield Line(step(path, name), "(the name itself)", odd=odd)
            yield from _leaves(item, step(path, name), above, layout.of(name))
    elif isinstance(value, list) and value:
        for i, item in enumerate(value):
            yield from _leaves(item, step(path, i), above, layout.of_item())
    else:
        line = replace(leaf(value, path or "(all)"), title=_title(layout, path))
        more = max(0, len(line.value) - MAX_VALUE)
        yield replace(line, value=line.value[:MAX_VALUE], more=more) if more else line


def _title(layout: Layout, path: str) -> str:
    """Nothing where it is only the name again, as libraries make titles of names."""
    title = visible(layout.title)
    name = path.rpartition(".")[2]
    return "" if _NO_LETTER.sub("", title).casefold() == _NO_LETTER.sub("", name).casefold() else title


def _word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def _name(key: str) -> str:
    """A key as a step of a path; quoted where it would read as several. A long one is cut, and stays another than all
    that begin alike: each path below it holds it again."""
    if len(key) > MAX_NAME:
        key = f"{key[:MAX_NAME]}… ({len(key):,} characters, {hashlib.sha256(key.encode()).hexdigest()[:16]})"
    plain = key and not set(key) & set('.[]"') and key == key.strip()
    return visible(key if plain else json.dumps(key, ensure_ascii=False))


def _quoted(text: str) -> str:
    """Text as it is, but in quotes where it would read as something else: a number, nothing, a secret."""
    with contextlib.suppress(ValueError):
        json.loads(text)
        return json.dumps(text, ensure_ascii=False)
    looks_plain = text and text == text.strip() and not text.startswith(('"', "{", "[", "•"))
    return text if looks_plain else json.dumps(text, ensure_ascii=False)
