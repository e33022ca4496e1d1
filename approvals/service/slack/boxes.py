"""Names and values in blocks of code, each under its label. Pure.

Values of one line share a block. One of several lines has a block of its own, so that none of its lines reads as
another value, however narrow the screen is.
"""

from collections.abc import Iterable

from approvals.service.slack.text import ELLIPSIS, code, inline

NAME, LEAST = 300, 40
"""Characters of a name, and of a block that is worth beginning."""


def boxes(label: str, rows: Iterable[tuple[str, str]], most: int) -> tuple[str, bool]:
    """At most so many characters of mrkdwn, and whether all is in them. `label` is our own mrkdwn; a row without a name
    is a sentence."""
    rows = list(rows)
    shared = "\n".join(f"{name}: {value}" if name else value for name, value in rows if "\n" not in value)
    own = [(inline(name or "In words", NAME), value) for name, value in rows if "\n" in value]
    said, whole = [label], not any(name.endswith(ELLIPSIS) for name, _ in own)
    left = most - len(label) - 1
    for heading, text in [("", shared)] * bool(shared) + [(f"*{name}:*\n", value) for name, value in own]:
        if left - len(heading) < LEAST:
            return "\n".join(said), False
        block, fits = code(text, left - len(heading))
        said.append(heading + block)
        whole = whole and fits
        left -= len(heading) + len(block) + 1
    return "\n".join(said), whole
