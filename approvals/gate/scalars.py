"""Arguments in which there is nothing to blur: scalars, under their own names, that pydantic alone reads."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import BaseModel, ValidationError

from approvals.protocol import credentials
from approvals.protocol.canonical import SAFE_INTEGER, JsonObject, canonical
from approvals.protocol.limits import MAX_ARGUMENTS

_READ = {"str", "int", "float", "bool"}
_AROUND = {"model-field", "default", "nullable"}


def written(model: type[ArgModelBase], arguments: JsonObject) -> str | None:
    """What is on record of arguments, as `effective`, `encode` and redaction would write it; None unless it is certain
    that they take all of it as it stands, and hide nothing."""
    names = _names(model)
    if names is None or not arguments.keys() <= names.keys():
        return None
    for name, value in arguments.items():
        if not names[name] and isinstance(value, str):
            return None  # MCPServer may parse it
    try:
        values = vars(model.model_validate(arguments))
    except ValidationError:
        return None
    if not all(map(_is_itself, values.values())):
        return None
    text = canonical(values).decode()
    return text if len(text) <= MAX_ARGUMENTS and not credentials.likely(text) else None


def _is_itself(value: object) -> bool:
    """Whether a value stands for itself when it is encoded."""
    match value:
        case None | bool():
            return True
        case int() if type(value) is int:
            return abs(value) <= SAFE_INTEGER
        case str() if type(value) is str:
            return value.isascii()
    return False


@lru_cache(1024)
def _names(model: type[BaseModel]) -> Mapping[str, bool] | None:
    """The arguments, and whether MCPServer leaves their text as it is; None for a model that is not of this kind."""
    node: Any = model.__pydantic_core_schema__
    if node["type"] != "model" or node["schema"]["type"] != "model-fields" or node.get("custom_init"):
        return None
    if node.get("post_init") or not all(map(_is_plain, node["schema"]["fields"].values())):
        return None
    return {name: info.annotation is str for name, info in model.model_fields.items()}


def _is_plain(node: JsonObject) -> bool:
    while node["type"] in _AROUND:
        if "validation_alias" in node or "default_factory" in node:
            return False
        node = node["schema"]
    return node["type"] in _READ
