"""Which tool definitions can be gated. The gate asks when a tool is added, the service when it is registered; what is
odd about one tool is said of that tool, and never costs another one its place."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic_core import PydanticSerializationError

from approvals.errors import Invalid
from approvals.protocol import summaries
from approvals.protocol.canonical import MAX_DEPTH, canonical, encode, hash_of
from approvals.protocol.registration import ToolDefinition
from approvals.protocol.schema_paths import SchemaPaths, TooIntricate
from approvals.protocol.secret_text import Declared

MAX_DEFINITION = 262_144
"""Bytes of one definition, as canonical JSON."""
MAX_SECRETS = 200
_LENGTHS = {"title": 500, "description": 20_000, "summary": 500, "idempotency": 200}
"""Characters of each text."""
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,128}")


@dataclass(frozen=True)
class Checked:
    """A definition that can be gated, as it is kept."""

    definition: ToolDefinition
    tool_hash: str
    body: str
    """Its encoded form as JSON, in the order that its author gave it; the hash is of the canonical form."""
    size: int
    """Bytes of the canonical form."""


def checked(definition: ToolDefinition) -> Checked:
    """Raises Invalid for one that cannot be gated, in words for the tool's author."""
    problem = next(_problems(definition), "")
    if problem:
        raise Invalid(problem)
    try:
        encoded = encode(definition.model_dump(mode="json"))
        raw = canonical(encoded)
    except (Invalid, RecursionError, UnicodeEncodeError, PydanticSerializationError) as error:
        raise Invalid(
            f"its definition cannot be written as JSON of valid text and at most {MAX_DEPTH} levels"
        ) from error
    if len(raw) > MAX_DEFINITION:
        raise Invalid(f"its definition is {len(raw):,} bytes; {MAX_DEFINITION:,} is the most")
    _check_paths(definition)
    return Checked(definition, hash_of(raw), json.dumps(encoded, ensure_ascii=False, separators=(",", ":")), len(raw))


def _problems(definition: ToolDefinition) -> Iterator[str]:
    if not _NAME.fullmatch(definition.name):
        yield f"its name has {len(definition.name)} characters; 1 to 128, without control characters, make a name"
    for name, most in _LENGTHS.items():
        if len(getattr(definition, name) or "") > most:
            yield f"its {name} has {len(getattr(definition, name)):,} characters; {most:,} is the most"
    if len(definition.secret) > MAX_SECRETS or any(len(path) > 200 for path in definition.secret):
        yield f"it has more than {MAX_SECRETS} secrets, or a path of more than 200 characters"
    if definition.summary is not None and (fault := summaries.fault(definition.summary)):
        yield fault


def _check_paths(definition: ToolDefinition) -> None:
    """Raises Invalid where a secret or a field of the summary names no argument."""
    schema = SchemaPaths(definition.input_schema)
    try:
        for path in definition.secret:
            if fault := schema.fault(path):
                raise Invalid(f"its secret {path!r} names nothing: {fault}")
            if Declared(schema.stated(path)):
                raise Invalid(
                    f"its schema states a value of its secret {path!r}, and every agent reads that: "
                    "leave out its default, examples and enum"
                )
        for path in summaries.fields(definition.summary or ""):
            if fault := schema.fault(path, through_anything=True):
                raise Invalid(f"its summary names {{{path}}}, which is no argument of it: {fault}")
    except TooIntricate as error:
        raise Invalid("its input schema is too intricate to find its secrets and its summary's fields in") from error
