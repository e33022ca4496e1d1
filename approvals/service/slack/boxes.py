"""Names and values in blocks of code, each under its label. Pure.

Short values share a block, a line each, before all others: below another's block it would read as part of that. One
of several lines, or one that a narrow screen would break or that blanks could push into the next line, has a block of
its own under its name: whatever stands in it, no part of it reads as another value.
"""

import re
from collections.abc import Iterable, Iterator

from approvals.service.slack.text import ELLIPSIS, code, inline

NAME, LEAST, NARROW = 300, 40, 36
"""Characters of a name, of a block that is worth beginning, and of a line that no phone breaks."""
_END = ":*\n"
_CUT = ELLIPSIS + _END
_MISREAD = re.compile(r":\s|\s{2}|^\s|\s$|[^\x20-\x7e]")
"""In a name or a value of a line: what could be taken for the end of a name, and what is not as wide as it is long."""
_NAMES = re.compile(r":\s|\s{2}|\n")
"""In a sentence: what could be taken for a name and its value."""


def boxes(label: str, rows: Iterable[tuple[str, str]], most: int) -> tuple[str, bool]:
    """At most so many characters of mrkdwn, and whether all is in them. `label` is our own mrkdwn; a row without a name
    is a sentence."""
    said, whole, left = [label], True, most - len(label) - 1
    for heading, text in _grouped(rows):
        if left - len(heading) < LEAST:
            return "\n".join(said), False
        block, fits = code(text, left - len(heading))
        said.append(heading + block)
        whole = whole and fits and not heading.endswith(_CUT)
        left -= len(heading) + len(block) + 1
    return "\n".join(said), whole


def _grouped(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """A sentence, the short ones together, then each other one under its name."""
    rows = list(rows)
    alone = [(_heading(name, value), value) for name, value in rows if not _fits_a_line((name, value))]
    yield from (one for one in alone if not one[0])
    if shared := [f"{name}: {value}" for name, value in rows if _fits_a_line((name, value))]:
        yield "", "\n".join(shared)
    yield from (one for one in alone if one[0])


def _heading(name: str, value: str) -> str:
    """A sentence needs none, unless a part of it could be taken for a name with its value."""
    name = name or ("In words" if _NAMES.search(value) else "")
    return f"*{inline(name, NAME)}{_END}" if name else ""


def _fits_a_line(row: tuple[str, str]) -> bool:
    name, value = row
    misread = _MISREAD.search(name) or _MISREAD.search(value)
    return bool(name) and misread is None and len(f"{name}: {value}") <= NARROW
