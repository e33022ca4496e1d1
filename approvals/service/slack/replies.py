"""What is said beside the message of one request: in its thread, and of many requests at once. Pure."""

import json
from collections.abc import Sequence

from approvals.protocol.states import State
from approvals.service.slack import blocks
from approvals.service.slack.message import Message, push_text
from approvals.service.slack.message_lines import QUOTED, approvals, quorum, risk, until, who_waits
from approvals.service.slack.outcomes import headline
from approvals.service.slack.request_view import RequestView
from approvals.service.slack.text import code, cut, inline
from approvals.service.slack.warnings import freeze

RESULT, LISTED, FREEZES = 1500, 20, 4
"""Characters of a result; so many requests, and so many freezes, are named in a message of many requests."""


def result(view: RequestView) -> Message:
    """For the thread, once it ran or turned out not to have run."""
    state, status = view.status.state, view.status
    said = status.result if state is State.SUCCEEDED else status.error or status.ended_because
    words = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False) if said is not None else ""
    above = state is State.FAILED and len(words) <= QUOTED
    more = f" {'The error' if words else 'What to do'} stands in the message above." if above else ""
    shown = [blocks.note(f"*{headline(state)}.*{more}")]
    if words and not above:
        body, whole = code(words, RESULT)
        shown.append(blocks.section(body))
        if not whole:
            shown.append(blocks.note("✂️ Shortened; press Open request to see all of it."))
    return Message(push_text(view), shown)


def reminder(view: RequestView, mentions: tuple[str, ...] = ()) -> Message:
    """For the thread while it waits: what is missing, of whom, and until when."""
    title = blocks.anchor(view.status.review_url, inline(view.title, 150))
    ends = until(view)
    count = quorum(view) - len(view.approved_by)
    if view.approved_by:
        first = f"🖐️ *{'One more approval is' if count == 1 else f'{count} more approvals are'} needed:* {title}"
    else:
        first = f"⏰ *Still waiting:* {title}"
    said = [first, " · ".join(filter(None, (approvals(view), f"until {ends}" if ends else "", who_waits(view))))]
    if mentions:
        said.append(f"Please decide: {' '.join(mentions)}")
    pushed = cut(f"{'One more approval is needed' if view.approved_by else 'Still waiting'}: {view.title}", 120)
    return Message(inline(pushed, 120), blocks.paragraphs(said))


def digest(views: Sequence[RequestView], queue_url: str, mentions: tuple[str, ...] = ()) -> Message:
    """One message for many requests, each with its present state. `mentions`: whom those call that wait, as Slack
    writes them."""
    waiting = sum(view.pending for view in views)
    title = f"{len(views)} requests came at once; {waiting} still to decide"
    listed = [
        f"{risk(view)} · {blocks.anchor(view.status.review_url, inline(view.title, 70))} · {_state(view)}"
        for view in views[:LISTED]
    ]
    if len(views) > LISTED:
        listed.append(f"and {len(views) - LISTED} more: open the queue")
    if mentions:
        listed.append(f"Please decide: {' '.join(mentions)}")
    frozen = {view.frozen: view for view in views}  # one of each: a freeze mostly stands in the way of all of them
    said = [block for view in list(frozen.values())[:FREEZES] for block in freeze(view)]
    opening = blocks.actions(f"gate.digest.{waiting}.{len(views)}", [blocks.link("Open the queue", queue_url, title)])
    return Message(title, [blocks.header(title), *said, *blocks.paragraphs(listed), opening])


def _state(view: RequestView) -> str:
    if view.pending:
        return "🧊 frozen" if view.frozen else "waiting"
    return headline(view.status.state)
