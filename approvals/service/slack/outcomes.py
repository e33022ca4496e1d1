"""How a request stands once nobody has to decide it: a sign and a word, who decided, their words or the tool's, and
what is left to do. Pure."""

from approvals.policy.reviewers import listed
from approvals.protocol.states import State
from approvals.service.slack import blocks
from approvals.service.slack.message_lines import NAMED, QUOTED, place
from approvals.service.slack.request_view import RequestView
from approvals.service.slack.text import inline

STATES = {
    State.PENDING: "⏳ Waiting for a decision",
    State.APPROVED: "👍 Approved: not run yet",
    State.EXECUTING: "▶️ Running now",
    State.SUCCEEDED: "✅ It ran",
    State.FAILED: "❌ It ran and failed: it may have taken effect wholly, partly or not at all",
    State.UNKNOWN: "❓ Not known whether it took effect",
    State.NOT_EXECUTED: "⚪ It did not run",
    State.STALE: "⚪ It did not run: its effect had changed, and it was asked anew",
    State.DENIED: "🚫 Denied: nothing ran",
    State.EXPIRED: "⌛ Expired: nobody decided in time, and nothing ran",
    State.WITHDRAWN: "↩️ Withdrawn by the agent: nothing ran",
    State.LAPSED: "⌛ Not started in time: nothing ran",
    State.REVOKED: "🚫 Approval taken back: nothing ran",
}
"""A sign and a word, and behind a colon what follows from it."""
RAN = frozenset({State.SUCCEEDED, State.FAILED, State.UNKNOWN, State.NOT_EXECUTED, State.STALE})
"""How a run ends: the thread is told."""
_ENDED = {State.SUCCEEDED: "ended", State.FAILED: "failed"}
_WHERE = {"web": "on the web", "slack": "in Slack", "api": "with a token"}


def headline(state: State) -> str:
    """The sign and the word alone."""
    return STATES[state].partition(":")[0]


def outcome(view: RequestView) -> list[str]:
    """How it stands, who decided, and their words or the tool's: lines, whose words together may be too many for one
    section."""
    status = view.status
    state, _, follows = STATES[status.state].partition(": ")
    decided, more = _decided(view), f": {follows}" if follows else ""
    if decided and status.state in {State.APPROVED, State.DENIED}:
        lines = [f"*{state}* by {decided}", f"{follows.capitalize()}."]
    else:
        lines = [f"*{state}*{more}"]
        if status.state is State.FAILED:
            lines.append(f"*The tool's error:* {inline(status.error, QUOTED) if status.error else 'it gave none'}")
        lines += [f"*Approved by:* {decided}{_ended(view)}"] if decided else []
    if status.comment:
        lines.append(f"> {inline(status.comment, QUOTED)}")
    elif status.ended_because and not status.decided_by:
        lines.append(inline(status.ended_because, QUOTED))
    return [*lines, *_to_do(view)]


def _to_do(view: RequestView) -> list[str]:
    """Where a run leaves work to a person, and what the agent is told."""
    where = place(view)
    if view.status.state is State.FAILED:
        return [
            f"*What to do:* nothing is left to decide here. {_whose(view)} should look in the system behind {where} "
            "for what took effect, before anybody asks for this again.",
            f"*{inline(view.who, NAMED)}* is told that it failed, with the tool's error. It is not run again by "
            f"itself; asking again {'needs a new approval' if view.status.decided_by else 'is a new request'}.",
        ]
    if view.void:
        whose = inline(listed(view.void, "and"), QUOTED)
        return [
            f"*It will not run as it stands:* {whose} may no longer approve it. When the agent goes to run it, the "
            "approval is taken back, and the agent has to ask anew."
        ]
    if view.status.state is State.UNKNOWN:
        return [
            f"*What to do:* check in the system behind {where} whether it took effect, then press Open request and say "
            "what you found.",
            f"*{inline(view.who, NAMED)}* is told not to try it again meanwhile.",
        ]
    return []


def _whose(view: RequestView) -> str:
    """Whose task that is."""
    owner = f"whoever runs {inline(view.row.server, NAMED)}"
    if not view.status.decided_by:
        return f"W{owner[1:]}"
    return f"{inline(view.status.decided_by, NAMED)}, who approved it, or {owner}"


def _decided(view: RequestView) -> str:
    """Who, where and when; who approved did not run it."""
    if not view.status.decided_by:
        return ""
    where = _WHERE.get(view.decided_where, "")
    by = inline(view.status.decided_by, NAMED)
    if view.status.state is not State.DENIED and len(view.approved_by) > 1:
        by = listed([inline(name, NAMED) for name in view.approved_by], "and")
        where = where and f"(the last of them {where})"
    said = f"{by} {where}".rstrip()
    return said + (f", {blocks.when(view.decided_at)}" if view.decided_at is not None else "")


def _ended(view: RequestView) -> str:
    """When the run was over, where it is known how."""
    at, how = view.row.finished_at, _ENDED.get(view.status.state)
    return "" if at is None or how is None else f"; {how} {blocks.when(at)}"
