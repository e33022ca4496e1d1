"""The words that a gate and the service exchange. JSON under `/api/v1`; unknown fields are refused.

Instants never cross the wire, only durations in seconds: a gate's clock is not the service's.
"""

import uuid
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

WIRE_VERSION = 1
"""Sent by both sides with every exchange, in the header `WIRE_HEADER`; a gate below OLDEST_WIRE gets a 426."""
OLDEST_WIRE = 1
WIRE_HEADER = "Approvals-Wire"

MAX_TOOLS = 10_000
"""Tools of one gate process."""
MAX_SERVED = 16_777_216
"""Bytes of one gate process's definitions together."""
MAX_BODY = 1_048_576
"""Bytes of one JSON body; more is a 413."""
MAX_ARGUMENTS = 262_144
"""Bytes of a call's canonical encoded arguments; more is a 413."""
MAX_REASON = 2_000
"""Characters of the agent's words, or of a reviewer's comment."""
MAX_RESULT = 16_384
"""Characters of the redacted result that people are shown; the gate cuts it."""
MAX_SEALED = 786_432
"""Characters of a sealed blob (base64)."""
MAX_UNREPORTED = 500
"""Calls that a gate may run before it must have reported some: what a dead gate may have left unrecorded."""

MAX_NUMBER = 2**31 - 1
"""What a whole number's column holds, whichever the database."""
MAX_DURATION = 2**53 - 1
"""Milliseconds; what JSON carries exactly."""

Seconds = Annotated[float, Field(ge=0)]
Short = Annotated[str, Field(max_length=200)]
ServerName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
ToolName = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=128)]
Handle = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Somebody or something as the agent's side names it: one line, shown and searched, never trusted."""
TraceId = Annotated[str, Field(pattern=r"^([0-9a-f]{32}|\(unreadable\))?$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, Field(pattern=r"^[0-9a-zA-Z_-]{8,64}$")]


class State(StrEnum):
    """Where a request stands; `approvals.protocol.states` has the moves."""

    PENDING = "pending"
    APPROVED = "approved"
    EXECUTING = "executing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_EXECUTED = "not_executed"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    REVOKED = "revoked"


OPEN = frozenset({State.PENDING, State.APPROVED, State.EXECUTING, State.UNKNOWN})
"""States in which identical calls share this request."""


class Verdict(StrEnum):
    """What a gate may do with a tool's calls: run without asking, file every one, refuse every one, or file and be
    told (`depends`)."""

    RUN = "run"
    ASK = "ask"
    REFUSE = "refuse"
    DEPENDS = "depends"


class Assurance(StrEnum):
    """Whether the gate is out of the agent's reach (`enforced`) or beside it (`cooperative`)."""

    ENFORCED = "enforced"
    COOPERATIVE = "cooperative"


class Message(BaseModel):
    """Anything that crosses the wire."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Annotations(Message):
    """A tool's hints, with MCP's defaults (spec 2026-07-28, ToolAnnotations); they count if the server is trusted."""

    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False
    open_world: bool = True


class ToolDefinition(Message):
    """A tool as its server defines it; each distinct one is kept for ever, and decisions bind its hash. What can be
    gated, `approvals.protocol.definitions` says, tool by tool."""

    name: str
    title: str | None = None
    description: str = ""
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None = None
    annotations: Annotations = Annotations()
    summary: str | None = None
    """Template of the effect sentence, e.g. "Refund {amount_cents:usd} of order {order_id}"."""
    secret: tuple[str, ...] = ()
    """Dotted paths of argument leaves that never leave the gate's process ("card.number", "items[].token")."""
    idempotency: str | None = None
    """The argument, not in `input_schema`, that the gate fills with the request's id."""


class Registration(Message):
    """`PUT /servers/{name}/tools`: everything this gate process serves, or a part of it."""

    session: Identifier
    """Made anew by each gate process."""
    code_version: Short = ""
    """The server's own, as it names it."""
    tools: tuple[ToolDefinition, ...] = Field(max_length=1000)
    part_of: Identifier = Field(default_factory=lambda: uuid.uuid4().hex)
    """Names one registration, whose parts are sent one by one."""
    complete: bool = True
    """The last part: from now on the session serves what its parts named, and nothing else."""
    code_versions: dict[ToolName, Short] = Field({}, max_length=1000)
    """By tool: the code that runs it, which approvals bind. One that is left out keeps its approvals when its code
    changes."""


class ToolVerdict(Message):
    verdict: Verdict
    tool_hash: Hash
    secret: tuple[str, ...] = ()
    """The leaves to redact: the definition's, and those it dropped while nobody has accepted that."""
    reason: str = ""
    """Why it is refused, or that a person must accept the definition."""


class StandingFreeze(Message):
    """Writes are stopped: every one that this gate could make, or one agent's."""

    id: Identifier
    agent_id: str = ""
    """Whose; empty for every caller's."""
    mode: Literal["refuse", "hold"]
    words: str
    """What is frozen, since when, by whom and why, for the agent."""


class Registered(Message):
    server: str
    installation: str
    assurance: Assurance
    pepper: str
    """Hex; keys the stand-ins of redacted leaves."""
    lease_seconds: Seconds
    tools: dict[str, ToolVerdict]
    """All that the session serves; nothing yet in the answer to a part that is not the last."""
    refused: dict[str, str] = {}
    """Tools of this part that cannot be gated, by name, with why; in the answer to a registration only."""
    public_url: str
    freezes: tuple[StandingFreeze, ...] = ()
    """Those that concern this gate; it confirms each (`HeardFreezes`)."""
    audience: str = ""
    """Names the agents that may use this server, so that a change shows; empty while all may."""


class HeardFreezes(Message):
    """`PUT /gates/{session}/freezes`: this gate process has heard of them, and starts nothing that they stop."""

    freezes: tuple[Identifier, ...] = Field(max_length=1000)


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
    continues: Identifier | None = None
    """The request for which this call waited before: its end is the answer, however it ended. Ignored when it is none
    of the same call and caller."""


class RequestView(Message):
    """A request as its agent or a person's script sees it."""

    id: str
    server: str
    tool: str
    tool_hash: Hash
    state: State
    digest: Hash
    content_version: int
    headline: str
    review_url: str
    rule: str = ""
    expires_in: Seconds | None = None
    """Until the present state runs out: a pending request expires, an approved one lapses."""
    decided_by: str | None = None
    comment: str | None = None
    """The reviewer's words to the agent."""
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

    sealed_result: str | None = None
    """The exact result, which that gate alone can open: nobody else is given it."""

    def view(self) -> RequestView:
        """What others may see of it."""
        return RequestView(**self.model_dump(exclude={"sealed_result"}))


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
    start_within: Seconds
    """Measured by the gate from before it sent the claim, on a clock that counts suspends."""
    lease_seconds: Seconds


class Lease(Message):
    """`PUT /requests/{id}/lease`: the tool is still running."""

    claim_id: Identifier


class Leased(Message):
    lease_seconds: Seconds


class Outcome(Message):
    """`PUT /requests/{id}/outcome`. `not_executed` is for a gate that claimed and then did not start."""

    claim_id: Identifier
    outcome: Literal["succeeded", "failed", "not_executed"]
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


class VerifyAgent(Message):
    """`POST /agents/verify`: whose key is this?"""

    key: str = Field(max_length=200)


class VerifiedAgent(Message):
    agent: str
    agent_id: str
    assertion: str
    expires_in: Seconds
    tools: tuple[str, ...]
    """Patterns (`protocol.scopes`) of this server's tools that the key covers; the gate refuses all others."""


class CallRecord(Message):
    """A call or message that needed no approval."""

    number: int = Field(ge=1, le=MAX_NUMBER)
    ago: Seconds
    """Seconds since it started."""
    method: Short
    target: str = Field("", max_length=2_000)
    """Tool name, resource URI or prompt name."""
    agent: str = Field("", max_length=200)
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
