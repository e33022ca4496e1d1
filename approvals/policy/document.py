"""What a policy file may hold, key by key; the JSON Schema for editors is made from it."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from approvals.policy.model import Action

MAX_CONDITION = 4_000
"""Characters of a `when`."""
MAX_RULES = 2_000
MAX_SPAN = 90 * 86_400
"""Seconds."""

_SPAN = re.compile(r"(?=\d)(?:(\d{1,3})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?\Z", re.ASCII)


def seconds(value: object) -> int:
    """The seconds of a duration as it is written: 90s, 15m, 1h30m, 2d."""
    match = _SPAN.match(value) if isinstance(value, str) else None
    if match is None:
        number = isinstance(value, int) and not isinstance(value, bool)
        suggestion = f"Write {value}s or {value}m." if number else "Write it like 90s, 15m, 1h30m or 2d."
        raise PydanticCustomError("duration", "A duration has a unit.", {"suggestion": suggestion})
    total = sum(int(part or 0) * unit for part, unit in zip(match.groups(), (86_400, 3600, 60, 1), strict=True))
    if total > MAX_SPAN:
        raise PydanticCustomError("duration", "This is longer than 90 days.", {"suggestion": "Write at most 90d."})
    return total


def positive(value: object) -> int:
    """The same, and not nothing."""
    if (total := seconds(value)) == 0:
        raise PydanticCustomError("duration", "This is no time at all.", {"suggestion": "Write at least 1s."})
    return total


_WRITTEN = WithJsonSchema({"type": "string", "pattern": r"^(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?$", "examples": ["15m"]})
Span = Annotated[int, BeforeValidator(positive), _WRITTEN]
SpanOrNone = Annotated[int, BeforeValidator(seconds), _WRITTEN]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
RuleId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Risk = Literal["low", "medium", "high", "critical"]
Channel = Literal["decide", "notify_only", "off"]


Groups = dict[Name, Annotated[list[Name], Field(max_length=500)]]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


_Names = Annotated[list[Name], Field(min_length=1, max_length=200)]
Globs = Annotated[
    _Names,
    BeforeValidator(_one_or_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


class Part(BaseModel):
    """Anything in the file: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Hints(Part):
    """A tool's annotations, believed only where the server's are trusted."""

    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None


class Match(Part):
    """Which calls a rule is about: everything given has to fit. `*` and `?` stand for other characters."""

    server: Globs | None = None
    tool: Globs | None = None
    annotations: Hints | None = None
    trusted: bool | None = None
    """Whether the server's annotations are trusted."""
    assurance: Literal["enforced", "cooperative"] | None = None
    agent: Globs | None = None
    """The agent's name; an unidentified caller has none, and fits no pattern."""
    agent_group: Globs | None = None
    environment: Globs | None = None


class ReviewersPart(Part):
    """Who may decide, and how many of them it takes."""

    people: Annotated[list[Name], Field(max_length=200)] | None = None
    groups: Annotated[list[Name], Field(max_length=50)] | None = None
    quorum: Annotated[int, Field(ge=1, le=20)] | None = None
    each_group: bool | None = None
    exclude_requester: bool | None = None


class ChannelsPart(Part):
    """What may happen where."""

    web: Channel | None = None
    slack: Channel | None = None
    api: Channel | None = None


class Escalation(Part):
    """From `after` on (counted from filing) these groups may decide, too."""

    after: Span
    groups: Annotated[list[Name], Field(min_length=1, max_length=50)]


class GrantsPart(Part):
    """The most that a standing grant made from a card may allow."""

    max_uses: Annotated[int, Field(ge=1, le=10_000)] = 10
    max_minutes: Annotated[int, Field(ge=1, le=43_200)] = 60


Mention = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s<>@]+(@[^\s<>@]+)?$")]


class NotifyPart(Part):
    """Where a request is announced beside the web queue."""

    slack: Annotated[str, Field(pattern=r"^(#[^\s#@]{1,80}|[CG][A-Z0-9]{2,20})$")] = ""
    """A channel of its own, by name or by Slack's id."""
    direct: bool = False
    """Whether those who may approve are written to, one by one."""
    mention: Annotated[list[Mention], Field(max_length=20)] = []
    """Whom its message in the channel calls: people by their handle, and Slack's user groups by their id (`S…`)."""


EditedPath = Annotated[str, Field(min_length=1, max_length=500)]


class EditsPart(Part):
    """What people may change of a call before they approve it."""

    only: Annotated[list[EditedPath], Field(min_length=1, max_length=100)] | None = None
    """Paths of arguments, with what is in them: `amount_cents`, `items[].price`."""
    lower: bool = False
    """Whether only numbers may be changed, and only downwards."""


class RequirePart(Part):
    """What has to be there before anybody can approve."""

    preview: Literal[True]


class TermsPart(Part):
    """What both a rule and the defaults may say."""

    risk: Risk | None = None
    reviewers: ReviewersPart | None = None
    channels: ChannelsPart | None = None
    assurance: Literal["enforced"] | None = None
    """A cooperative installation's call is denied."""
    require: RequirePart | None = None
    """With `preview`, nobody can approve a call whose effect is not known."""
    edits: bool | EditsPart | None = None
    """`false`: nobody changes what was asked; or how far they may."""
    ttl: Span | None = None
    execute_within: Span | None = None
    cool_down: SpanOrNone | None = None
    replay_window: SpanOrNone | None = None
    reminders: Annotated[list[Span], Field(max_length=10)] | None = None
    escalate: Escalation | None = None
    grants: Literal["off"] | GrantsPart | None = None
    notify: NotifyPart | None = None
    deny_reasons: Annotated[list[Words], Field(max_length=6)] | None = None
    """What one click fills in as the reason of a denial; the agent reads it."""


class DefaultsPart(TermsPart):
    """What holds where a rule says nothing, and for calls that no rule is about."""

    action: Annotated[Action, Field(strict=False)] = Action.REQUIRE_APPROVAL
    reason: Annotated[str, Field(min_length=1, max_length=500)] | None = None


class RulePart(TermsPart):
    """One rule. The first one that matches decides."""

    id: RuleId
    match: Match = Match()
    when: Annotated[str, Field(min_length=1, max_length=MAX_CONDITION)] | None = None
    """A condition in CEL over args, facts, tool, agent, server and now."""
    title: Words | None = None
    """Why a person is asked, in a reviewer's words; the card shows it."""
    action: Annotated[Action, Field(strict=False)]
    reason: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """For the agent."""


class Document(Part):
    """An approval policy."""

    version: Literal[1]
    groups: Groups = {}
    """The people in each group, by handle; an empty list for a group whose members only the service knows."""
    defaults: DefaultsPart = DefaultsPart()
    rules: Annotated[list[RulePart], Field(max_length=MAX_RULES)]


def json_schema() -> dict[str, object]:
    """The JSON Schema of a policy file, for editors."""
    schema = Document.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema | {"title": "Approval policy"}
