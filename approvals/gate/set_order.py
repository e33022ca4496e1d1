"""Sets in a tool's schema: defaults and examples, in one order in every process.

Pydantic orders a default that is a set itself, and no set within one.
"""

from approvals.protocol.canonical import JsonObject, canonical, encode
from approvals.protocol.schema_paths import SchemaPaths, TooIntricate

_NAMED = {"properties", "patternProperties", "$defs"}
_LISTED = {"anyOf", "oneOf", "allOf", "prefixItems"}
_SINGLE = {"items", "additionalProperties"}


def ordered(schema: JsonObject) -> JsonObject:
    """The schema, with every list in its defaults and examples in order of which it says that it is a set."""
    try:
        return _Ordering(schema).node(schema)
    except (TooIntricate, RecursionError):
        return schema


class _Ordering:
    def __init__(self, schema: JsonObject) -> None:
        self._schema = schema

    def node(self, node: JsonObject) -> JsonObject:
        return {name: self._part(name, part, node) for name, part in node.items()}

    def _part(self, name: str, part: object, node: JsonObject) -> object:
        if name == "default":
            return self._value(part, [node], SchemaPaths(self._schema))
        if name == "examples" and isinstance(part, list):
            return [self._value(one, [node], SchemaPaths(self._schema)) for one in part]
        if name in _NAMED and isinstance(part, dict):
            return {key: self._inner(inner) for key, inner in part.items()}
        if name in _LISTED and isinstance(part, list):
            return list(map(self._inner, part))
        return self._inner(part) if name in _SINGLE else part

    def _inner(self, schema: object) -> object:
        return self.node(schema) if isinstance(schema, dict) else schema

    def _value(self, value: object, at: list[object], paths: SchemaPaths) -> object:
        if isinstance(value, dict):
            return {key: self._value(item, paths.step(at, key), paths) for key, item in value.items()}
        if not isinstance(value, list):
            return value
        inner = paths.step(at, "[]")
        items = [self._value(item, inner, paths) for item in value]
        is_set = any(place.get("uniqueItems") is True for place in paths.places(at))
        return sorted(items, key=lambda item: canonical(encode(item))) if is_set else items
