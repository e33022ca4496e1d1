"""Keys that a tool's model dropped from the words of a call: no argument of it, and its caller is told so."""

import json
from collections import deque
from collections.abc import Iterator, Mapping, Set
from typing import Any

from approvals.gate.extra_values import has_fields
from approvals.gate.value_json import Nest, Places, bare, is_named, known_by, synonyms_of
from approvals.protocol.canonical import JsonObject

Placed = tuple[str, Any]
"""Words, and where they stand."""

ABSENT = object()


def undeclared(words: object, read: object, path: str = "") -> Iterator[str]:
    """The places of keys that the model dropped. Where it made something else of a value, there is nothing to
    compare."""
    read = bare(read)
    words = _opened(words, read)
    if isinstance(words, dict):
        yield from _of_object(words, read, path)
    elif isinstance(words, list):
        yield from _of_list(words, read, path)


def parsed(words: str) -> object:
    """What JSON in a text says; ABSENT for other text."""
    try:
        return json.loads(words)
    except (ValueError, RecursionError):
        return ABSENT


def _opened(words: object, read: object) -> object:
    """What is in a text that was read as more than one: `Json[…]`, inside something else."""
    is_more = isinstance(read, Mapping | Set | list | tuple | deque) or has_fields(read)
    return parsed(words) if isinstance(words, str) and is_more else words


def _of_object(words: JsonObject, read: object, path: str) -> Iterator[str]:
    known = _found(words, read)
    if known is None:
        return
    surplus = _surplus(words, type(read)) if has_fields(read) else set()
    for key, value in words.items():
        place = _below(path, key)
        if key not in known or key in surplus:
            yield repr(place)  # whole: it is masked before it is cut
        else:
            yield from undeclared(value, known[key], place)


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else str(key)


def _found(words: JsonObject, read: object) -> JsonObject | None:
    """A mapping keeps the order of its keys, which are data: it may spell them in another way."""
    known = known_by(read)
    if not isinstance(read, Mapping) or isinstance(read, Nest) or known is None or words.keys() <= known.keys():
        return known
    return dict(zip(words, read.values(), strict=True)) if len(words) == len(read) else known


def _surplus(words: JsonObject, kind: type) -> set[str]:
    """Names of fields that stand there under another name, too, which is the one that was read."""
    return {name for names in synonyms_of(kind) for name in [name for name in names if name in words][1:]}


def _of_list(words: list[object], read: object, path: str) -> Iterator[str]:
    if isinstance(read, Set):
        yield from _of_many([(f"{path}[{i}]", one) for i, one in enumerate(words)], list(read))
        return
    became: Iterator[tuple[int, Any]] = iter(())
    if isinstance(read, Places):
        became = ((i % len(words), one) for i, one in read.items() if -len(words) <= i < len(words))
    elif isinstance(read, list | tuple | deque) and (len(words) == len(read) or is_named(read)):
        became = enumerate(list(read)[: len(words)])
    for i, one in became:
        yield from undeclared(words[i], one, f"{path}[{i}]")


def _of_many(words: list[Placed], members: list[object]) -> Iterator[str]:
    """Of a set nobody knows which became which: each must be all known to one kind of its members, and so what is below
    them, all of it together."""
    known: dict[type, set[str]] = {}
    values: dict[str, list[Any]] = {}
    for member in map(bare, members):
        found = known_by(member) or {}
        known.setdefault(type(member), set()).update(found)
        for name, item in found.items():
            values.setdefault(name, []).append(item)
    below: dict[str, list[Placed]] = {}
    for place, one in words:
        if isinstance(one, dict) and known and all(known.values()):
            least = min((one.keys() - names for names in known.values()), key=len)
            yield from (repr(f"{place}.{key}") for key in least)
            for key in one.keys() - least:
                below.setdefault(key, []).append((f"{place}.{key}", one[key]))
    for key, placed in below.items():
        yield from _of_many(placed, values.get(key, []))
    yield from _of_their_items(words, members)


def _of_their_items(words: list[Placed], members: list[object]) -> Iterator[str]:
    placed = [(f"{place}[{i}]", item) for place, one in words if isinstance(one, list) for i, item in enumerate(one)]
    items = [item for member in map(bare, members) if isinstance(member, tuple | Set) for item in member]
    if placed and items:
        yield from _of_many(placed, items)
