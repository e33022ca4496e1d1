"""What a caller said, apart from what its call makes by itself.

Two calls are the same if they say the same. The words are read by the tool's types alone: so `5` and `"5"`, `Z` and
`+00:00`, and a default that is left out or stated are one. Code of the tool's author is not run: where a validator
stands before a type, the words count as they are; where it stands after one, what the type made of them; and what a
factory would fill in does not count. So equal words are equal at every time and in every process.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import SchemaError, SchemaValidator

from approvals.errors import Invalid
from approvals.gate.shown import shown

Node = dict[str, Any]

_CHILDREN = {
    *("schema", "items_schema", "keys_schema", "values_schema", "choices", "fields", "definitions", "steps"),
    *("lax_schema", "strict_schema", "json_schema", "python_schema"),
}
_EMPTY = {list, dict, set, tuple, frozenset, str, int, float, bool}
"""Factories that make the same each time."""
_BETWEEN = {"function-before", "function-wrap", "function-plain", "function-after"}
_PYDANTICS = ("pydantic._internal.", "pydantic.types", "pydantic.networks")
"""Whose functions are no author's."""


def said(model: type[BaseModel], words: dict[str, Any]) -> Any:
    """JSON that is equal for calls that say the same, and for no others."""
    try:
        return ["read", shown(_reader(model).validate_python(words))]
    except (ValidationError, SchemaError, Invalid, TypeError, ValueError):
        return ["words", words]


@lru_cache(1024)
def makes(model: type[BaseModel]) -> bool:
    """Whether a call may show more than it said: the author has code of their own between the words and the values."""
    return any(map(_is_authors, _nodes(model.__pydantic_core_schema__)))


def unsayable(model: type[BaseModel]) -> str:
    """Why the arguments of a tool can be neither shown nor compared, or nothing."""
    return next(filter(None, map(_unsayable, _nodes(model.__pydantic_core_schema__))), "")


@lru_cache(1024)
def _reader(model: type[BaseModel]) -> SchemaValidator:
    return SchemaValidator(_plain(model.__pydantic_core_schema__))


def _plain(node: Any) -> Any:
    """A schema without its author's code, whose objects are dicts."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if isinstance(node, tuple):  # a choice and its label
        return (_plain(node[0]), *node[1:])
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    if not isinstance(kind, str):  # fields or choices by their names
        return {name: _plain(item) for name, item in node.items()}
    special = _SPECIAL.get(kind)
    return special(node) if special is not None else _same(node)


def _same(node: Node) -> Node:
    return {name: _plain(item) if name in _CHILDREN else item for name, item in node.items() if name != "serialization"}


def _words(node: Node) -> Node:
    """As they came."""
    return {"type": "any", **_ref(node)}


def _before(node: Node) -> Node:
    return _same(node) if _is_pydantics(node) else _words(node)


def _after(node: Node) -> Node:
    return _same(node) if _is_pydantics(node) else _plain(node["schema"]) | _ref(node)


def _default(node: Node) -> Node:
    made = node.get("default_factory") not in {None, *_EMPTY}
    inner: Node = _plain(node["schema"])
    return inner if made else _same(node)


def _object(node: Node) -> Node:
    """A model or dataclass around its fields, or around what its author put before them."""
    if node.get("custom_init"):
        return _words(node)
    inner: Node = _plain(node["schema"])
    config = {"config": node["config"]} if "config" in node and inner["type"] == "typed-dict" else {}
    return inner | config | _ref(node)


def _fields(node: Node) -> Node:
    """A dict; what is no field's is kept as well, so that no word is lost."""
    known = {_spoken(name, field): _field(field) for name, field in _named(node)}
    config = {"config": node["config"]} if "config" in node else {}
    return {"type": "typed-dict", "fields": known, "extra_behavior": "allow", **config, **_ref(node)}


def _field(field: Node) -> Node:
    alias = {"validation_alias": field["validation_alias"]} if "validation_alias" in field else {}
    required = field.get("required", field["schema"]["type"] != "default")
    return {"type": "typed-dict-field", "schema": _plain(field["schema"]), "required": required, **alias}


def _named(fields: Node) -> Iterator[tuple[str, Node]]:
    listed = fields["fields"]
    yield from listed.items() if isinstance(listed, dict) else ((field["name"], field) for field in listed)


def _spoken(name: str, field: Node) -> str:
    """As `shown` names it."""
    alias = field.get("validation_alias", name)
    paths = [[alias]] if isinstance(alias, str) else alias
    return next((path[0] for path in paths if isinstance(path, list) and len(path) == 1), name)


def _ref(node: Node) -> Node:
    return {"ref": node["ref"]} if "ref" in node else {}


def _is_pydantics(node: Node) -> bool:
    function = node["function"]["function"]
    module = getattr(getattr(function, "func", function), "__module__", None) or ""
    return module.startswith(_PYDANTICS)


def _is_authors(node: Node) -> bool:
    if node["type"] in _BETWEEN:
        return not _is_pydantics(node)
    made = node.get("default_factory") not in {None, *_EMPTY}
    return made or node["type"] == "call" or bool(node.get("custom_init") or node.get("post_init"))


def _nodes(node: Any) -> Iterator[Node]:
    """Every part of a schema that has a type."""
    if isinstance(node, dict) and isinstance(node.get("type"), str):
        yield node
        node = {name: item for name, item in node.items() if name in _CHILDREN}
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        yield from _nodes(item)


def _unsayable(node: Node) -> str:
    if node["type"] == "generator":
        return "an Iterable can be read only once, so nobody could look at it first; use a list"
    if getattr(node.get("serialization", {}).get("function"), "__name__", "").startswith("_serialize_secret"):
        return "SecretStr and its like are written as asterisks; use str, and Approval(secret=[…])"
    if node.get("init_only"):
        return "an InitVar is gone once it was read, so nobody could see it; use a field"
    plain = node["type"] == "dataclass" and not hasattr(node["cls"], "__pydantic_fields__")
    fields = node["schema"] if plain else node if node["type"] == "typed-dict" else {"fields": {}}
    if any("validation_alias" in field for _, field in _named(fields)):
        return "a TypedDict or plain dataclass forgets the aliases of its fields; use a model"
    return ""


_SPECIAL: dict[str, Callable[[Node], Node]] = {
    "function-before": _before,
    "function-wrap": _before,
    "function-plain": _before,
    "function-after": _after,
    "call": _words,
    "default": _default,
    "model": _object,
    "dataclass": _object,
    "model-fields": _fields,
    "dataclass-args": _fields,
    "typed-dict": _fields,
}
