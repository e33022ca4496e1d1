"""The effective arguments of a call: validated and defaulted by the tool's own model, nothing undeclared, plain JSON.

What comes out is what people see, what is digested, and what the tool runs on.
"""

import copy
from collections.abc import Iterator
from typing import Any

from mcp.server.mcpserver.tools import Tool
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from approvals.errors import Invalid
from approvals.gate.idempotency import STAND_IN


class InvalidArguments(Invalid):
    """What the tool's model does not take, in its validators' own words: for the caller, who sent the values."""

    def __init__(self, error: ValidationError) -> None:
        self._problems = error.errors(include_input=False, include_url=False, include_context=False)[:5]
        super().__init__(self._complaint(set()), hint="Correct the arguments and call again.")

    def without(self, secret: tuple[str, ...]) -> str:
        """The same for everybody else: of an argument with a secret in it, and of all at once, only the kind of
        problem."""
        first = {path.split(".")[0].removesuffix("[]") for path in secret}
        return self._complaint({(), *((name,) for name in first)} if secret else set())

    def _complaint(self, discreet: set[tuple[str, ...]]) -> str:
        said = (
            f"{'.'.join(map(str, problem['loc']))}: {problem['type' if problem['loc'][:1] in discreet else 'msg']}"
            for problem in self._problems
        )
        return "Invalid arguments. " + "; ".join(said)


def effective(tool: Tool, arguments: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    """A copy of its own, without the idempotency argument `key`, which is the gate's to fill. Raises Invalid, in words
    that the agent can act on."""
    model = tool.fn_metadata.arg_model
    given = tool.fn_metadata.pre_parse_json(copy.deepcopy(arguments))
    if key is not None:
        if key in given:
            raise _not_declared([repr(key)[:100]])
        given[key] = STAND_IN
    try:
        came = model.model_validate(given)
        first = came.model_dump(mode="json", by_alias=True)
        runs = model.model_validate(copy.deepcopy(first))
        second = runs.model_dump(mode="json", by_alias=True)
    except ValidationError as error:
        raise InvalidArguments(error) from error
    except PydanticSerializationError as error:
        raise Invalid("These arguments cannot be shown as JSON, so nobody could approve them.") from error
    undeclared = list(_undeclared(given, first, ""))
    if undeclared:
        raise _not_declared(undeclared)
    if first != second:
        raise Invalid(
            "The tool's validators change its arguments each time, so what is approved could not be what runs.",
            hint="The tool's author must make them idempotent.",
        )
    if came != runs:
        raise Invalid(
            "These arguments do not survive being written as JSON, so what is shown could not be what runs.",
            hint="The tool's author must use plain types; for secrets `str` and Approval(secret=[…]), not SecretStr.",
        )
    return {name: value for name, value in first.items() if name != key}


def _not_declared(names: list[str]) -> Invalid:
    return Invalid(f"The tool has no argument {', '.join(names[:5])}.", hint="Leave it out; see its input schema.")


def _undeclared(given: Any, known: Any, path: str) -> Iterator[str]:
    """Keys that the model dropped. Where it made something else of a value, there is nothing to compare."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            place = f"{path}.{key}" if path else str(key)
            if key not in known:
                yield repr(place)[:100]
            else:
                yield from _undeclared(value, known[key], place)
    elif isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        for i, (one, other) in enumerate(zip(given, known, strict=True)):
            yield from _undeclared(one, other, f"{path}[{i}]")
