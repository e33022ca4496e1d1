"""What the agent is told, as a table: what happened, whether anything ran, and what to do next (P7; docs/answers.md).

Every answer but a result is an MCP error result: its text says everything, `_meta` has the same as facts. Whether they
stand in `structured_content` as well is up to the tool's output schema (`hosts`).
"""

from collections.abc import Callable

from mcp_types import CallToolResult, TextContent

from approvals.errors import (
    ApprovalsError,
    Forbidden,
    Frozen,
    Invalid,
    NotConfigured,
    NotInAudience,
    OutOfScope,
    Stale,
    TooLarge,
    TooMany,
    Unauthenticated,
    WireTooOld,
)
from approvals.protocol.canonical import JsonObject
from approvals.protocol.edits import Edited
from approvals.protocol.edits import words as words_of
from approvals.protocol.messages import RequestStatus
from approvals.protocol.states import State

AGAIN = "Call the same tool again with identical arguments"
TELL = "Tell the person who runs this MCP server; calling again will not help."
THAW = (
    "Do not try another way. Go on with what needs no write, tell your user, and call the same tool again with "
    "identical arguments later."
)
NAMELESS = (
    "This server cannot tell its callers apart, so this call cannot be continued: calling again asks a person anew. "
    "Tell your user; with a key for its agent, or a token, a call can be continued."
)
OUTSIDE = "Do not call this server again; do what you can without it, or ask a person."
_EARLIER = "This attempt ran nothing; whether an earlier one of the same call did cannot be looked up now."
_CANNOT_HAVE_RUN = (Invalid, TooLarge, Frozen, TooMany)
"""With these arguments, or as the service found before it refused to file the call anew."""
RETRY_SECONDS = 5
FROZEN_RETRY_SECONDS = 60
MAX_DETAIL = 2_000
"""Characters of what a caller is told of an error: names may be as long as all arguments."""
FACTS = "mcp-approvals/answer"
"""The key in `_meta` under which an answer's facts stand."""


def of_status(status: RequestStatus, *, held: str = "", nameless: bool = False) -> CallToolResult:
    """The answer for a request that has no result to hand back. `held` says what is frozen while it waits; a nameless
    caller cannot come back for what goes on."""
    words, executed, following = _TABLE[status.state](status)
    goes_on = status.state in {State.PENDING, State.APPROVED, State.EXECUTING}
    if goes_on and nameless:
        following = NAMELESS
    if held:
        words = f"{words} {held}: nobody can approve it until the freeze is lifted."
    facts: JsonObject = {
        "status": status.state.value,
        "request_id": status.id,
        "review_url": status.review_url,
        "executed": executed,
        "next": following,
    }
    if goes_on and not nameless:
        facts["retry_after_seconds"] = RETRY_SECONDS
    if status.expires_in is not None:
        facts["expires_in_seconds"] = round(status.expires_in)
    if status.state is State.DENIED:
        facts |= {"reason": status.comment or status.ended_because or "", "decided_by": status.decided_by}
        facts["ask_again_in_seconds"] = round(status.ask_again_in or 0)
        if status.suggestion:
            facts["suggestion"] = [
                {"path": one.path, "asked": one.was, "suggested": one.now} for one in status.suggestion
            ]
    if status.edited is not None and status.state in _AS_EDITED:
        words = f"{words} {edit_words(status.edited, what='what counts')}"
        facts["edited"] = edit_facts(status.edited)
    if held:
        facts["frozen"] = held
    if status.replaces:
        facts["replaces"] = status.replaces
    return error(words, facts)


def replayed(result: CallToolResult, status: RequestStatus) -> CallToolResult:
    """A stored result, whole, marked as such."""
    ago = round(status.finished_ago or 0)
    following = f'To run it again on purpose, pass approval_repeat="{status.id}".'
    words = (
        f"[replayed] This exact call already ran {ago} seconds ago (request {status.id}); this is its stored "
        f"result, nothing ran again. {following}"
    )
    facts: JsonObject = {"status": status.state.value, "executed": True, "request_id": status.id, "next": following}
    facts |= {"replayed": words, "ran_seconds_ago": ago}
    return _with(result.model_copy(update={"content": [block(words), *result.content]}), facts)


def as_edited(result: CallToolResult, status: RequestStatus) -> CallToolResult:
    """The result of a call that a person changed before it ran: the agent is told what, by whom, and why."""
    edited, known = status.edited, facts_of(result) or {}
    if edited is None or "edited" in known or known.get("executed") is False:
        return result
    ran = {"status": State.FAILED if result.is_error else State.SUCCEEDED, "executed": True, "request_id": status.id}
    following = known.get("next", "Go on from what ran, not from what you asked; do not ask for the rest again.")
    told = edit_words(edited)
    facts: JsonObject = {**ran, **known, "next": following, "edited": edit_facts(edited), "edited_words": told}
    result = result.model_copy(update={"content": [block(f"[edited] {told}"), *result.content]})
    return _with(result, facts)


def edit_words(edited: Edited, *, what: str = "what ran") -> str:
    """What a person changed of a call, for its agent; `what` is the changed call."""
    why = f" Their reason: {edited.reason}" if edited.reason else ""
    return (
        f"{edited.by or 'A reviewer'} changed this call before approving it, and {what} is the changed call: "
        f"{words_of(edited.changes)}.{why}"
    )


def edit_facts(edited: Edited) -> JsonObject:
    """The same as data."""
    changes = [{"path": one.path, "asked": one.was, "approved": one.now} for one in edited.changes]
    return {"by": edited.by, "reason": edited.reason, "changes": changes}


def without_result(status: RequestStatus) -> CallToolResult:
    """The answer to a call that ran, and whose exact result is not kept (too large, or sealed under an older key)."""
    words = f"ALREADY EXECUTED: request {status.id} {status.state.value}; its exact result is not available any more."
    shown = status.error if status.state is State.FAILED else status.result
    following = f'Do not call it again for the same purpose. To run it again on purpose: approval_repeat="{status.id}".'
    facts = {"status": status.state.value, "request_id": status.id, "review_url": status.review_url, "executed": True}
    return error(f"{words}\n{shown or ''}", facts | {"next": following})


def failed(result: CallToolResult, request_id: str, *, nameless: bool = False) -> CallToolResult:
    """What a tool gave back that ran on a permission: its error with the facts beside it."""
    if not result.is_error:
        return result
    following = "It ran and failed: heed its error. " + (
        "Calling again asks a person anew."
        if nameless
        else "An identical call gets this same answer for a while; to run it again on purpose, pass "
        f'approval_repeat="{request_id}".'
    )
    facts = {"status": State.FAILED.value, "request_id": request_id, "executed": True, "next": following}
    return _with(result, facts)


def frozen(status: RequestStatus, words: str) -> CallToolResult:
    """A freeze refuses writes; the request waits for its end, but its caller need not."""
    facts = {"status": "frozen", "request_id": status.id, "review_url": status.review_url, "executed": False}
    facts |= {"reason": words, "next": THAW, "retry_after_seconds": FROZEN_RETRY_SECONDS}
    said = f"NOT EXECUTED: {words}. Request {status.id} stays open: it can be decided once the freeze is lifted."
    return error(said, facts)


def of_error(failure: ApprovalsError, *, request_id: str | None = None) -> CallToolResult:
    """The answer when the call could not be put to anybody, or the claim was refused: this attempt ran nothing. Of the
    call itself that is only known where the service looked, or nothing can have run."""
    kinds: list[tuple[type[ApprovalsError], str, str]] = [
        (Frozen, "frozen", THAW),
        (Invalid, "invalid", "Correct the arguments and call again."),
        (TooLarge, "too-large", "Send less and call again."),
        (NotConfigured, "not_configured", TELL),
        (Unauthenticated, "unauthenticated", TELL),
        (NotInAudience, "not-in-audience", OUTSIDE),
        (
            OutOfScope,
            "out_of_scope",
            "Do not call it with this key again; do what you can without it.",
        ),
        (Forbidden, "forbidden", TELL),
        (WireTooOld, "wire-too-old", TELL),
        (Stale, "changed", f"{AGAIN} in a while."),
        (TooMany, "too_many_requests", "Do not ask for more now; call again with identical arguments later."),
    ]
    default = ("unavailable" if failure.status >= 500 else failure.problem, f"{AGAIN} in a while.")
    status, following = next(((name, words) for kind, name, words in kinds if isinstance(failure, kind)), default)
    looked_up = isinstance(failure, _CANNOT_HAVE_RUN) or (request_id is not None and failure.status < 500)
    hint = "" if following.startswith(failure.hint.rstrip(".")) else failure.hint
    detail = failure.detail if len(failure.detail) <= MAX_DETAIL else f"{failure.detail[:MAX_DETAIL]}…"
    words = f"NOT EXECUTED{'' if looked_up else ' NOW'}: {detail} {hint}".rstrip()
    executed = False if looked_up else None
    facts: JsonObject = {"status": status, "executed": executed, "reason": detail, "next": following}
    if request_id is not None:
        facts["request_id"] = request_id
    if isinstance(failure, Frozen):
        facts["retry_after_seconds"] = FROZEN_RETRY_SECONDS
    if isinstance(failure, TooMany):
        facts["retry_after_seconds"] = failure.extra.get("retry_after_seconds", 60)
    return error(words if looked_up else f"{words}\n{_EARLIER}", facts)


def not_yours(request_id: str, *, nameless: bool) -> CallToolResult:
    """Answer a caller who asks about a request that is not theirs, as far as anybody can tell."""
    words = "There is no such request of yours, or it was made before this server last started."
    following = "Call the original tool again."
    if nameless:
        words, following = "No request can be shown to this caller.", NAMELESS
    facts = {"status": "not_found", "request_id": request_id, "executed": False, "next": following}
    return error(words, facts)


def refused(reason: str) -> CallToolResult:
    """The policy refuses the tool altogether."""
    following = "Do not call it again; do what you can without it, or ask a person."
    facts = {"status": "refused", "executed": False, "reason": reason, "next": following}
    return error(f"NOT EXECUTED: this tool is refused here. {reason}".rstrip(), facts)


def not_started(status: RequestStatus, why: str) -> CallToolResult:
    """The permission was claimed, and could not be used safely."""
    following = f"{AGAIN}: it is asked anew."
    facts = {"status": "not_executed", "request_id": status.id, "executed": False, "next": following}
    return error(f"NOT EXECUTED: it was approved, but not started: {why.rstrip('.')}.", facts)


def _pending(status: RequestStatus) -> tuple[str, bool | None, str]:
    left = f" It expires in {round(status.expires_in)} seconds." if status.expires_in is not None else ""
    before = f" (An earlier request of the same call, {status.replaces}, ended undecided.)" if status.replaces else ""
    words = f"NOT EXECUTED: waiting for a person's approval of: {status.summary} (request {status.id}).{left}{before}"
    following = (
        f"{AGAIN} to continue, in {RETRY_SECONDS} seconds or any time later; do not change them. Meanwhile go on with "
        f"what does not need it, or tell your user: a person decides at {status.review_url}"
    )
    return words, False, following


def _approved(status: RequestStatus) -> tuple[str, bool | None, str]:
    return f"NOT EXECUTED yet: request {status.id} is approved and has not started.", False, f"{AGAIN} to run it now."


def _executing(status: RequestStatus) -> tuple[str, bool | None, str]:
    words = f"STILL RUNNING: request {status.id} was approved and is being executed for an earlier identical call."
    return words, None, f"{AGAIN} to get its result; it will not run twice."


def _denied(status: RequestStatus) -> tuple[str, bool | None, str]:
    by = status.decided_by or "a reviewer"
    without = "the reason was erased" if status.erased else "no reason given"
    reason = status.comment or status.ended_because or without
    if status.ask_again_in:
        following = f"Do not repeat it; the same call gets this answer for {round(status.ask_again_in)} more seconds."
    else:
        following = "The reviewer allows the same call to be asked again; heed the reason first."
    words = f"NOT EXECUTED: denied by {by} (request {status.id}). Reason: {reason}"
    if status.suggestion:
        words = f"{words}\nThey suggest instead: {words_of(status.suggestion)}"
        following = f"{following} You may call with what is suggested: a person decides on it anew."
    return words, False, following


def _ended(how: str) -> Callable[[RequestStatus], tuple[str, bool | None, str]]:
    def answer(status: RequestStatus) -> tuple[str, bool | None, str]:
        because = f" ({status.ended_because})" if status.ended_because else ""
        words = f"NOT EXECUTED: request {status.id} {how}{because}. Nobody denied it."
        return words, False, f"{AGAIN} if it is still needed: it is asked anew."

    return answer


def _unknown(status: RequestStatus) -> tuple[str, bool | None, str]:
    words = f"OUTCOME UNKNOWN: request {status.id} was started, and whether it took effect could not be learned."
    return words, None, f"Do not retry and do not try another way: it is settled at {status.review_url}"


def _ran(status: RequestStatus) -> tuple[str, bool | None, str]:
    return f"EXECUTED: request {status.id} {status.state.value}.", True, "Do not call it again for the same purpose."


_TABLE: dict[State, Callable[[RequestStatus], tuple[str, bool | None, str]]] = {
    State.PENDING: _pending,
    State.APPROVED: _approved,
    State.EXECUTING: _executing,
    State.DENIED: _denied,
    State.EXPIRED: _ended("expired before anybody decided"),
    State.WITHDRAWN: _ended("was withdrawn"),
    State.LAPSED: _ended("was approved, but not started in time"),
    State.REVOKED: _ended("was approved, and the approval was taken back"),
    State.NOT_EXECUTED: _ended("was approved, but did not run"),
    State.STALE: _ended("was approved, and its effect was another when it was to run"),
    State.UNKNOWN: _unknown,
    State.SUCCEEDED: _ran,
    State.FAILED: _ran,
}


_AS_EDITED = {State.APPROVED, State.EXECUTING, State.UNKNOWN, State.NOT_EXECUTED, State.LAPSED, State.REVOKED}
"""States in which what a person changed has been approved, and is not told with a result."""


def error(words: str, facts: JsonObject) -> CallToolResult:
    """An error result that ends with what to do next."""
    return _with(CallToolResult(content=[block(f"{words}\n{facts['next']}")], is_error=True), facts)


def block(words: str) -> TextContent:
    """A part of a result's text."""
    return TextContent(type="text", text=words)


def facts_of(result: CallToolResult) -> JsonObject | None:
    """None for what is a tool's own and nothing else."""
    facts: JsonObject | None = (result.meta or {}).get(FACTS)
    return facts


def _with(result: CallToolResult, facts: JsonObject) -> CallToolResult:
    return result.model_copy(update={"meta": (result.meta or {}) | {FACTS: facts}})
