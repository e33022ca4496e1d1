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
