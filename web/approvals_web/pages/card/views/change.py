"""A change of text: what was there beside what shall be there."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from approvals.policy.diff import meetings
from approvals.service.text import visible
from approvals_web.pages.card.views.places import Place

MAX_LINES = 200
"""Lines of a difference that are shown."""
MAX_COMPARED = 500
"""Lines on either side; more take too long to compare."""
MAX_MEETINGS = 6_000
"""Of lines with their like on the other side, likewise."""
CONTEXT = 3
_PAIRS = (("before", "after"), ("old", "new"), ("original", "replacement"), ("find", "replace"))


@dataclass(frozen=True)
class Change:
    """Lines with a mark each: `added`, `gone`, `same`, or `skip` (equal lines that are left out)."""

    path: str
    lines: tuple[tuple[str, str], ...]
    more: int
    covers: tuple[str, ...]
    cut: bool
    kind: str = "change"

    @property
    def counted(self) -> str:
        marks = [mark for mark, _ in self.lines]
        return f"{_numbered(marks.count('added'))} added, {marks.count('gone')} removed"


def found(everywhere: list[Place]) -> Iterator[Change]:
    """Two texts under names that say before and after."""
    for place in everywhere:
        if isinstance(place.value, dict):
            for key, value in place.value.items():
                other = _other(key, place.value)
                if other is not None and isinstance(value, str) and isinstance(place.value[other], str):
                    view = _change(place, key, other)
                    if view is not None:
                        yield view


def _other(key: str, siblings: dict[str, object]) -> str | None:
    """`old_text` has `new_text`."""
    for first, second in _PAIRS:
        name = re.sub(rf"(?<![a-zA-Z]){first}(?![a-z])", second, key, count=1)
        if name != key and name in siblings:
            return name
    return None


def _change(place: Place, key: str, other: str) -> Change | None:
    paths = (place.below(key), place.below(other))
    return between(paths, place.value[key], place.value[other])


def between(paths: tuple[str, str], old: str, new: str) -> Change | None:
    """The change from one text to another; None where they are too long to compare."""
    before, after = old.split("\n"), new.split("\n")
    if max(len(before), len(after)) > MAX_COMPARED or meetings(before, after) > MAX_MEETINGS:
        return None
    lines = list(_lines(before, after))
    cut = len(lines) > MAX_LINES or ("skip", "") in lines
    return Change(" → ".join(paths), tuple(lines[:MAX_LINES]), len(lines[MAX_LINES:]), paths, cut)


def _lines(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    """What changes, with CONTEXT lines around it; `skip` wherever equal lines are left out."""
    shown_to = 0
    for group in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(CONTEXT):
        if group[0][1] > shown_to:
            yield "skip", ""
        for what, i, shown_to, j, k in group:
            if what == "equal":
                yield from (("same", visible(line, keep="\t")) for line in before[i:shown_to])
            else:
                yield from (("gone", visible(line, keep="\t")) for line in before[i:shown_to])
                yield from (("added", visible(line, keep="\t")) for line in after[j:k])
    if 0 < shown_to < len(before):
        yield "skip", ""


def _numbered(number: int) -> str:
    return f"{number} line{'' if number == 1 else 's'}"
