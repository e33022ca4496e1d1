"""What a gate says of its tools and of agents' keys, and what the service answers: a verdict for each tool, for as long
as a lease runs."""

import uuid
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from approvals.protocol.message_fields import Hash, Identifier, Message, Seconds, Short, ToolName


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


class Pins(StrEnum):
    """Whether what a server defines is pinned: each definition that differs from the one that stands waits for a
    person, and so does a tool that nobody knew. `first` registers the tools of a session at first: where none stood
    before, they stand."""

    NONE = ""
    FIRST = "first"
    AGAIN = "again"


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
    pins: Pins = Pins.NONE
    """Of a server that its gate's owner did not write."""


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
    refused: dict[str, str] = Field({})
    """Tools of this part that cannot be gated, by name, with why; in the answer to a registration only."""
    public_url: str
    freezes: tuple[StandingFreeze, ...] = ()
    """Those that concern this gate; it confirms each (`AcknowledgedFreezes`)."""
    audience: str = ""
    """Names the agents that may use this server, so that a change shows; empty while all may."""


class AcknowledgedFreezes(Message):
    """`PUT /gates/{session}/freezes`: this gate process has heard of them, and starts nothing that they stop."""

    freezes: tuple[Identifier, ...] = Field(max_length=1000)


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
