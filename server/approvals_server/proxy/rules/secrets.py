"""Which arguments a schema itself says are secret: `writeOnly: true`, `format: password`. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from approvals.protocol.schema_paths import SchemaPaths, TooIntricate

DEEPEST = 6
MOST = 100
"""Paths of one tool."""
UNFINDABLE = "(secrets)"
"""Names no argument, so that the tool is refused."""


def secrets_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Their paths. Where they cannot be told, one that nothing has: such a tool cannot be gated."""
    if not _speaks_of_secrets(schema):
        return ()
    try:
        found = tuple(dict.fromkeys(_below(SchemaPaths(schema), [schema], "", 0)))
    except TooIntricate:
        return (UNFINDABLE,)
    return found if len(found) <= MOST else (UNFINDABLE,)


def _below(paths: SchemaPaths, at: list[Any], path: str, depth: int) -> Iterator[str]:
    places = list(paths.places(at))
    if path and any(_is_secret(place) for place in places):
        yield path
        return
    if depth == DEEPEST:
        if any(map(_speaks_of_secrets, places)):
            yield path
        return
    named = {name for place in places for name in _mapping(place.get("properties"))}
    for name in sorted(named):
        plain = name.replace("_", "a").replace("-", "a").isalnum()
        below = f"{path}.{name}" if path else name
        found = _below(paths, paths.step(at, name), below, depth + 1)
        yield from found if plain else ((path or UNFINDABLE) for _ in found)
    if path and (items := paths.step(at, "[]")):
        yield from _below(paths, items, f"{path}[]", depth + 1)
    others = [more for place in places if isinstance(more := place.get("additionalProperties"), dict)]
    if path and others:
        yield from _below(paths, others, f"{path}.*", depth + 1)


def _is_secret(place: Mapping[str, Any]) -> bool:
    return place.get("writeOnly") is True or place.get("format") == "password"


def _speaks_of_secrets(value: Any) -> bool:
    if isinstance(value, dict):
        return _is_secret(value) or any(map(_speaks_of_secrets, value.values()))
    return isinstance(value, list) and any(map(_speaks_of_secrets, value))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
