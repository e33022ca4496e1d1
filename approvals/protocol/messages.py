"""Requests, claims, outcomes and records of calls, as a gate and the service exchange them. JSON under `/api/v1`;
unknown fields are refused.

Instants never cross the wire, only durations in seconds: a gate's clock is not the service's.
"""

from typing import Any, Literal

from pydantic import Field

from approvals.protocol.edits import Change, Edited
from approvals.protocol.limits import MAX_DURATION, MAX_NUMBER, MAX_REASON, MAX_RESULT, MAX_SEALED, MAX_UNREPORTED
from approvals.protocol.message_fields import Handle, Hash, Identifier, Message, Seconds, Short, ToolName, TraceId
from approvals.protocol.previews import MAX_FAILURE, Preview
from approvals.protocol.states import State

WIRE_VERSION = 1
"""Sent by both sides with every exchange, in the header `WIRE_HEADER`; a gate below OLDEST_WIRE gets a 426."""
OLDEST_WIRE = 1
WIRE_HEADER = "Approvals-Wire"


class ClientInfo(Message):
    """The MCP client as it names itself; shown, never trusted."""

    name: Short = ""
    version: Short = ""
    protocol: Short = ""
    transport: Short = ""


class Filing(Message):
    """`POST /requests`: a call that needs a permission. The same call again attaches to the same request."""

    session: Identifier
    call_id: Identifier
    """Names this caller's wait, so that the service can show whether anyone is waiting."""
    tool: ToolName
    tool_hash: Hash
    arguments: dict[str, Any]
    """Encoded (`approvals.protocol.canonical`), validated, defaulted, secrets already replaced."""
    said: Hash | None = None
    """Names what the caller said, where a call makes something by itself: equal for calls that are the same (keyed by
    the pepper). Without it, the arguments are what the caller said."""
    hidden: int = Field(0, ge=0, le=MAX_NUMBER)
    """Characters masked by pattern beyond the declared secret leaves."""
    sealed_arguments: str | None = Field(None, max_length=MAX_SEALED)
    preview: Preview | None = None
    """What it would do, as the gate looked it up just now: a part of what is approved."""
    no_preview: str = Field("", max_length=MAX_FAILURE)
    """Why the tool's preview could not be had."""
    assertion: str | None = Field(None, max_length=2_000)
    """From `POST /agents/verify`; without it the caller is this gate process, "unidentified"."""
    subject: Short = ""
    """Separates callers of one gate process that the service cannot identify."""
    reason: str | None = Field(None, max_length=MAX_REASON)
    """The agent's own words, unverified."""
    on_behalf_of: Handle = ""
    """For whom the agent says it acts."""
    agent_session: Handle = ""
    """The agent's own session or run, so that its calls can be seen together."""
    trace_id: TraceId = ""
    """W3C Trace Context trace-id of the call."""
    client: ClientInfo = ClientInfo()
    repeat_of: Identifier | None = None
    """A finished request of the same call, to run it again on purpose."""
    refreshes: Identifier | None = None
    """The pending request of the same call whose effect was looked up again because a person asked: nothing is filed,
    and nobody waits."""
    continues: Identifier | None = None
    """The request for which this call waited before: its end is the answer, however it ended. Ignored when it is none
    of the same call and caller."""


class LookAgain(Message):
    """A gate's event `look`: a person wants to know what a pending call would do now."""

    id: str


class EditAsked(Message):
    """A gate's event `edit`: a person has changed a pending call, and its gate is to read it and look it up."""

    id: str
    edit: str


class EditedCall(Message):
    """`GET /requests/{id}/edits/{edit}`: what the person made of the call."""

    arguments: dict[str, Any]
    """Encoded; redacted leaves as the gate filed them."""


class EditAnswer(Message):
    """`PUT /requests/{id}/edits/{edit}`: the changed call as its tool's own model reads it, or why it cannot be."""

    session: Identifier
    tool_hash: Hash | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    hidden: int = Field(0, ge=0, le=MAX_NUMBER)
    sealed_arguments: str | None = Field(None, max_length=MAX_SEALED)
    preview: Preview | None = None
    no_preview: str = Field("", max_length=MAX_FAILURE)
    refused: str = Field("", max_length=MAX_REASON)
    """Why nothing can be made of it, for the person; then the rest says nothing."""


class RequestView(Message):
    """A request as its agent or a person's script sees it."""

    id: str
    server: str
    tool: str
    tool_hash: Hash
    state: State
    digest: Hash
    content_version: int
    summary: str
    review_url: str
    rule: str = ""
    expires_in: Seconds | None = None
    """Until the present state runs out: a pending request expires, an approved one lapses."""
    decided_by: str | None = None
    comment: str | None = None
    """The reviewer's words to the agent."""
    edited: Edited | None = None
    """How it differs from what the agent asked: a person changed it."""
    suggestion: tuple[Change, ...] = ()
    """What whoever denied it would rather have been asked."""
    ended_because: str | None = None
    ask_again_in: Seconds | None = None
    """After a denial: until the same call may be filed again."""
    finished_ago: Seconds | None = None
    replayed: bool = False
    """The call was not filed: this is the stored outcome of the same call."""
    replaces: str | None = None
    """The request of the same call that ended without an execution before this one was filed."""
    result: str | None = None
    """What people are shown of the result: redacted and cut."""
    error: str | None = None
    erased: bool = False
    """Its contents (arguments, words, results) were erased; the facts are left."""


class RequestStatus(RequestView):
    """A request as the gate that filed it sees it."""

    preview_hash: Hash | None = None
    """Names the effect that its digest covers (`previews.preview_hash`)."""
    sealed_result: str | None = None
    """The exact result, which that gate alone can open: nobody else is given it."""

    def view(self) -> RequestView:
        """The part that others than its gate may see."""
        return RequestView(**self.model_dump(exclude={"sealed_result", "preview_hash"}))


class Claim(Message):
    """`PUT /requests/{id}/claim`: take the permission, once. Repeating a claim_id repeats the answer."""

    claim_id: Identifier
    session: Identifier
    tool_hash: Hash
    digest: Hash
    exact: bool = False
    """Asks for the sealed arguments: what was approved is of another call that said the same."""


class Claimed(Message):
    request: RequestStatus
    sealed_arguments: str | None = None
    preview: Preview | None = None
    """The effect that was approved: nothing runs unless the gate finds it still so."""
    tolerant: bool = False
    """Whether numbers of it may have moved within the tolerances that people saw and approved. What a rule, a grant or
    a rollout let run was judged by exactly these numbers."""
    start_within: Seconds
    """Measured by the gate from before it sent the claim, on a clock that counts suspends."""
    lease_seconds: Seconds


class Lease(Message):
    """`PUT /requests/{id}/lease`: the tool is still running."""

    claim_id: Identifier


class Leased(Message):
    lease_seconds: Seconds


class Outcome(Message):
    """`PUT /requests/{id}/outcome`. `not_executed` is for a gate that claimed and then did not start,
    `stale` for one that found another effect than the approved one, or whose tool did and undid all."""

    claim_id: Identifier
    outcome: Literal["succeeded", "failed", "not_executed", "stale"]
    result: str | None = Field(None, max_length=MAX_RESULT)
    error: str | None = Field(None, max_length=MAX_RESULT)
    sealed_result: str | None = Field(None, max_length=MAX_SEALED)
    duration_ms: int = Field(0, ge=0, le=MAX_DURATION)


class Unsettled(Message):
    """A request whose outcome is unknown, with what its tool's check needs."""

    id: str
    digest: Hash
    sealed_arguments: str | None = None


class UnsettledRequests(Message):
    """`GET /requests/unsettled`: those that this gate process may verify, by id; `after` asks for the next."""

    requests: tuple[Unsettled, ...]


class Verification(Message):
    """`PUT /requests/{id}/verification`: what the tool's own check found of an unknown outcome."""

    session: Identifier
    outcome: Literal["succeeded", "failed", "not_executed", "unclear"]
    note: str = Field("", max_length=MAX_REASON)


class Withdrawal(Message):
    """`POST /requests/{id}/withdrawal`."""

    comment: str = Field("", max_length=MAX_REASON)


class Waiting(Message):
    """`POST /requests/events`: open the gate's one event stream; `waiting` names what its calls wait for."""

    session: Identifier
    waiting: tuple[Identifier, ...] = Field((), max_length=20_000)


class CallRecord(Message):
    """A call or message that needed no approval."""

    number: int = Field(ge=1, le=MAX_NUMBER)
    ago: Seconds
    """Seconds since it started."""
    method: Short
    target: str = Field("", max_length=2_000)
    """Tool name, resource URI or prompt name."""
    agent: str = Field(
        "", max_length=200, description="Who called, in the gate's word: the service has not verified it."
    )
    arguments: str = Field("", max_length=4_000)
    """Encoded, redacted, cut."""
    outcome: Literal["ok", "error", "refused"]
    error: str = Field("", max_length=2_000)
    duration_ms: int = Field(0, ge=0, le=MAX_DURATION)


class CallRecords(Message):
    """`POST /calls`: consecutive numbers of one session. A batch may come twice; a gap is refused with the number
    expected."""

    session: Identifier
    calls: tuple[CallRecord, ...] = Field((), max_length=MAX_UNREPORTED)
    high_water: int = Field(ge=0, le=MAX_NUMBER)
    """The last number this session has given out."""
    closed: bool = False
    """The gate process ends; nothing more will come."""


class Recorded(Message):
    next_number: int


class Decision(Message):
    """`POST /requests/{id}/decisions`: a person's deliberate act."""

    verdict: Literal["approve", "deny"]
    comment: str = Field("", max_length=MAX_REASON)
    content_version: int
    digest: Hash
    may_ask_again: bool = False
    suggestion: dict[str, Any] | None = None
    """With a denial: arguments, by name, that this person would rather have been asked for. The agent reads them."""


class EditWanted(Message):
    """`POST /requests/{id}/edits`: what a person changes of a pending call, before anybody approves it."""

    arguments: dict[str, Any]
    """By name, each whole; those that are not named stay as they are."""
    reason: str = Field(min_length=1, max_length=MAX_REASON)
    """For the agent."""
    content_version: int
    digest: Hash
