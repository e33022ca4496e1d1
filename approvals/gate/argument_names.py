"""The names that a tool's arguments may have in its input: of each field, its own and every alias."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product
from typing import Any

from pydantic import BaseModel

from approvals.protocol.canonical import JsonObject
from approvals.protocol.secret_paths import Steps, steps_of

Spellings = Mapping[str, frozenset[Steps]]
"""By each name of a field, every place at which the input may have it."""


@lru_cache(1024)
def spellings_of(model: type[BaseModel]) -> Spellings:
    """The spellings of all fields of a model and of what is in it. Fields of one name are taken for one: that masks
    more, never less."""
    found: dict[str, frozenset[Steps]] = {}
    for places in map(frozenset, _fields(model.__pydantic_core_schema__)):
        for name in [place[0] for place in places if len(place) == 1]:
            found[name] = found.get(name, frozenset()) | places
    return found


def spelled(paths: tuple[str, ...], spellings: Spellings) -> tuple[Steps, ...]:
    """The paths in every spelling."""
    return tuple(
        tuple(step for place in places for step in place)
        for path in paths
        for places in product(*(spellings.get(step, frozenset({(step,)})) for step in steps_of(path)))
    )


def _fields(node: object) -> Iterator[list[Steps]]:
    if isinstance(node, dict):
        yield from (_places(name, field) for name, field in _named(node.get("fields")))
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        yield from _fields(item)


def _named(fields: Any) -> Iterator[tuple[str, JsonObject]]:
    """As pydantic keeps them: models and typed dicts by name, dataclasses in a list, and dicts of other things."""
    unnamed = (field for field in fields or () if isinstance(field, dict))
    listed = fields.items() if isinstance(fields, dict) else ((str(field.get("name")), field) for field in unnamed)
    for name, field in listed:
        if isinstance(field, dict) and str(field.get("type")).endswith("-field"):
            yield name, field


def _places(name: str, field: JsonObject) -> list[Steps]:
    alias = field.get("validation_alias", name)
    choices: list[Any] = [[alias]] if isinstance(alias, str) else alias
    paths = choices if isinstance(choices[0], list) else [choices]
    return [(name,), *(tuple("[]" if isinstance(step, int) else step for step in path) for path in paths)]
