"""What a tool's input schema promises of its arguments, and arguments as plain values for conditions.

A value that is redacted, too large, or not of the declared type is not passed on: its path is kept with why, and
whoever would touch it has to do without an answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from approvals.protocol.canonical import MAX_DEPTH, is_redacted

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


@dataclass(frozen=True)
class Shape:
    """The type of a value as far as its schema tells."""

    kind: str = "any"
    """any, int, number, string, bool, list or object."""
    nullable: bool = True
    fields: Mapping[str, "Shape"] = field(default_factory=dict)
    closed: bool = False
    """Whether `fields` are all there can be."""
    item: "Shape | None" = None

    @property
    def words(self) -> str:
        return _WORDS.get(self.kind, "an object")


ANY = Shape()


def shape_of(schema: Any) -> Shape:
    """Of a JSON Schema; what it says in other ways than type, properties, items, anyOf, oneOf and $ref is not used."""
    try:
        shape = _shape(schema, schema, 0)
    except (TypeError, AttributeError, ValueError, KeyError, RecursionError):
        return ANY
    return shape if shape.kind == "object" else ANY


def plain(encoded: Any, shape: Shape = ANY) -> tuple[Any, dict[Path, str]]:
    """Encoded arguments as plain values, without those that cannot be passed on; these by path, with why."""
    missing: dict[Path, str] = {}
    value = _plain(encoded, shape, ("args",), missing, 0)
    if not isinstance(value, dict) and ("args",) not in missing:
        missing[("args",)] = "is not an object"
    return (value if isinstance(value, dict) else {}), missing


def overlap(one: Path, other: Path) -> bool:
    """Whether one path is the other, or leads to it."""
    return all(a == b for a, b in zip(one, other, strict=False))


def _shape(schema: Any, root: Any, depth: int) -> Shape:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return ANY
    if "$ref" in schema:
        name = str(schema["$ref"])
        definitions = root.get("$defs", {})
        target = definitions.get(name.removeprefix("#/$defs/")) if name.startswith("#/$defs/") else None
        return _shape(target, root, depth + 1)
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return _any_of([_shape(option, root, depth + 1) for option in options if option.get("type") != "null"], options)
    if "allOf" in schema or "not" in schema or "if" in schema:
        return ANY
    names = schema.get("type")
    listed = names if isinstance(names, list) else [names]
    nullable, kinds = "null" in listed, [name for name in listed if name != "null"]
    kind = _KINDS.get(str(kinds[0])) if len(kinds) == 1 else None
    if kind is None:
        return ANY
    if kind == "list":
        return Shape(kind, nullable, item=_shape(schema.get("items"), root, depth + 1))
    if kind != "object":
        return Shape(kind, nullable)
    properties = schema.get("properties") or {}
    fields = {str(name): _shape(below, root, depth + 1) for name, below in properties.items()}
    more = schema.get("additionalProperties", not fields and depth > 0) or schema.get("patternProperties")
    return Shape(kind, nullable, fields, closed=not more)


def _any_of(shapes: list[Shape], options: list[Any]) -> Shape:
    if len(shapes) != 1:
        return ANY
    one = shapes[0]
    nullable = one.nullable or len(options) > 1
    return Shape(one.kind, nullable, one.fields, one.closed, one.item)


def _plain(value: Any, shape: Shape, path: Path, missing: dict[Path, str], depth: int) -> Any:
    """Called for a value that may be kept: the caller drops it again when its own path is in `missing`."""
    if depth > MAX_DEPTH:
        missing[path] = "is nested too deeply"
    elif isinstance(value, dict):
        return _object(value, shape, path, missing, depth)
    elif isinstance(value, list):
        if shape.kind not in {"list", "any"}:
            missing[path] = f"is a list, and the tool declares {shape.words}"
            return None
        item = shape.item or ANY
        return [_plain(each, item, (*path, EACH), missing, depth + 1) for each in value]
    else:
        _check(value, shape, path, missing)
    return value


def _object(value: dict[Any, Any], shape: Shape, path: Path, missing: dict[Path, str], depth: int) -> Any:
    if is_redacted(value) or "$redacted" in value:
        missing[path] = "is redacted"
        return None
    if value.keys() in ({"$int"}, {"$float"}):
        number = _number(value)
        if number is None:
            missing[path] = "cannot be read"
        else:
            _check(number, shape, path, missing)
        return number
    if any(not isinstance(key, str) or (key.startswith("$") and not key.startswith("$$")) for key in value):
        missing[path] = "cannot be read"
        return None
    if shape.kind not in {"object", "any"}:
        missing[path] = f"is an object, and the tool declares {shape.words}"
        return None
    kept = {}
    for key, below in value.items():
        name = key[1:] if key.startswith("$$") else key
        here = (*path, name)
        plain_value = _plain(below, shape.fields.get(name, ANY), here, missing, depth + 1)
        if here not in missing:
            kept[name] = plain_value
    return kept


def _number(value: dict[str, Any]) -> Any:
    try:
        return int(value["$int"]) if "$int" in value else float(value["$float"])
    except (TypeError, ValueError):
        return None


def _check(value: Any, shape: Shape, path: Path, missing: dict[Path, str]) -> None:
    kind = type(value)
    if value is None:
        if not shape.nullable:
            missing[path] = f"is null, and the tool declares {shape.words}"
    elif kind not in {bool, int, float, str}:
        missing[path] = "cannot be read"
    elif kind is int and value not in INT64:
        missing[path] = "is an integer of more than 64 bits"
    elif not _fits(kind, shape.kind):
        missing[path] = f"is not what the tool declares: {shape.words}"


def _fits(kind: type, declared: str) -> bool:
    if declared == "any":
        return True
    fitting = {bool: {"bool"}, int: {"int", "number"}, float: {"number"}, str: {"string"}}
    return declared in fitting.get(kind, set())
