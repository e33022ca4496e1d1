"""What a tool's input schema promises of its arguments, and arguments as plain values for conditions.

A value that is redacted, too large, or not of the declared type is not passed on: its path is kept with why, and
whoever would touch it has to do without an answer.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from approvals.protocol.canonical import MAX_DEPTH, JsonObject, is_redacted

Path = tuple[str, ...]
EACH = "[]"
"""The step of a path that stands for any element of a list."""
INT64 = range(-(2**63), 2**63)

_KINDS = {
    "integer": "int",
    "number": "number",
    "string": "string",
    "boolean": "bool",
    "array": "list",
    "object": "object",
}
_WORDS = {"int": "an integer", "number": "a number", "string": "text", "bool": "true or false", "list": "a list"}


@dataclass(frozen=True, eq=False)
class Type:
    """The type of a value as far as its schema tells. Types are a graph, as schemas are: one may lie within itself."""

    kind: str = "any"
    """any, int, number, string, bool, list or object."""
    nullable: bool = True
    fields: Mapping[str, "Type"] = field(default_factory=dict)
    closed: bool = False
    """Whether `fields` are all there can be."""
    items: "Callable[[], Type] | None" = None

    @property
    def item(self) -> "Type | None":
        """The type of a list's elements."""
        return self.items() if self.items is not None else None

    @property
    def words(self) -> str:
        return _WORDS.get(self.kind, "an object")


ANY = Type()


def type_of(schema: object) -> Type:
    """The type that a JSON Schema promises; what it says in other ways than type, properties, items, anyOf, oneOf and
    $ref is not used.

    Nothing is read before somebody asks for it, and no place twice: it costs what is looked at, however large the
    schema is and however often it refers to itself.
    """
    found = _Reader(schema).type_at(schema)
    return found if found.kind == "object" else ANY


def plain(encoded: object, declared: Type = ANY) -> tuple[object, dict[Path, str]]:
    """Encoded arguments as plain values, without those that cannot be passed on; these by path, with why."""
    missing: dict[Path, str] = {}
    value = _plain(encoded, declared, ("args",), missing, 0)
    if not isinstance(value, dict) and ("args",) not in missing:
        missing[("args",)] = "is not an object"
    return (value if isinstance(value, dict) else {}), missing


class Paths:
    """Paths with why, asked which of them is another one, leads to it, or is led to: at the cost of its steps."""

    def __init__(self, why: Mapping[Path, str]) -> None:
        self._why = why
        self._above: dict[Path, Path] = {}
        for path in why:
            for length in range(len(path) + 1):
                self._above.setdefault(path[:length], path)

    def met_by(self, path: Path) -> Path | None:
        """One of them that `path` overlaps."""
        if (below := self._above.get(path)) is not None:
            return below
        return next((path[:length] for length in range(len(path)) if path[:length] in self._why), None)


class _Reader:
    """Reads the places of one schema."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[int, Type] = {}
        """By the identity of the place, which the root keeps alive."""

    def type_at(self, schema: object) -> Type:
        known = self._known.get(id(schema))
        if known is None:
            self._known[id(schema)] = ANY  # for whoever asks for it on the way to itself
            try:
                known = self._read(schema)
            except (TypeError, AttributeError, ValueError, KeyError, RecursionError):
                known = ANY
            self._known[id(schema)] = known
        return known

    def _read(self, schema: object) -> Type:
        if not isinstance(schema, Mapping):
            return ANY
        if "$ref" in schema:
            within, _, name = str(schema["$ref"]).partition("#/$defs/")
            return ANY if within else self.type_at(self._root["$defs"][name])
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return self._any_of(options)
        if "allOf" in schema or "not" in schema or "if" in schema:
            return ANY
        names = schema.get("type")
        listed = names if isinstance(names, list) else [names]
        nullable, kinds = "null" in listed, [name for name in listed if name != "null"]
        kind = _KINDS.get(str(kinds[0])) if len(kinds) == 1 else None
        if kind is None:
            return ANY
        if kind == "list":
            return Type(kind, nullable, items=partial(self.type_at, schema.get("items")))
        return self._object(schema, nullable) if kind == "object" else Type(kind, nullable)

    def _any_of(self, options: list[Any]) -> Type:
        real = [option for option in options if option.get("type") != "null"]
        if len(real) != 1:
            return ANY
        one = self.type_at(real[0])
        return replace(one, nullable=one.nullable or len(options) > 1)

    def _object(self, schema: Mapping[str, Any], nullable: bool) -> Type:
        properties = schema.get("properties") or {}
        free = not properties and schema is not self._root
        more = schema.get("additionalProperties", free) or schema.get("patternProperties")
        return Type("object", nullable, _Fields(self, properties), closed=not more)


class _Fields(Mapping[str, Type]):
    """An object's fields, each read when it is asked for."""

    def __init__(self, reader: _Reader, properties: Mapping[str, object]) -> None:
        self._reader = reader
        self._properties = properties

    def __getitem__(self, name: str) -> Type:
        return self._reader.type_at(self._properties[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._properties)

    def __len__(self) -> int:
        return len(self._properties)


def _plain(value: object, declared: Type, path: Path, missing: dict[Path, str], depth: int) -> object:
    """Called for a value that may be kept: the caller drops it again when its own path is in `missing`."""
    if depth > MAX_DEPTH:
        missing[path] = "is nested too deeply"
    elif isinstance(value, dict):
        return _object(value, declared, path, missing, depth)
    elif isinstance(value, list):
        if declared.kind not in {"list", "any"}:
            missing[path] = f"is a list, and the tool declares {declared.words}"
            return None
        item = declared.item or ANY
        return [_plain(each, item, (*path, EACH), missing, depth + 1) for each in value]
    else:
        _check(value, declared, path, missing)
    return value


def _object(value: dict[Any, Any], declared: Type, path: Path, missing: dict[Path, str], depth: int) -> object:
    if is_redacted(value) or "$redacted" in value:
        missing[path] = "is redacted"
        return None
    if value.keys() in ({"$int"}, {"$float"}):
        number = _number(value)
        if number is None:
            missing[path] = "cannot be read"
        else:
            _check(number, declared, path, missing)
        return number
    if any(not isinstance(key, str) or (key.startswith("$") and not key.startswith("$$")) for key in value):
        missing[path] = "cannot be read"
        return None
    if declared.kind not in {"object", "any"}:
        missing[path] = f"is an object, and the tool declares {declared.words}"
        return None
    kept = {}
    for key, below in value.items():
        name = key[1:] if key.startswith("$$") else key
        here = (*path, name)
        plain_value = _plain(below, declared.fields.get(name, ANY), here, missing, depth + 1)
        if here not in missing:
            kept[name] = plain_value
    return kept


def _number(value: JsonObject) -> object:
    try:
        return int(value["$int"]) if "$int" in value else float(value["$float"])
    except (TypeError, ValueError):
        return None


def _check(value: object, declared: Type, path: Path, missing: dict[Path, str]) -> None:
    kind = type(value)
    if value is None:
        if not declared.nullable:
            missing[path] = f"is null, and the tool declares {declared.words}"
    elif kind not in {bool, int, float, str}:
        missing[path] = "cannot be read"
    elif kind is int and value not in INT64:
        missing[path] = "is an integer of more than 64 bits"
    elif not _fits(kind, declared.kind):
        missing[path] = f"is not what the tool declares: {declared.words}"


def _fits(kind: type, declared: str) -> bool:
    if declared == "any":
        return True
    fitting = {bool: {"bool"}, int: {"int", "number"}, float: {"number"}, str: {"string"}}
    return declared in fitting.get(kind, set())
