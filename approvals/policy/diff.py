"""Policies as people read them: rules with their lines, and what changed between two versions."""

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from types import MappingProxyType

from approvals.policy.yaml_nodes import Node, Unreadable, parse

MOST_COMPARED = 20_000
"""Lines of two versions together; longer ones are not compared."""
MOST_MEETINGS = 20_000
"""Of lines with their like in the other version: what comparing costs grows with them, not with the lines."""
MOST_SHOWN = 2_000
"""Lines of a difference."""


@dataclass(frozen=True)
class Passage:
    """One rule as it stands in a version's text."""

    rule: str
    line: int
    """Of its beginning, from 1."""
    text: str


@lru_cache(maxsize=16)
def passages(text: str) -> Mapping[str, Passage]:
    """The rules of a version by id, in order. A text that nothing can be made of has none."""
    try:
        root = parse(text)
    except Unreadable:
        return MappingProxyType({})
    lines = text.splitlines()
    rules = root.value.get("rules") if isinstance(root.value, dict) else None
    nodes = rules.value if rules is not None and isinstance(rules.value, list) else []
    found = (_passage(node, lines) for node in nodes if isinstance(node.value, dict) and "id" in node.value)
    return MappingProxyType({passage.rule: passage for passage in found})


def difference(before: str, after: str) -> list[str] | None:
    """A unified diff, at most MOST_SHOWN lines of it; None for versions that are too long to compare."""
    one, other = before.splitlines(), after.splitlines()
    if len(one) + len(other) > MOST_COMPARED or meetings(one, other, but_popular=True) > MOST_MEETINGS:
        return None
    compared = difflib.unified_diff(one, other, "before", "after", lineterm="")
    lines = list(islice(compared, MOST_SHOWN + 1))
    return lines if len(lines) <= MOST_SHOWN else [*lines[:MOST_SHOWN], "… (the rest is left out)"]


def meetings(one: list[str], other: list[str], *, but_popular: bool = False) -> int:
    """How often a line of one meets its like in the other; without those that `difflib` calls popular, if it may."""
    mine, theirs = Counter(one), Counter(other)
    most = len(other) // 100 + 1 if but_popular and len(other) >= 200 else len(other)
    return sum(number * theirs[line] for line, number in mine.items() if theirs[line] <= most)


def _passage(node: Node, lines: list[str]) -> Passage:
    return Passage(str(node.value["id"].value), node.line, "\n".join(lines[node.line - 1 : node.end_line]))
