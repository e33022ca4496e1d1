"""The argument that a tool takes as its idempotency key: the gate fills it, and nobody else sees or sets it.

It is the request's id, the same for every attempt of one permission, so that whatever the tool calls can tell a
repetition. It is no part of what is shown, digested or compared.
"""

import uuid
from typing import Any

STAND_IN = "00000000-0000-7000-8000-000000000000"
"""What the tool's model sees while its arguments are examined."""


def without(schema: dict[str, Any], name: str | None) -> dict[str, Any]:
    """A tool's input schema as its callers may know it."""
    if name is None or name not in schema.get("properties", {}):
        return schema
    properties = {key: value for key, value in schema["properties"].items() if key != name}
    required = [key for key in schema.get("required", ()) if key != name]
    rest = {key: value for key, value in schema.items() if key not in {"properties", "required"}}
    return rest | {"properties": properties} | ({"required": required} if required else {})


def fits(schema: dict[str, Any], name: str) -> bool:
    """Whether a tool's input schema has a string argument of this name."""
    argument = schema.get("properties", {}).get(name, {})
    return "string" in {argument.get("type"), *(one.get("type") for one in argument.get("anyOf", ()))}


def filled(arguments: dict[str, Any], name: str | None, request_id: str | None) -> dict[str, Any]:
    """The arguments that the tool is called with; a call without a request has a key of its own."""
    return arguments if name is None else arguments | {name: request_id or str(uuid.uuid4())}
