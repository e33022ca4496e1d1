"""Where things stand within arguments."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from approvals.protocol.canonical import decode, is_redacted
from approvals.service.history.argument_rows import step


@dataclass(frozen=True)
class Place:
    """An object or list within arguments, with a path as the tree writes it."""

    path: str
    value: Any

    def below(self, key: str | int) -> str:
        return step(self.path, key)


def places(arguments: Any, path: str = "") -> Iterator[Place]:
    """Every object, list and leaf, outermost first; encoded numbers as numbers, secrets left out."""
    if is_redacted(arguments):
        return
    if isinstance(arguments, dict) and not arguments.keys() <= {"$int", "$float"}:
        plain = {str(decode({key: 0}).popitem()[0]): item for key, item in arguments.items()}
        yield Place(path, plain)
        for key, item in plain.items():
            yield from places(item, step(path, key))
    elif isinstance(arguments, list):
        yield Place(path, arguments)
        for i, item in enumerate(arguments):
            yield from places(item, step(path, i))
    else:
        yield Place(path, decode(arguments))
