"""Dotted paths of argument leaves: `password`, `card.number`, `items[].token`."""

from collections.abc import Iterator
from typing import Any

from approvals.protocol.canonical import is_redacted


def shown(arguments: Any, paths: tuple[str, ...]) -> Iterator[str]:
    """The paths at which encoded arguments hold something unredacted that should have been kept back."""
    for path in paths:
        for where, value in find(arguments, path):
            if value is not None and not is_redacted(value):
                yield where


def find(arguments: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every place that `path` names in `arguments`, with what is there."""
    yield from _walk(arguments, path.split("."), "")


def declared_at(arguments: Any, path: str) -> Iterator[Any]:
    """What stands at `path` in plain arguments of any shape: where they are shaped otherwise than it says, all that
    stands there."""
    yield from _declared(arguments, path.split("."))


def _declared(value: Any, steps: list[str]) -> Iterator[Any]:
    name = steps[0].removesuffix("[]") if steps else ""
    if not steps or not isinstance(value, dict):
        yield value
    elif name in value and steps[0].endswith("[]") and isinstance(value[name], list):
        for item in value[name]:
            yield from _declared(item, steps[1:])
    elif name in value:
        yield from _declared(value[name], steps[1:])


def _walk(value: Any, steps: list[str], where: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield where, value
        return
    name = steps[0].removesuffix("[]")
    if is_redacted(value) or not isinstance(value, dict) or name not in value:
        return
    place = f"{where}.{name}" if where else name
    if not steps[0].endswith("[]"):
        yield from _walk(value[name], steps[1:], place)
    elif isinstance(value[name], list):
        for i, item in enumerate(value[name]):
            yield from _walk(item, steps[1:], f"{place}[{i}]")
