"""What a caller said, apart from what its call makes by itself.

Two calls are the same if they say the same. An argument that pydantic's own types read counts as they read it: so `5`
and `"5"`, `Z` and `+00:00`, and a default that is left out or stated are one. Where code of the tool's author has a
hand in an argument, nobody can show that two spellings of it, or its default and its absence, come to the same: it
counts in the words that came, or as absent. So equal words are equal at every time and in every process.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from approvals.gate.value_json import classes, names_of, spellings_of
from approvals.protocol.canonical import JsonObject

Node = JsonObject

_NO_SCHEMA = {"serialization", "metadata", "default", "config", "function", "expected", "members", "cls"}
"""What a schema holds beside its parts."""
_EMPTY = (list, dict, set, tuple, frozenset, str, int, float, bool)
"""Factories that make the same each time."""
_BETWEEN = {"function-before", "function-wrap", "function-plain", "function-after"}
_AROUND = {"model-field", "default", "nullable"}
"""What stands around the schema of an argument itself."""
_LEFT_AS_TEXT = {"int", "float", "str", "bool"}
"""What MCPServer leaves to the model to parse."""
_HOOKS = ("custom_init", "post_init")
"""Where models and dataclasses call their author."""
_PYDANTICS = ("pydantic._internal.", "pydantic.types", "pydantic.networks")
"""Whose functions are no author's."""
_WRAPPERS = "pydantic._internal._decorators_v1"
"""But these call an author's."""


def said(read: BaseModel, words: JsonObject, shown: JsonObject) -> object:
    """JSON that is equal for calls that say the same, and for no others: of arguments that are read, and shown, so."""
    model = type(read)
    authors = authored(model)
    theirs = {names_of(model)[name] for name in authors}
    literal = {spelling for name in authors for spelling in spellings_of(model)[name]}
    plain = {name: form for name, form in shown.items() if name not in theirs}
    chosen = {name: classes(getattr(read, name)) for name in _choosing(model) - authors}
    return [plain, {name: word for name, word in words.items() if name in literal}, chosen]


def makes(model: type[BaseModel]) -> bool:
    """Whether a call may show more than it said: the author has code of their own between the words and the values."""
    return bool(authored(model))


def chooses(model: type[BaseModel]) -> bool:
    """Whether words that are shown alike may have been read as two things."""
    return bool(_choosing(model))


@lru_cache(1024)
def authored(model: type[BaseModel]) -> frozenset[str]:
    """The arguments that code of the author has a hand in."""
    return _with(_is_authors, model)


@lru_cache(1024)
def _choosing(model: type[BaseModel]) -> frozenset[str]:
    """The arguments that words choose a class for: two may be shown alike."""
    return _with(lambda node: node["type"] in {"union", "tagged-union"}, model)


def _with(wanted: Callable[[Node], bool], model: type[BaseModel]) -> frozenset[str]:
    """The arguments with such a part."""
    schema: Any = model.__pydantic_core_schema__
    known = {node["ref"]: node for node in schema.get("definitions", ())}
    return frozenset(name for name, field in _fields(model).items() if any(map(wanted, _nodes(field, known))))


def _fields(model: type[BaseModel]) -> dict[str, Node]:
    schema: Any = model.__pydantic_core_schema__
    whole = schema["schema"] if schema["type"] == "definitions" else schema
    fields: dict[str, Node] = whole["schema"]["fields"]
    return fields


def unsayable(model: type[BaseModel]) -> str:
    """Why the arguments of a tool can be neither shown nor compared, or nothing."""
    return _parsed_twice(model) or next(filter(None, map(_unsayable, _nodes(model.__pydantic_core_schema__, {}))), "")


def _parsed_twice(model: type[BaseModel]) -> str:
    """MCPServer parses the text of an argument before its model does: nothing is left for Json[…] to parse."""
    for name, node in _fields(model).items():
        while node["type"] in _AROUND:
            node = node["schema"]
        if node["type"] == "json" and node.get("schema", {}).get("type") not in _LEFT_AS_TEXT:
            return f"its argument {name!r} is Json[…], which no call fits, as MCP parses it first: take what is inside"
    return ""


def _is_authors(node: Node) -> bool:
    if node["type"] in _BETWEEN:
        return not _is_pydantics(node["function"]["function"])
    if node["type"] == "enum":
        return bool(node["cls"]._missing_.__func__.__module__ != "enum")
    made = node.get("default_factory")
    makes_anew = made is not None and not any(made is empty for empty in _EMPTY)
    hooked = any(node.get(hook) for hook in _HOOKS)
    return makes_anew or hooked or node["type"] == "call" or callable(node.get("discriminator"))


def _is_pydantics(function: object) -> bool:
    function = getattr(function, "func", function)
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, type):
        return False  # an instance may hold an author's
    module = getattr(owner or function, "__module__", None) or ""
    return module == "ipaddress" or (module.startswith(_PYDANTICS) and module != _WRAPPERS)


def _nodes(node: object, known: dict[str, Node]) -> Iterator[Node]:
    """Every part of a schema that has a type; with those that it refers to, each once."""
    met: set[str] = set()
    left = [node]
    while left:
        node = left.pop()
        if isinstance(node, dict) and isinstance(node.get("type"), str):
            yield node
            refers = node["schema_ref"] if node["type"] == "definition-ref" else None
            if refers in known and refers not in met:
                met.add(refers)
                left.append(known[refers])
            node = {name: item for name, item in node.items() if name not in _NO_SCHEMA}
        left.extend(node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ())


def _unsayable(node: Node) -> str:
    if node["type"] == "generator":
        return "an Iterable can be read only once, so nobody could look at it first; use a list"
    if getattr(node.get("serialization", {}).get("function"), "__name__", "").startswith("_serialize_secret"):
        return "SecretStr and its like are written as asterisks; use str, and Approval(secret=[…])"
    if node.get("init_only"):
        return "an InitVar is gone once it was read, so nobody could see it; use a field"
    if node["type"] == "model" and node["cls"].__private_attributes__:
        return f"{node['cls'].__name__} has private attributes, which the tool sees and nobody else; use fields"
    plain = node["type"] == "dataclass" and not hasattr(node["cls"], "__pydantic_fields__")
    of_fields = node["type"] in {"model", "dataclass"} and not plain
    if of_fields and len(set((names := names_of(node["cls"])).values())) < len(names):
        return f"two fields of {node['cls'].__name__} have one alias; give each its own"
    if node["type"] == "typed-dict" and any(field["schema"]["type"] == "default" for _, field in _named(node)):
        return "a TypedDict with defaults does not tell what was dropped from it; use a model"
    fields = node["schema"] if plain else node if node["type"] in {"typed-dict", "named-tuple"} else {"fields": {}}
    if of_fields and not node.get("config", {}).get("validate_by_alias", True) and _is_renamed(node["cls"]):
        return f"{node['cls'].__name__} takes no aliases (validate_by_alias), and its schema names them; drop them"
    if any("validation_alias" in field for _, field in _named(fields)):
        return "a TypedDict, NamedTuple or plain dataclass forgets the aliases of its fields; use a model"
    return ""


def _is_renamed(kind: type) -> bool:
    return any(own != spoken for own, spoken in names_of(kind).items())


def _named(fields: Node) -> Iterator[tuple[str, Node]]:
    listed = fields["fields"]
    yield from listed.items() if isinstance(listed, dict) else ((field["name"], field) for field in listed)
