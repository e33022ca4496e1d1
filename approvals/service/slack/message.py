"""The message about a request, the same one from its announcement to its end. Pure.

In reading order: who asks, what and how much, every argument, what is unusual, whether it can be undone, for whom and
why, which rule holds it, whose approval is missing, until when, and what happens on approval. A message that could not
show all that would run has no button that approves it.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from approvals.protocol.preview_words import label_of, margin, object_of, plain_view
from approvals.protocol.preview_words import said as worded
from approvals.protocol.previews import Preview
from approvals.service.history.argument_rows import lines
from approvals.service.slack import blocks
from approvals.service.slack.blocks import APPROVE, DENY, Block
from approvals.service.slack.boxes import boxes
from approvals.service.slack.message_lines import NAMED, afterwards, beforehand, place, quorum, risk_and_why, tool
from approvals.service.slack.outcomes import headline, outcome
from approvals.service.slack.request_view import RequestView
from approvals.service.slack.text import cut, inline, plain
from approvals.service.slack.warnings import edits, freeze, unusual, why_not_here

SHOWN_ARGUMENTS, SHOWN_EFFECT, PUSHED = 2800, 2500, 120
"""Characters. Arguments leave room for the marks around them; a locked phone shows PUSHED."""
CONFIRMED = frozenset({"medium", "high", "critical"})
"""From this risk on Slack asks once more."""


@dataclass(frozen=True)
class Message:
    """What chat.postMessage and chat.update take."""

    text: str
    """For notifications, and for whoever cannot see blocks."""
    blocks: list[Block]
    complete: bool = True
    """Whether all that would run is shown."""
    shown: str = ""
    """SHA-256 over the part that says what would run."""

    @property
    def fingerprint(self) -> str:
        """Equal for messages that say the same."""
        return hashlib.sha256(json.dumps(self.blocks, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def request_message(view: RequestView, mentions: tuple[str, ...] = ()) -> Message:
    """A request in its present state. `mentions`: whom it calls while it waits, as Slack writes them."""
    what, complete = what_would_run(view)
    shown = hashlib.sha256(json.dumps(what, ensure_ascii=False).encode()).hexdigest()
    buttons = _buttons(view, complete=complete)
    name = f"gate.{view.row.id}.{view.row.content_version}.{view.status.state}.{len(view.approved_by)}"
    if view.pending:
        said = [*freeze(view), _who_asks(view), *what, *blocks.paragraphs([*unusual(view), *beforehand(view)])]
        said += [*edits(view), *why_not_here(view, complete=complete)]
        said += [blocks.section(f"Please decide: {' '.join(mentions)}")] if mentions else []
    else:
        said = [*blocks.paragraphs(outcome(view)), *what, *blocks.paragraphs([*unusual(view), *afterwards(view)])]
    return Message(push_text(view), [*said, blocks.actions(name, buttons)], complete, shown)


def what_would_run(view: RequestView) -> tuple[list[Block], bool]:
    """The title, the effect as the server looked it up or that nobody did, and the arguments; whether nothing was
    cut."""
    title = plain(view.title, blocks.SECTION)
    shown = [blocks.header(title) if len(title) <= blocks.HEADER else blocks.plain_section(title)]
    whole = len(view.title) < blocks.SECTION and not view.status.erased
    if view.preview is None and view.pending:
        shown += [blocks.section(_no_preview(view))]
    elif view.preview is not None:
        label = f"*What it would change* (looked up by {place(view)}):"
        effect, fits = boxes(label, _effect(view.preview), SHOWN_EFFECT + len(label))
        shown += [blocks.section(effect)]
        whole = whole and fits
    listed, more = lines(json.loads(view.row.arguments), layout=view.layout)
    arguments, fits = boxes("*Arguments:*", [(line.path, line.value) for line in listed], SHOWN_ARGUMENTS)
    return [*shown, blocks.section(arguments)], whole and fits and more == 0


def push_text(view: RequestView) -> str:
    """What a phone shows: what and how much, who, the risk and the time left; or how it ended."""
    if view.pending:
        facts = [cut(one, 30) for one in (view.who, f"{view.row.risk} risk", _time_left(view)) if one]
        tail = "".join(f" · {fact}" for fact in facts)
        said = f"{cut(view.title, PUSHED - len(tail))}{tail}"
    else:
        said = f"{headline(view.status.state)}: {view.title}"
    return inline(cut(said, PUSHED), PUSHED)


def _no_preview(view: RequestView) -> str:
    """What is not known, rather than no word of it."""
    why = f"could not look it up ({inline(view.row.no_preview, 300)})" if view.row.no_preview else "gives no preview"
    return f"*What it would change:* not known beforehand. {place(view)} {why}, so the arguments below are all we know"


def _effect(preview: Preview) -> Iterator[tuple[str, str]]:
    """The sentence, the object, each fact with how much it may still change, and the world before and after."""
    yield "", preview.effect
    if named := object_of(preview):
        yield "Object", named
    for fact in preview.facts:
        note = "; ".join(filter(None, (fact.note, f"may change by {margin(fact)}" if fact.tolerance else "")))
        yield label_of(fact), f"{worded(fact)} ({note})" if note else worded(fact)
    for name, side in (("Before", preview.before), ("After", preview.after)):
        if side is not None:
            yield name, plain_view(side)


def _who_asks(view: RequestView) -> Block:
    return blocks.section(f"*{inline(view.who, NAMED)}* asks to run {tool(view)}\n{risk_and_why(view)}")


def _buttons(view: RequestView, *, complete: bool) -> list[Block]:
    about = plain(view.title, blocks.LABEL)
    offered = []
    if view.pending and view.button and complete and not view.frozen:
        approve = blocks.button(_approve(view), APPROVE, view.button, about) | {"style": "primary"}
        if view.row.risk in CONFIRMED:
            approve["confirm"] = {
                "title": blocks.text("Approve this?"),
                "text": blocks.text(plain(view.title, 280)),
                "confirm": blocks.text("Approve"),
                "deny": blocks.text("Go back"),
            }
        offered.append(approve)
    if view.pending and view.button:
        offered.append(blocks.button("Deny…", DENY, view.button, about) | {"style": "danger"})
    return [*offered, blocks.link("Open request", view.status.review_url, about)]


def _approve(view: RequestView) -> str:
    """Where it takes several people, which of them the next one is."""
    return "Approve" if quorum(view) == 1 else f"Approve ({len(view.approved_by) + 1} of {quorum(view)})"


def _time_left(view: RequestView) -> str:
    if view.status.expires_in is None:
        return ""
    minutes = int(view.status.expires_in // 60)
    if minutes < 1:
        return "under 1 min left"
    return f"{minutes} min left" if minutes < 120 else f"{minutes // 60} h left"
