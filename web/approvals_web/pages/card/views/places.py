"""Where things stand within arguments."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from approvals.protocol.canonical import is_redacted
from approvals.service.history.argument_rows import step
from approvals.service.tools.layout import plain_name

SHORTEST = len("begin;")
"""Characters of a text that can be a statement; below that there are many, and no view of any."""


@dataclass(frozen=True)
class Place:
    """An object or list within arguments, with a path as the tree writes it."""

    path: str
    value: Any
    listed: bool = False
    """Whether it stands in a list."""

    def below(self, key: str | int) -> str:
        return step(self.path, key)


def places(arguments: object, path: str = "", listed: bool = False) -> Iterator[Place]:
    """Every object and list that holds something, and every text that can be a view, outermost first; secrets are left
    out."""
    if is_redacted(arguments):
        return
    if isinstance(arguments, dict) and arguments and not arguments.keys() <= {"$int", "$float"}:
        plain = {plain_name(key): item for key, item in arguments.items()}
        yield Place(path, plain, listed)
        for key, item in plain.items():
            if _has_place(item):
                yield from places(item, step(path, key), listed)
    elif isinstance(arguments, list) and arguments:
        yield Place(path, arguments, listed)
        for i, item in enumerate(arguments):
            if _has_place(item):
                yield from places(item, step(path, i), True)
    elif isinstance(arguments, str):
        yield Place(path, arguments, listed)


def _has_place(value: object) -> bool:
    return len(value) >= SHORTEST if isinstance(value, str) else bool(value) and isinstance(value, dict | list)
