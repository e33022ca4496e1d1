"""The words of the queue and the card, in one place to be read through."""

import re
from typing import NamedTuple, Protocol

_ANOTHER = re.compile(r", \w+=")
_IDENTIFIER = re.compile(r"\b[0-9a-f]{8}[0-9a-f-]{8,}\b")

STATES = {
    "pending": "Pending",
    "approved": "Approved, waiting for the agent",
    "denied": "Denied",
    "expired": "Expired",
    "withdrawn": "Withdrawn",
    "lapsed": "Approval expired",
    "revoked": "Approval undone",
    "executing": "Running",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "not_executed": "Did not run",
    "stale": "Changed before it ran",
    "unknown": "Outcome unknown",
}
TONES = {
    "pending": "plain",
    "approved": "good",
    "executing": "warn",
    "succeeded": "good",
    "failed": "bad",
    "unknown": "bad",
    "stale": "warn",
}
RISKS = {"critical": "Critical", "high": "High risk", "medium": "Medium risk", "low": "Low risk"}
ACTIONS = {"allow": "runs without asking", "require_approval": "waits for a person", "deny": "is refused"}
"""What a policy makes of a call."""
DENY_REASONS = ("Wrong target", "Need more information", "Not now", "Use the staging copy first")
"""What one click fills in."""


class Term(NamedTuple):
    """A word that a reviewer cannot know, and what it means."""

    name: str
    meaning: str


TERMS = {
    "enforced": Term("Enforced gate", "It runs where the agent cannot reach it."),
    "cooperative": Term(
        "Bypassable gate",
        "The agent starts this server itself, so it could go around the gate. Treat an approval as a safety net.",
    ),
    "fingerprint": Term(
        "Fingerprint",
        "A checksum of exactly what you see. If anything changes, your approval no longer counts.",
    ),
    "rule": Term("Rule", "The line of the policy that asked for a person."),
    "unverified": Term("Unverified", "The agent says so itself. Nothing has checked it."),
    "unreviewed": Term(
        "Unreviewed tool",
        "Nobody has reviewed this tool's description. Rely on the arguments, not on the title.",
    ),
    "observe": Term("Not enforced", "The call ran without asking. This records what the rule would have done."),
    "follow-up": Term(
        "Needs a follow-up", "The tool started and we lost contact. Look what happened, then record it here."
    ),
    "permission": Term("Temporary permission", "Calls that run without asking until it expires or is used up."),
}


class Named(Protocol):
    """What a headline is made of."""

    server: str
    tool: str
    summary: str


def headline(row: Named, short: bool = False) -> str:
    """The effect sentence; where its tool has no template, the tool by name, and in a list (`short`) what it gets."""
    call = f"{row.server}.{row.tool}("
    if not row.summary.startswith(call):
        return row.summary
    given = row.summary.removeprefix(call).removesuffix(")")
    if not _ANOTHER.search(given):
        given = given.partition("=")[2]  # of one argument the value says enough
    return f"{row.tool}: {given}" if short and given else f"Call {row.tool} on {row.server}"


def brief(text: str) -> str:
    """Without the length of its identifiers: enough of each to tell them apart."""
    return _IDENTIFIER.sub(lambda found: f"{found[0][:8]}…", text)


def event(kind: str) -> str:
    """What an event of the audit log is called."""
    return KINDS.get(kind) or kind.replace(".", ": ").replace("_", " ").capitalize()


KINDS = {
    "request.filed": "Requested",
    "request.revised": "Changed",
    "request.edit_asked": "Change entered",
    "request.edit_refused": "Change refused by the tool",
    "request.edited": "Changed by a reviewer",
    "request.previewed": "Effect looked up again",
    "request.escalated": "More people asked",
    "request.reminded": "Reviewers reminded",
    "request.erased": "Contents erased",
    "request.approved": "Approved",
    "request.executing": "Started",
    "decision.approve": "Vote to approve",
    "execution.completed": "Finished",
    "execution.checked": "Checked by the tool itself",
    "incident.contradiction": "A late report says otherwise",
    "incident.acknowledged": "Contradiction acknowledged",
}
"""Events of a request's timeline; those not named here are called as the state they led to."""
