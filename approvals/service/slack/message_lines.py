"""What a message says of a request beside what would run: a line each, in every state the same lines. Pure.

A line that has nothing to say says so: what is missing without a word reads as forgotten.
"""

from approvals.instant import SECOND
from approvals.policy.reviewers import listed
from approvals.protocol.edits import Edited
from approvals.protocol.edits import words as changes_in_words
from approvals.protocol.preview_words import REVERSIBLE
from approvals.protocol.states import State
from approvals.service.authority import required
from approvals.service.slack import blocks
from approvals.service.slack.request_view import RequestView
from approvals.service.slack.text import inline, plain

QUOTED, NAMED = 500, 100
"""Characters of others' words, and of a name."""
PEOPLE = 5
"""So many are named."""
RISKS = {
    "low": "🟢 Low risk",
    "medium": "🟡 Medium risk",
    "high": "🟠 High risk",
    "critical": "🔴 Critical risk",
}
_NEVER_RAN = frozenset(
    {
        State.DENIED,
        State.EXPIRED,
        State.WITHDRAWN,
        State.LAPSED,
        State.REVOKED,
        State.NOT_EXECUTED,
        State.STALE,
    }
)


def beforehand(view: RequestView) -> list[str]:
    """While it waits."""
    ends = until(view)
    return [
        f"*Undo:* {_undo(view)}",
        *_agents_words(view),
        f"*Why it waits:* {_rule(view)}",
        f"*Approvals:* {approvals(view)}{_who_denies(view) if quorum(view) > 1 else ''}",
        *([f"*Until:* {ends}, then it expires and nothing runs"] if ends else []),
        f"*On approval:* {_on_approval(view)}",
    ]


def afterwards(view: RequestView) -> list[str]:
    """Once it is decided or over."""
    return [
        f"*Asked by:* {inline(view.who, NAMED)}, to run {tool(view)}",
        risk_and_why(view),
        f"*Undo:* {_undo(view)}",
        *_agents_words(view),
        f"*Why it waited:* {_rule(view)}",
        *([edited(view.status.edited)] if view.status.edited is not None else []),
    ]


def edited(edit: Edited) -> str:
    """What a person changed of what the agent asked, and why."""
    said, why = inline(changes_in_words(edit.changes), QUOTED), inline(edit.reason, QUOTED)
    return f"*Edited:* {inline(edit.by, NAMED)} changed what the agent asked: {said}. “{why}”"


def risk(view: RequestView) -> str:
    """A sign and a word."""
    return RISKS.get(view.row.risk, f"⚪ {inline(view.row.risk, NAMED)} risk")


def risk_and_why(view: RequestView) -> str:
    """The risk, and where it comes from as far as that is on record."""
    if not view.usual_risk:
        return f"*{risk(view)}*"
    if view.row.risk != view.usual_risk:
        return f"*{risk(view)}:* set by the rule “{inline(view.row.rule, NAMED)}”"
    return f"*{risk(view)}:* this tool {'may overwrite or delete' if view.usual_risk == 'high' else 'only adds'}"


def tool(view: RequestView) -> str:
    """Which tool, and where."""
    return f"{inline(view.row.tool, NAMED)} on {place(view)}"


def place(view: RequestView) -> str:
    """The server, and where it runs."""
    where = f" ({inline(view.environment, NAMED)})" if view.environment else ""
    return f"{inline(view.row.server, NAMED)}{where}"


def quorum(view: RequestView) -> int:
    """How many people it takes."""
    return max(1, required(view.row).quorum)


def until(view: RequestView) -> str:
    """When a request that waits is over."""
    left = view.status.expires_in
    return "" if left is None else blocks.when(view.now + round(left * SECOND))


def approvals(view: RequestView) -> str:
    """How many there are, whose and since when, and who is missing."""
    said = f"{len(view.approved_by)} of {quorum(view)}"
    missing = inline(view.missing, 300) if view.missing else ""
    wanted = f"{missing}{_by_name(view.awaited)}"
    if not view.approved_by:
        return f"{said}: {wanted} {'may' if quorum(view) == 1 else 'must'} approve" if missing else said
    have = "has" if len(view.approved_by) == 1 else "have"
    said += f": {inline(listed(view.approved_by, 'and'), 300)} {have} approved{_since(view)}"
    if not missing:
        return said
    one = quorum(view) - len(view.approved_by) <= 1
    if required(view.row).anybody:
        return f"{said}, {missing} {'is' if one else 'are'} still missing"
    return f"{said}; only {wanted} can give {'the one that is' if one else 'those that are'} still missing"


def who_waits(view: RequestView) -> str:
    """As of now: for what is posted once, since callers come and go while a message stays."""
    if view.callers is None:
        return ""
    waits = (
        "is waiting for the answer"
        if view.callers
        else "has stopped waiting: once approved, it runs when the agent asks again"
    )
    return f"{inline(view.who, NAMED)} {waits}"


def _undo(view: RequestView) -> str:
    if view.status.state in _NEVER_RAN:
        return "nothing to undo, nothing ran"
    if view.preview is not None and view.preview.reversible is not None:
        words = f"{REVERSIBLE[view.preview.reversible].lower()}, says {place(view)}"
        return f"{words}: {inline(view.preview.until, 200)}" if view.preview.until else words
    if view.row.reviewed and not view.destructive:
        return "the tool says that it only adds, and overwrites or deletes nothing"
    return "unknown: the tool does not say, so treat it as final"


def _agents_words(view: RequestView) -> list[str]:
    """For whom and why, neither of them verified."""
    row = view.row
    named = f"{inline(row.on_behalf_of, 200)} (the agent says so, not verified)" if row.on_behalf_of else "nobody named"
    why = (
        f"*Why, says the agent (not verified):*\n{_quoted(row.reason)}"
        if row.reason
        else "*Why:* the agent does not say"
    )
    return [f"*For:* {named}", why]


def _quoted(words: str) -> str:
    """With its lines and blanks, each line marked as a quotation."""
    kept = plain(words, QUOTED).split("\n")
    return "\n".join(f"> {inline(line, QUOTED) if line.strip() else ''}" for line in kept)


def _rule(view: RequestView) -> str:
    row = view.row
    if row.held:
        return "it was asked under a freeze that holds writes"
    if row.rule == "default":
        return f"no rule {'lets' if view.pending else 'let'} it run without a person"
    people = "a person" if quorum(view) == 1 else f"{quorum(view)} people"
    return f"the rule “{inline(row.rule, NAMED)}” {'wants' if view.pending else 'wanted'} {people} to decide"


def _on_approval(view: RequestView) -> str:
    """True however long the message stands: callers come and go, so it says when one was there."""
    left = quorum(view) - len(view.approved_by)
    first = ""
    if left > 1:
        first = "with the last approval "
    elif quorum(view) > 1 and view.missing:
        first = f"as soon as {inline(view.missing, 300)} approves, "
    agent = inline(view.agent, NAMED) if view.agent else "the agent"
    asked = blocks.when(view.row.created_at)
    return (
        f"{first}it runs once, with exactly the arguments above: right away if {agent} is still connected (it was "
        f"waiting for the answer {asked}), otherwise the next time {agent} makes the same call. The result comes into "
        "this thread"
    )


def _who_denies(view: RequestView) -> str:
    return f". One denial ends it: {inline(str(required(view.row)), 300)} may deny"


def _since(view: RequestView) -> str:
    if view.approved_at is None:
        return ""
    return f" ({'the last of them ' if len(view.approved_by) > 1 else ''}{blocks.when(view.approved_at)})"


def _by_name(people: tuple[str, ...]) -> str:
    """Who that is, as far as a line has room."""
    if not people:
        return ""
    more = [f"{len(people) - PEOPLE} more"] if len(people) > PEOPLE else []
    return f" ({listed([inline(name, 60) for name in people[:PEOPLE]] + more)})"
