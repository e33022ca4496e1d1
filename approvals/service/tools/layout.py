"""The order and the names that a tool's input schema gives to its arguments. Pure.

A schema is a graph, and somebody else's: what a node is put together of is followed for MOST_PARTS steps at most.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from approvals.protocol.canonical import is_redacted

MOST_PARTS = 100
MOST_TITLE = 80
MOST_ARGUMENTS = 40
MOST_WORDS = 300
_NOTHING: dict[str, Any] = {}


@dataclass(frozen=True)
class Argument:
    """What a schema says of one argument, for people."""

    name: str
    kind: str
    required: bool
    words: str


class Layout:
    """One place in a schema, and what may stand below it. Places of one node of the schema are one."""

    def __init__(self, schema: Any, within: "Layout | None" = None) -> None:
        self._root: Mapping[str, Any] = schema if within is None else within._root
        self._made: dict[int, Layout] = {} if within is None else within._made
        self._parts = list(_parts(schema, self._root))

    @property
    def parts(self) -> list[Mapping[str, Any]]:
        """All that the place is put together of, itself first."""
        return self._parts

    @property
    def names(self) -> list[str]:
        """Of the properties that may stand here."""
        return list(self._properties)

    @cached_property
    def title(self) -> str:
        """As its author named it, if at all."""
        titles = (part.get("title") for part in self._parts)
        return next((title for title in titles if isinstance(title, str)), "")[:MOST_TITLE]

    @cached_property
    def words(self) -> str:
        """What its author says of it."""
        said = (part.get("description") for part in self._parts)
        return next((words for words in said if isinstance(words, str)), self.title)[:MOST_WORDS]

    @cached_property
    def kind(self) -> str:
        """An argument's type, as far as the schema says one."""
        found: list[str] = []
        for part in self._parts:
            named = part.get("type")
            found += [name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str)]
            found += [f"one of {_some(part['enum'])}"] if isinstance(part.get("enum"), list) else []
        return " or ".join(list(dict.fromkeys(found))[:4])[:MOST_TITLE] or "anything"

    @property
    def arguments(self) -> list[Argument]:
        """The arguments that the schema names, in its order."""
        lists = (part.get("required") for part in self._parts)
        required = [name for names in lists if isinstance(names, list) for name in names]
        named = list(self._properties)[:MOST_ARGUMENTS]
        return [Argument(name, self.of(name).kind, name in required, self.of(name).words) for name in named]

    def of_item(self) -> "Layout":
        """Of what stands in a list."""
        return self._below(self._first("items"))

    def of(self, name: str) -> "Layout":
        """Of what stands under a name."""
        return self._below(self._properties.get(name) or self._first("additionalProperties"))

    def arranged(self, value: object) -> object:
        """Encoded arguments in the schema's order; what it does not name follows as it came."""
        if isinstance(value, list):
            below = self.of_item()
            return [below.arranged(item) if isinstance(item, dict | list) else item for item in value]
        if not isinstance(value, dict) or is_redacted(value) or value.keys() <= {"$int", "$float"}:
            return value
        named = {plain_name(key): key for key in value}
        order = [*(name for name in self._properties if name in named), *named]
        return {named[name]: self.of(name).arranged(value[named[name]]) for name in dict.fromkeys(order)}

    @cached_property
    def _properties(self) -> dict[str, object]:
        found: dict[str, Any] = {}
        for part in self._parts:
            properties = part.get("properties")
            if isinstance(properties, dict):
                found = properties if not found else properties | found
        return found

    def _first(self, keyword: str) -> object:
        return next((part[keyword] for part in self._parts if isinstance(part.get(keyword), dict)), _NOTHING)

    def _below(self, schema: object) -> "Layout":
        if id(schema) not in self._made:
            self._made[id(schema)] = Layout(schema, self)
        return self._made[id(schema)]


def plain_name(key: str) -> str:
    """An encoded key as the call has it."""
    return key[1:] if key.startswith("$$") else key


def _some(values: Sequence[object]) -> str:
    return ", ".join(str(value)[:20] for value in values[:5]) + ("…" if len(values) > 5 else "")


def _parts(schema: object, root: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
    """A node and all that it is put together of, itself first."""
    waiting, seen = [schema], set[int]()
    while waiting and len(seen) < MOST_PARTS:
        part = waiting.pop(0)
        if isinstance(part, dict) and id(part) not in seen:
            seen.add(id(part))
            yield part
            for keyword in ("allOf", "anyOf", "oneOf"):
                waiting += part.get(keyword, [])[:MOST_PARTS] if isinstance(part.get(keyword), list) else []
            if isinstance(part.get("$ref"), str):
                waiting.append(_named(part["$ref"], root))


def _named(reference: str, root: Mapping[str, object]) -> object:
    """What a reference within the schema names; nothing for any other."""
    place: Any = root if reference.startswith("#") else None
    for step in reference.split("/")[1:]:
        place = place.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(place, dict) else None
    return place
