"""What messages say, as Block Kit (https://docs.slack.dev/reference/block-kit). Pure.

The reading order is the card's: what would run, who asks, why it is held, who may decide. A message that could not
show all that would run has no button that approves it.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from approvals.instant import SECOND, Instant
from approvals.protocol.states import State
from approvals.service.authority import required
from approvals.service.history.argument_rows import lines
from approvals.service.slack.request_view import Face
from approvals.service.slack.text import (
    code,
    cut,
    inline,
    moment,
    plain,
)

Block = dict[str, Any]

APPROVE, DENY, OPEN = "gate:approve", "gate:deny", "gate:open"
ACTIONS = "gate:actions"
HEADER, SECTION, FIELD, SHOWN_ARGUMENTS = 150, 3000, 300, 2800
"""Characters. Slack's own limits are 150, 3000 and 2000; arguments leave room for the marks around them, and `expand`
keeps Slack from folding them."""
QUOTED, TOLD = 500, 1500
LISTED = 20
LINE = "  │ "
_CONFIRMED = frozenset({"medium", "high", "critical"})
_SIGNS = {"low": "🟢", "medium": "🟡", "high": "🟠", "critical": "🔴"}
STATES = {
    State.PENDING: "Waiting for a decision",
    State.APPROVED: "Approved",
    State.EXECUTING: "Approved, and running now",
    State.SUCCEEDED: "Approved; it ran",
    State.FAILED: "Approved; it ran and failed",
    State.UNKNOWN: "Approved; whether it took effect is not known",
    State.NOT_EXECUTED: "Approved, but it did not run",
    State.STALE: "Approved, but its effect changed before it ran; asked anew",
    State.DENIED: "Denied",
    State.EXPIRED: "Expired without a decision",
    State.WITHDRAWN: "Withdrawn by the agent",
    State.LAPSED: "Approved, but not run in time",
    State.REVOKED: "Approval taken back",
}
_AFTER = {
    State.EXECUTING: "running now",
    State.SUCCEEDED: "it ran",
    State.FAILED: "it ran and failed",
    State.UNKNOWN: "whether it took effect is not known",
    State.NOT_EXECUTED: "it did not run",
    State.STALE: "its effect changed, so it did not run",
    State.LAPSED: "it was not run in time",
}
"""What came after somebody approved: that person decided, and did not run it."""
RAN = frozenset({State.SUCCEEDED, State.FAILED, State.UNKNOWN, State.NOT_EXECUTED})
_WHERE = {"web": "on the web", "slack": "in Slack", "api": "with a token"}


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


def request(face: Face) -> Message:
    """A request in its present state: the same message, from the announcement to the end."""
    what, complete = what_would_run(face)
    shown = hashlib.sha256(json.dumps(what, ensure_ascii=False).encode()).hexdigest()
    pending = face.status.state is State.PENDING
    blocks = [
        *what,
        *([] if complete else [note("✂️ *Shortened.* Open it in the web app to see all of it, and to approve it.")]),
        _facts(face),
        *_words(face),
        _state(face),
        *([_buttons(face, complete=complete)] if pending else [_link(face)]),
    ]
    text = cut(f"{STATES[face.status.state]}: {plain(face.row.summary, 300)}", 400)
    return Message(_escaped(text), blocks, complete, shown)


def what_would_run(face: Face) -> tuple[list[Block], bool]:
    """The summary and the arguments; whether nothing was cut."""
    row = face.row
    summary = plain(row.summary, SECTION)
    named: Block = {"type": "header", "text": _text(plain(row.summary, HEADER), emoji=False)}
    blocks: list[Block] = [named] if len(summary) <= HEADER else [{"type": "section", "text": _text(summary)}]
    listed, more = lines(json.loads(row.arguments), layout=face.layout)
    escaped, fits = code("\n".join(_argument(line.path, line.value) for line in listed), SHOWN_ARGUMENTS)
    blocks.append({"type": "section", "expand": True, "text": {"type": "mrkdwn", "verbatim": True, "text": escaped}})
    return blocks, fits and more == 0 and len(row.summary) < SECTION and not face.status.erased


def result(face: Face) -> Message:
    """For the thread, once it ran or turned out not to have run."""
    state, status = face.status.state, face.status
    said = status.result if state is State.SUCCEEDED else status.error or status.ended_because
    words = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False) if said is not None else ""
    blocks = [note(f"*{STATES[state]}.*")]
    if words:
        body, whole = code(words, TOLD)
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "verbatim": True, "text": body}})
        if not whole:
            blocks.append(note("✂️ Shortened; the card has all of it."))
    return Message(_escaped(f"{STATES[state]}: {plain(face.row.summary, 300)}"), blocks)


def reminder(face: Face) -> Message:
    """For the thread, while it waits."""
    who = inline(str(required(face.row)), 300)
    words = f"⏰ Still waiting for a decision. Who may decide: {who}.{_expiry(face)}"
    return Message(_escaped(f"Still waiting: {plain(face.row.summary, 300)}"), [note(words)])


def digest(faces: Sequence[Face], queue_url: str) -> Message:
    """One message for many requests, each with its present state."""
    waiting = sum(face.status.state is State.PENDING for face in faces)
    title = f"{len(faces)} requests came at once; {waiting} of them wait for a decision"
    listed = [
        f"{_SIGNS.get(face.row.risk, '⚪')} <{_url(face.status.review_url)}|{inline(face.row.summary, 70)}>"
        f" · {STATES[face.status.state] if face.status.state is not State.PENDING else 'waiting'}"
        for face in faces[:LISTED]
    ]
    if len(faces) > LISTED:
        listed.append(f"and {len(faces) - LISTED} more")
    blocks: list[Block] = [{"type": "header", "text": _text(title, emoji=False)}]
    blocks += [_section(part) for part in _packed(listed)]
    blocks.append({"type": "actions", "elements": [_open("Open the queue", queue_url)]})
    return Message(title, blocks)


def _argument(path: str, value: str) -> str:
    """A value of several lines in lines of its own, each marked, so that none of them reads as another argument."""
    if "\n" not in value:
        return f"{path}: {value}"
    return "\n".join((f"{path}:", *(f"{LINE}{line}" for line in value.split("\n"))))


def _facts(face: Face) -> Block:
    row = face.row
    risk = f"{_SIGNS.get(row.risk, '')} {row.risk}"
    facts = {
        "Agent": face.agent or "no agent of its own",
        "Acts for (unverified)": row.on_behalf_of,
        "Tool": f"{row.server} / {row.tool}",
        "Environment": face.environment,
        "Risk": risk.strip(),
        "Held by rule": row.rule,
        "Who may decide": str(required(row)),
        "Approvals": f"{len(face.approved_by)} of {required(row).quorum}"
        + (f": {', '.join(face.approved_by)}" if face.approved_by else ""),
    }
    fields = [_text(f"{name}\n{plain(said, FIELD)}") for name, said in facts.items() if said]
    return {"type": "section", "fields": fields}


def _words(face: Face) -> list[Block]:
    said = []
    if not face.row.reviewed:
        said.append(note("⚠️ Nobody has reviewed how this tool describes itself: read the arguments."))
    if face.row.hidden:
        said.append(
            note(
                f"🔒 {face.row.hidden} characters are hidden: they look like a credential, or repeat a secret argument."
            )
        )
    if face.row.reason:
        said.append(
            {"type": "section", "text": _text(f"The agent says (unverified): {plain(face.row.reason, QUOTED)}")}
        )
    if face.frozen and face.status.state is State.PENDING:
        said.append(note(f"🧊 {inline(face.frozen, 300)} Nothing can be approved until it is lifted."))
    return said


def _state(face: Face) -> Block:
    status = face.status
    after = _AFTER.get(status.state)
    words = f"*{STATES[State.APPROVED] if after else STATES[status.state]}*"
    if status.state is State.PENDING:
        return note(words + _expiry(face))
    if status.decided_by:
        words += f" by {inline(status.decided_by, 100)} {_WHERE.get(face.decided_where, '')}".rstrip()
    if face.decided_at is not None:
        words += f", {_moment(face.decided_at)}"
    if after:
        words += f" · {after}"
    if said := status.comment or (status.ended_because if not status.decided_by else None):
        words += f": {inline(said, QUOTED)}"
    return note(words)


def _expiry(face: Face) -> str:
    left = face.status.expires_in
    return "" if left is None else f" · expires {_moment(face.now + round(left * SECOND))}"


def _buttons(face: Face, *, complete: bool) -> Block:
    elements = []
    if face.button and complete and not face.frozen:
        approve = _button("Approve", APPROVE, face.button) | {"style": "primary"}
        if face.row.risk in _CONFIRMED:
            approve["confirm"] = {
                "title": _text("Approve this?"),
                "text": _text(plain(face.row.summary, 280)),
                "confirm": _text("Approve"),
                "deny": _text("Not yet"),
            }
        elements.append(approve)
    if face.button:
        elements.append(_button("Deny…", DENY, face.button) | {"style": "danger"})
    return {"type": "actions", "block_id": ACTIONS, "elements": [*elements, _open("Open", face.status.review_url)]}


def _link(face: Face) -> Block:
    return {"type": "actions", "block_id": ACTIONS, "elements": [_open("Open", face.status.review_url)]}


def _open(label: str, url: str) -> Block:
    return {"type": "button", "action_id": OPEN, "text": _text(label), "url": url}


def _button(label: str, action: str, value: str) -> Block:
    return {"type": "button", "action_id": action, "text": _text(label), "value": value}


def note(words: str) -> Block:
    """A line of our own words, in mrkdwn."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "verbatim": True, "text": words}]}


def _section(words: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "verbatim": True, "text": words}}


def _text(words: str, *, emoji: bool = True) -> Block:
    return {"type": "plain_text", "text": words, "emoji": False} if not emoji else {"type": "plain_text", "text": words}


def _packed(said: Iterable[str]) -> list[str]:
    """Lines joined to as few texts as hold them."""
    packed = [""]
    for line in said:
        if len(packed[-1]) + len(line) + 1 > SECTION:
            packed.append("")
        packed[-1] += f"\n{line}" if packed[-1] else line
    return packed


def _moment(at: Instant) -> str:
    return moment(at // SECOND, datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%d %H:%M UTC"))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _url(url: str) -> str:
    return url.replace("|", "%7C").replace(">", "%3E")
