"""Dotted paths of argument leaves that are kept back: `password`, `card.number`, `items[].token`; and `users.*.token`,
of each value of an object whose names are the caller's.

Where arguments are shaped otherwise than a path says, all that stands there is kept back: whoever sends a list where an
object was meant hides nothing less by it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeGuard

from approvals.protocol.canonical import JsonObject, is_object, is_redacted

StandIn = Callable[[str, Any], Any]
"""Makes what stands there instead, of the place's name and its value."""
Steps = tuple[str, ...]
"""A path in its steps."""
ANY_NAME = "*"
"""The step to each value of an object."""


@dataclass
class Branch:
    """Where paths go on from one place; all of them together, so that arguments are gone through once."""

    whole: bool = False
    """Whether a path ends here."""
    below: dict[str, "Branch"] = field(default_factory=dict)
    each: "Branch | None" = None
    """Of the elements of a list."""


@lru_cache(maxsize=10_000)
def steps_of(path: str) -> Steps:
    """`items[].token` in its steps: items, [], token."""
    parts = [(part, part.rstrip("[]") if part.endswith("[]") else part) for part in path.split(".")]
    return tuple(step for part, name in parts for step in (name, *["[]"] * ((len(part) - len(name)) // 2)))


@lru_cache(maxsize=1000)
def tree(paths: tuple[Steps, ...]) -> Branch:
    """The paths as one tree."""
    root = Branch()
    for path in paths:
        at = root
        for step in path:
            if step == "[]":
                at.each = at.each or Branch()
                at = at.each
            else:
                at = at.below.setdefault(step, Branch())
        at.whole = True
    return root


def kept_back(arguments: object, paths: tuple[str, ...], stand_in: StandIn) -> object:
    """A copy of encoded arguments with stand-ins for what the paths name."""
    return kept_back_at(arguments, tuple(map(steps_of, paths)), stand_in)


def kept_back_at(arguments: object, paths: tuple[Steps, ...], stand_in: StandIn) -> object:
    """The same of paths in their steps."""
    return _Walk(stand_in, encoded=True).through(arguments, [tree(paths)], "")


def shown(arguments: object, paths: tuple[str, ...]) -> Iterator[str]:
    """The places at which encoded arguments hold something unredacted that should have been kept back."""
    found: list[tuple[str, Any]] = []
    kept_back(arguments, paths, lambda where, value: found.append((where, value)))
    yield from (where for where, value in found if not is_redacted(value))


def declared_at(arguments: object, paths: Iterable[Steps]) -> Iterator[object]:
    """The values at the paths in plain arguments of any shape."""
    found: list[Any] = []
    _Walk(lambda where, value: found.append(value), encoded=False).through(arguments, [tree(tuple(paths))], "")
    yield from found


@dataclass(frozen=True)
class _Walk:
    stand_in: StandIn
    encoded: bool

    def through(self, value: object, branches: list[Branch], where: str) -> object:
        """A copy of what stands at a place that several paths may lead to."""
        each = [branch.each for branch in branches if branch.each is not None]
        below = any(branch.below for branch in branches)
        whole = any(branch.whole for branch in branches)
        if value is None or not (whole or below or each):
            return value
        if not whole and each and isinstance(value, list):
            return [self.through(item, each, f"{where}[{i}]") for i, item in enumerate(value)]
        if not whole and below and self._is_object(value):
            return {key: self._below(key, item, branches, where) for key, item in value.items()}
        return self.stand_in(where, value)

    def _below(self, key: str, value: object, branches: list[Branch], where: str) -> object:
        name = key[1:] if self.encoded and isinstance(key, str) and key.startswith("$$") else key
        inner = [branch.below[step] for branch in branches for step in {name, ANY_NAME} if step in branch.below]
        return value if not inner else self.through(value, inner, f"{where}.{name}" if where else str(name))

    def _is_object(self, value: object) -> TypeGuard[JsonObject]:
        return is_object(value) if self.encoded else isinstance(value, dict)
