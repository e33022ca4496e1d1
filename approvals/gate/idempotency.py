"""The argument that a tool takes as its idempotency key: the gate fills it, and nobody else sees or sets it.

It is the request's id, the same for every attempt of one permission, so that whatever the tool calls can tell a
repetition. It is no part of what is shown, digested or compared.
"""

import uuid
from functools import lru_cache

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import TypeAdapter, ValidationError

from approvals.gate.value_json import names_of
from approvals.protocol.canonical import JsonObject

STAND_IN = "00000000-0000-7000-8000-000000000000"
"""What the tool's model sees while its arguments are examined."""


def without(schema: JsonObject, name: str | None) -> JsonObject:
    """A tool's input schema as its callers may know it."""
    if name is None or name not in schema.get("properties", {}):
        return schema
    properties = {key: value for key, value in schema["properties"].items() if key != name}
    required = [key for key in schema.get("required", ()) if key != name]
    rest = {key: value for key, value in schema.items() if key not in {"properties", "required"}}
    return rest | {"properties": properties} | ({"required": required} if required else {})


def fits(schema: JsonObject, name: str) -> bool:
    """Whether a tool's input schema has a string argument of this name."""
    argument = schema.get("properties", {}).get(name, {})
    return "string" in {argument.get("type"), *(one.get("type") for one in argument.get("anyOf", ()))}


def takes_ids(model: type[ArgModelBase], name: str) -> bool:
    """Whether an argument that is a string takes a request's id."""
    try:
        _argument(model, name)[1].validate_python(STAND_IN)
    except ValidationError:
        return False
    return True


def filled(values: JsonObject, model: type[ArgModelBase], name: str | None, request_id: str | None) -> JsonObject:
    """The values that the tool is called with; a call without a request has a key of its own."""
    if name is None:
        return values
    parameter, kind = _argument(model, name)
    return values | {parameter: kind.validate_python(request_id or str(uuid.uuid4()))}


def parameter(model: type[ArgModelBase], name: str) -> str:
    """What the tool's function calls the argument."""
    return _argument(model, name)[0]


@lru_cache(1024)
def _argument(model: type[ArgModelBase], name: str) -> tuple[str, TypeAdapter[object]]:
    """The function's own parameter, and its type."""
    field = next(own for own, spoken in names_of(model).items() if spoken == name)
    info = model.model_fields[field]
    return info.alias or field, TypeAdapter(info.rebuild_annotation())
