"""Arguments as rows that a person can read: a path, a value in words, and what is odd about it."""

import contextlib
import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeGuard

from approvals.protocol.canonical import JsonObject, decode, is_redacted
from approvals.service.text import is_ordinary, oddities, visible
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


def lines(arguments: object, above: Collection[str] = (), layout: Layout = _NONE) -> tuple[list[Line], int]:
    """The first MAX_ROWS leaves of encoded arguments, in the layout's order and with its titles, and how many more
    there are; a value whose path is in `above` is named only."""
    shown = list(islice(_leaves(layout.arranged(arguments), "", above, layout), MAX_ROWS))
    return shown, _rows(arguments, "", above) - MAX_ROWS if len(shown) == MAX_ROWS else 0


def values(arguments: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every encoded leaf under its path."""
    if not _is_nest(arguments):
        yield path or "(all)", arguments
        return
    for key, item in _inside(arguments):
        yield from values(item, step(path, key))


def odd(arguments: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Whatever is odd about names and texts, by path. Most have nothing odd and cost no more than a look."""
    if isinstance(arguments, str):
        yield from ((path or "(all)", what) for what in oddities(_quoted(arguments)))
    elif _is_nest(arguments):
        for key, item in _inside(arguments):
            if isinstance(key, str):
                yield from ((step(path, key), what) for what in oddities(key))
            if isinstance(item, dict | list) or (isinstance(item, str) and not is_ordinary(item)):
                yield from odd(item, step(path, key))


def step(path: str, key: str | int) -> str:
    """One step further down."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{_name(key)}" if path else _name(key)


def leaf(value: object, path: str = "") -> Line:
    """One encoded leaf: different values never look the same, unless cut."""
    if is_redacted(value):
        return Line(path, f"•••• secret, {value['length']} characters", secret=True, stand_in=value["$redacted"])
    plain = decode(value)
    text = _quoted(plain) if isinstance(plain, str) else _word(plain)
    return Line(path, visible(text, keep="\n\t"), odd=oddities(text))


def _leaves(value: object, path: str, above: Collection[str], layout: Layout) -> Iterator[Line]:
    if path in above and path:
        yield Line(path, "above", _title(layout, path), above=True)
    elif _is_nest(value):
        for key, item in _inside(value):
            if isinstance(key, str) and (said := oddities(key)):
                yield Line(step(path, key), "(the name itself)", odd=said)
            within = layout.of(key) if isinstance(key, str) else layout.of_item()
            yield from _leaves(item, step(path, key), above, within)
    else:
        line = replace(leaf(value, path or "(all)"), title=_title(layout, path))
        more = max(0, len(line.value) - MAX_VALUE)
        yield replace(line, value=line.value[:MAX_VALUE], more=more) if more else line


def _rows(value: object, path: str, above: Collection[str]) -> int:
    """How many lines `_leaves` makes, none of them made; paths are written only on the way to what is above."""
    if not _is_nest(value) or (path and path in above):
        return 1
    above = [one for one in above if one.startswith(path)]
    names = sum(1 for name in value if oddities(plain_name(name))) if isinstance(value, dict) else 0
    if above:
        return names + sum(_rows(item, step(path, key), above) for key, item in _inside(value))
    nests = [item for item in (value.values() if isinstance(value, dict) else value) if isinstance(item, dict | list)]
    return names + len(value) - len(nests) + sum(_rows(item, "", ()) for item in nests)


def _is_nest(value: object) -> TypeGuard[JsonObject | list[object]]:
    """Whether there are leaves below, and it is not one itself: a number or a secret in an object's clothes."""
    if isinstance(value, dict):
        return bool(value) and not is_redacted(value) and not value.keys() <= {"$int", "$float"}
    return isinstance(value, list) and bool(value)


def _inside(value: JsonObject | list[object]) -> Iterator[tuple[str | int, object]]:
    """What stands in an object or a list, by its name as the call has it, or its number."""
    if isinstance(value, list):
        return enumerate(value)
    return ((plain_name(key), item) for key, item in value.items())


def _title(layout: Layout, path: str) -> str:
    """Nothing where it is only the name again, as libraries make titles of names."""
    title = visible(layout.title)
    name = path.rpartition(".")[2]
    return "" if _NO_LETTER.sub("", title).casefold() == _NO_LETTER.sub("", name).casefold() else title


def _word(value: object) -> str:
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
