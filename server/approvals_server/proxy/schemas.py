"""Whether arguments fit a JSON Schema that somebody else wrote: here where that is certain to be brief, else in a
process that can be stopped. Patterns, references and the rest of what such a schema may say can take forever."""

import asyncio
import contextlib
import json
import os
import re
import resource
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend, validator_for
from referencing import Registry

SECONDS = 5.0
"""For one check, its process's start with it."""
_MEMORY = 1 << 30
_AT_ONCE = asyncio.Semaphore(2)
_LONG = frozenset(
    {"pattern", "patternProperties", "uniqueItems", "unevaluatedProperties", "unevaluatedItems"}
    | {"$ref", "$dynamicRef", "$recursiveRef"}
)
"""Keywords whose cost is not the size of the schema by that of the value."""
_BRIEF = 300_000
"""Of that product, in characters."""


class Unchecked(Exception):
    """Nobody can say whether they fit; why, in words."""


async def misfit(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """What does not fit, in words; empty when all does. Raises Unchecked."""
    try:
        said = json.dumps([schema, arguments])
        if not _keywords(schema) & _LONG and len(json.dumps(schema)) * len(json.dumps(arguments)) <= _BRIEF:
            return _misfit(schema, arguments)
    except Exception as error:  # whatever somebody else's schema makes of the library
        raise _broken(type(error).__name__) from error
    async with _AT_ONCE:
        try:
            answer = json.loads(await _apart(said.encode()))
        except (TimeoutError, ValueError) as error:
            raise Unchecked(
                f"Checking these arguments by the tool's schema takes over {SECONDS:.0f} seconds, or too much memory"
            ) from error
    if "broken" in answer:
        raise _broken(answer["broken"])
    return str(answer["misfit"])


def _misfit(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    kind = extend(validator_for(schema), {"pattern": _pattern})
    problem = best_match(kind(schema, registry=Registry()).iter_errors(arguments))
    return f"{_place(problem)}{problem.message[:500]}" if problem is not None else ""


def _pattern(validator: Any, pattern: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """Of JavaScript's, for which JSON Schema asks: one that means nothing here is left to the upstream."""
    if not isinstance(value, str) or not isinstance(pattern, str) or not is_known(pattern):
        return
    if not re.search(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def is_known(pattern: str) -> bool:
    """Whether it is an expression here, too."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _place(problem: ValidationError) -> str:
    path = ".".join(map(str, problem.absolute_path))
    return f"{path}: " if path else ""


def _keywords(schema: object) -> set[str]:
    """And names of properties, which do no harm."""
    if isinstance(schema, dict):
        return set(schema).union(*map(_keywords, schema.values()))
    return set().union(*map(_keywords, schema)) if isinstance(schema, list) else set()


def _broken(kind: str) -> Unchecked:
    return Unchecked(f"The tool's input schema cannot be evaluated ({kind})")


async def _apart(said: bytes) -> bytes:
    """What the process says. Raises TimeoutError; what it was stopped in says nothing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("APPROVALS_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "approvals_server.proxy.schemas"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )
    try:
        async with asyncio.timeout(SECONDS):
            return (await process.communicate(said))[0]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def main() -> None:
    """Check one call, and end; also when whoever asked is gone."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS) + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    schema, arguments = json.load(sys.stdin)
    try:
        answer = {"misfit": _misfit(schema, arguments)}
    except Exception as error:  # as above
        answer = {"broken": type(error).__name__}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
