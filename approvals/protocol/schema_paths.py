"""Whether a path names anything in a tool's input schema, and what to write instead. A schema is gone through as the
graph it is."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from approvals.protocol.canonical import JsonObject
from approvals.protocol.secret_paths import ANY_NAME, Steps, declared_at, steps_of

MOST = 20_000
"""Places of one schema that are looked at; one of more is refused."""


class TooIntricate(Exception):
    """Looking further would cost too much."""


class SchemaPaths:
    """Follows paths through one schema."""

    def __init__(self, schema: object) -> None:
        self._root = schema if isinstance(schema, dict) else {}
        self._looked = 0

    @property
    def root(self) -> list[object]:
        """Where every path begins."""
        return [self._root]

    def names(self, at: Sequence[object]) -> frozenset[str]:
        """The names that these schemas give to what may stand there."""
        return frozenset(name for place in self.places(at) for name in _dict(place, "properties"))

    def fault(self, path: str, *, through_anything: bool = False) -> str:
        """Why the path names nothing, in words; nothing if it names something. `through_anything` lets it go on where
        the schema leaves open what there is."""
        at, where = [self._root], ""
        for step in steps_of(path):
            found = self.step(at, step)
            if not found:
                open_end = through_anything and any(_is_open(place) for place in self.places(at))
                return "" if open_end else self._words(at, step, where)
            if not through_anything and (meant := self._meant(at, step)):
                return f"{where!r} has names of its caller's: write {where}{meant}.{step} for each of its values"
            at, where = found, f"{where}[]" if step == "[]" else f"{where}.{step}" if where else step
        return ""

    def stated(self, path: str) -> Iterator[object]:
        """Every value that the schema itself gives what the path names, where it stands or as a part of more."""
        at, rest = [self._root], steps_of(path)
        while rest:
            yield from self._values(at, rest)
            at, rest = self.step(at, rest[0]), rest[1:]
        yield from self._values(at, rest)

    def _values(self, at: Sequence[object], rest: Steps) -> Iterator[object]:
        for place in self.places(at):
            many = [place.get(name) for name in ("examples", "enum")]
            listed = [value for values in many if isinstance(values, list) for value in values]
            for value in (place.get("default"), place.get("const"), place.get("example"), *listed):
                yield from declared_at(value, [rest]) if rest else [value]

    def step(self, at: Sequence[object], step: str) -> list[Any]:
        """Where one step leads from these schemas."""
        return [schema for place in self.places(at) for schema in _taken(place, step)]

    def _meant(self, at: Sequence[object], name: str) -> str:
        """The way to what has this name below the values of an object, where it would be taken for one of its own
        names."""
        seen: dict[int, JsonObject] = {}
        own = [place for place in self.places(at) if name not in _dict(place, "properties")]
        waiting = [([schema for place in own for schema in _each_value(place)], f".{ANY_NAME}")]
        while waiting:
            at, way = waiting.pop(0)
            fresh = [place for place in self.places(at) if id(place) not in seen]
            seen |= {id(place): place for place in fresh}
            if any(name in _dict(place, "properties") for place in fresh):
                return way
            for taken, sign in ((_each_value, f".{ANY_NAME}"), (_items, "[]")):
                below = [schema for place in fresh for schema in taken(place)]
                waiting += [(below, way + sign)] if below else []
        return ""

    def places(self, at: Sequence[object]) -> Iterator[JsonObject]:
        """The schemas that may hold at a place, each once: behind references, and every alternative."""
        waiting, seen = list(at), set[int]()
        while waiting:
            place = waiting.pop()
            if not isinstance(place, dict) or id(place) in seen:
                continue
            seen.add(id(place))
            self._looked += 1
            if self._looked > MOST:
                raise TooIntricate
            yield place
            waiting.append(self._behind(place.get("$ref")))
            for name in ("anyOf", "oneOf", "allOf"):
                waiting.extend(place[name] if isinstance(place.get(name), list) else ())

    def _behind(self, reference: object) -> object:
        within, _, name = str(reference).partition("#/$defs/")
        definitions = self._root.get("$defs")
        return definitions.get(name) if not within and isinstance(definitions, dict) else None

    def _words(self, at: Sequence[object], step: str, where: str) -> str:
        places = list(self.places(at))
        here = f"{where!r}" if where else "the tool"
        if step == "[]":
            return f"{here} is no list"
        if step == ANY_NAME:
            return f"{here} has no names of its caller's: write which of its own"
        if any(_is_list(place) for place in places):
            return f"{here} is a list: write {where}[].{step}"
        known = [name for place in places for name in _dict(place, "properties")]
        if known:
            near = difflib.get_close_matches(step, known[:1000], 1)
            return f"{here} has no {step!r}" + (f": did you mean {near[0]!r}?" if near else "")
        if any(_is_open(place) for place in places):
            return f"{here} may be anything: name {here} itself, or give it a type"
        return f"there is nothing below {here}" if where else f"the tool has no {step!r}"


def _named(place: JsonObject, name: str) -> Iterator[object]:
    properties = _dict(place, "properties")
    if name in properties:
        yield properties[name] if isinstance(properties[name], dict) else {}
        return
    yield from _unnamed(place)


def _each_value(place: JsonObject) -> Iterator[object]:
    """Of each value of an object whose names are its caller's."""
    unnamed = list(_unnamed(place))
    yield from unnamed
    yield from _dict(place, "properties").values() if unnamed else ()


def _unnamed(place: JsonObject) -> Iterator[object]:
    yield from _dict(place, "patternProperties").values()
    more = place.get("additionalProperties")
    if more is True or isinstance(more, dict):
        yield more if isinstance(more, dict) else {}


def _items(place: JsonObject) -> Iterator[object]:
    if not _is_list(place):
        return
    listed = place.get("prefixItems")
    yield from listed if isinstance(listed, list) else ()
    items = place.get("items")
    if isinstance(items, dict) or not listed:
        yield items if isinstance(items, dict) else {}


def _taken(place: JsonObject, step: str) -> Iterator[object]:
    return _items(place) if step == "[]" else _each_value(place) if step == ANY_NAME else _named(place, step)


def _is_list(place: JsonObject) -> bool:
    return "array" in _types(place) or "items" in place or "prefixItems" in place


def _is_open(place: JsonObject) -> bool:
    """Whether it leaves open of what kind a value is."""
    said = place.keys() & {"$ref", "anyOf", "oneOf", "allOf", "properties", "enum", "const"}
    return not said and not _types(place)


def _types(place: JsonObject) -> list[object]:
    kinds = place.get("type")
    return kinds if isinstance(kinds, list) else [] if kinds is None else [kinds]


def _dict(place: JsonObject, name: str) -> JsonObject:
    found = place.get(name)
    return found if isinstance(found, dict) else {}


def property_names(schema: object) -> frozenset[str]:
    """Every name that a schema gives to a property, of its first MOST places."""
    found, waiting = set[str](), [schema]
    for _ in range(MOST):
        if not waiting:
            break
        place = waiting.pop()
        if isinstance(place, dict):
            found.update(_dict(place, "properties"))
        waiting.extend(place.values() if isinstance(place, dict) else place if isinstance(place, list) else ())
    return frozenset(found)
