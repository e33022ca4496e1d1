"""What deserves a second look before a press, and why a message has no button that approves. Pure."""

import json
from collections.abc import Iterator

from approvals.service.history.argument_rows import odd
from approvals.service.slack import blocks
from approvals.service.slack.blocks import Block
from approvals.service.slack.circumstances import edited
from approvals.service.slack.request_view import RequestView
from approvals.service.slack.text import inline

SAID = 300


def cautions(view: RequestView) -> list[Block]:
    """A line each."""
    return [blocks.note(words) for words in _cautions(view)]


def freeze(view: RequestView) -> list[Block]:
    """What stands in the way of any approval: the first thing that is read."""
    if not view.frozen:
        return []
    why = inline(view.frozen.rstrip(". "), SAID)
    return [blocks.section(f"*🧊 Frozen, nothing runs:* {why}. It can be approved once that is lifted.")]


def why_not_here(view: RequestView, *, complete: bool) -> list[Block]:
    """Why there is no button, or not each."""
    if not view.button:
        why = "What is critical" if view.row.risk == "critical" else "This"
        return [blocks.note(f"🖥️ {why} is decided in the web app, not in Slack: press Open.")]
    if not complete:
        return [blocks.note("✂️ *Shortened.* Press Open to see all of it, and to approve it.")]
    return []


def _cautions(view: RequestView) -> Iterator[str]:
    row = view.row
    if view.ran_at is not None:
        yield f"⚠️ *The same call ran before:* {blocks.when(view.ran_at)}. Approved, it runs once more."
    elif row.replaces is not None:
        yield "⚠️ The same call was asked for before, and ended without running."
    if view.status.edited is not None:
        yield f"✏️ {edited(view.status.edited)} Earlier votes do not count."
    elif row.content_version > 1:
        yield "⚠️ What would run has changed since it was first asked; earlier votes do not count."
    if not row.reviewed:
        yield "⚠️ Nobody has reviewed how this tool describes itself: go by its name and arguments alone."
    if row.no_preview:
        yield f"⚠️ Its effect could not be looked up beforehand: {inline(row.no_preview, SAID)}"
    if row.hidden:
        yield f"🔒 {row.hidden} characters are hidden: they look like a credential, or repeat a secret argument."
    if any(odd(json.loads(row.arguments))):
        yield "⚠️ Some text has hidden, reordering or look-alike characters: press Open to see which."
