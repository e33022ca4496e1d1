"""Block Kit's parts (https://docs.slack.dev/reference/block-kit), as messages and dialogs here use them. Pure.

Nothing in plain text turns `:tick:` into a picture: it may be an agent's word.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from approvals.instant import SECOND, Instant
from approvals.service.slack.text import cut, moment

Block = dict[str, Any]

APPROVE, DENY, OPEN = "gate:approve", "gate:deny", "gate:open"
HEADER, SECTION, LABEL, BLOCK_ID = 150, 3000, 75, 255
"""Characters: Slack's own limits."""


def text(words: str) -> Block:
    """Letters that Slack does not parse."""
    return {"type": "plain_text", "text": words, "emoji": False}


def mrkdwn(words: str) -> Block:
    """Our own words, in which what others wrote is escaped."""
    return {"type": "mrkdwn", "verbatim": True, "text": words}


def header(words: str) -> Block:
    return {"type": "header", "text": text(words)}


def note(words: str) -> Block:
    """A line in small letters."""
    return {"type": "context", "elements": [mrkdwn(words)]}


def section(words: str) -> Block:
    """A paragraph, which Slack does not fold."""
    return {"type": "section", "expand": True, "text": mrkdwn(words)}


def plain_section(words: str) -> Block:
    return {"type": "section", "expand": True, "text": text(words)}


def actions(name: str, buttons: list[Block]) -> Block:
    """A row of buttons; `name` is its own within the message, and another one each time the message says something
    else."""
    return {"type": "actions", "block_id": name[:BLOCK_ID], "elements": buttons}


def button(label: str, action: str, value: str, about: str) -> Block:
    """`about` is what a screen reader says beside the label."""
    return {"type": "button", "action_id": action, "text": text(label), "value": value} | _read_aloud(label, about)


def link(label: str, url: str, about: str) -> Block:
    """A button that only leads somewhere."""
    return {"type": "button", "action_id": OPEN, "text": text(label), "url": url} | _read_aloud(label, about)


def when(at: Instant) -> str:
    """An instant in each reader's own zone."""
    return moment(at // SECOND, datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%d %H:%M UTC"))


def anchor(url: str, words: str) -> str:
    """A link in mrkdwn; `words` are escaped already."""
    return f"<{url.replace('|', '%7C').replace('>', '%3E')}|{words}>"


def paragraphs(lines: Iterable[str]) -> list[Block]:
    """Lines in as few sections as hold them."""
    found = [""]
    for line in lines:
        if len(found[-1]) + len(line) + 1 > SECTION:
            found.append("")
        found[-1] += f"\n{line}" if found[-1] else line
    return [section(words) for words in found]


def _read_aloud(label: str, about: str) -> Block:
    return {"accessibility_label": cut(f"{label.rstrip('…')}: {about}", LABEL)}
