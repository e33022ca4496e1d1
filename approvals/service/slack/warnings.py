"""What is unusual about a request, and why a message has no button that approves. Pure."""

import json
from collections.abc import Iterator

from approvals.service.history.argument_rows import odd
from approvals.service.requests.precedents import DAYS, LOOKED_AT
from approvals.service.slack import blocks
from approvals.service.slack.blocks import Block
from approvals.service.slack.message_lines import NAMED, edited
from approvals.service.slack.request_view import RequestView
from approvals.service.slack.text import inline

SAID = 300


def unusual(view: RequestView) -> list[str]:
    """List the lines that deserve a second look; or say that nothing does, and how it went before."""
    found = list(_unusual(view))
    if not found:
        return [f"*Unusual:* nothing that we noticed ({_before(view)})"]
    if len(found) == 1:
        return [f"*Unusual:* ⚠️ {found[0]}"]
    return ["*Unusual:*", *(f"⚠️ {words}" for words in found)]


def edits(view: RequestView) -> list[Block]:
    """Say how a person changed the call that the agent asked for."""
    if view.status.edited is None:
        return []
    return [blocks.note(f"✏️ {edited(view.status.edited)} Earlier votes do not count.")]


def freeze(view: RequestView) -> list[Block]:
    """Say that a freeze stands in the way of any approval: the first thing that is read."""
    if not view.frozen:
        return []
    why = inline(view.frozen.rstrip(". "), SAID)
    return [blocks.section(f"*🧊 Frozen, nothing runs:* {why}. It can be approved once that is lifted.")]


def why_not_here(view: RequestView, *, complete: bool) -> list[Block]:
    """Give the reason why there is no button, or not each."""
    if not view.button:
        why = "What is critical" if view.row.risk == "critical" else "This"
        return [blocks.note(f"🖥️ {why} is decided in the web app, not in Slack: press Open request.")]
    if not complete:
        return [blocks.note("✂️ *Shortened.* Press Open request to see all of it, and to approve it.")]
    return []


def _unusual(view: RequestView) -> Iterator[str]:
    row = view.row
    if view.before is None:
        yield f"no call of {inline(row.tool, NAMED)} was decided here before"
    if view.ran_at is not None:
        yield f"the same call ran before, {blocks.when(view.ran_at)}; approved, it runs once more"
    elif row.replaces is not None:
        yield "the same call was asked for before, and ended without running"
    if view.refused is not None:
        by = f" by {inline(view.refused.decided_by, NAMED)}" if view.refused.decided_by else ""
        said = f": “{inline(view.refused.comment, SAID)}”" if view.refused.comment else ""
        yield f"the last time that this agent asked for {inline(row.tool, NAMED)}, it was denied{by}{said}"
    if row.content_version > 1 and view.status.edited is None:
        yield "what would run has changed since it was first asked; earlier votes do not count"
    if not row.reviewed:
        yield "nobody has reviewed how this tool describes itself: go by its name and arguments alone"
    if row.hidden:
        yield f"{row.hidden} characters are hidden: they look like a credential, or repeat a secret argument"
    if any(odd(json.loads(row.arguments))):
        yield "some text has hidden, reordering or look-alike characters: press Open request to see which"


def _before(view: RequestView) -> str:
    """Count how people decided earlier calls of the same tool."""
    count, calls = view.before, f"calls of {inline(view.row.tool, NAMED)}"
    if count is None or not count.approved + count.denied:
        return f"no {calls} were decided in the {DAYS} days before"
    if count.more:
        return f"of the {LOOKED_AT} {calls} before, {count.approved} were approved, {count.denied} denied"
    return f"{calls} in the {DAYS} days before: {count.approved} approved, {count.denied} denied"
