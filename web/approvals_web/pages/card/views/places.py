"""Where things stand within arguments."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from approvals.protocol.canonical import decode, is_redacted
from approvals.service.history.argument_rows import step
from approvals.service.tools.layout import plain_name


@dataclass(frozen=True)
class Place:
    """An object or list within arguments, with a path as the tree writes it."""

    path: str
    value: Any
    listed: bool = False
    """Whether it stands in a list."""

    def below(self, key: str | int) -> str:
        return step(self.path, key)


def places(arguments: Any, path: str = "", listed: bool = False) -> Iterator[Place]:
    """Every object, list and leaf, outermost first; encoded numbers as numbers, secrets left out."""
    if is_redacted(arguments):
        return
    if isinstance(arguments, dict) and not arguments.keys() <= {"$int", "$float"}:
        plain = {plain_name(key): item for key, item in arguments.items()}
        yield Place(path, plain, listed)
        for key, item in plain.items():
            yield from places(item, step(path, key), listed)
    elif isinstance(arguments, list):
        yield Place(path, arguments, listed)
        for i, item in enumerate(arguments):
            yield from places(item, step(path, i), True)
    else:
        yield Place(path, decode(arguments), listed)
