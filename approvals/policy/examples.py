"""Examples kept beside a policy: calls, and what is expected to come of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, field_validator

from approvals.errors import ApprovalsError
from approvals.instant import Instant
from approvals.policy.diagnostics import Diagnostic, Diagnostics, in_order
from approvals.policy.document import Name, Part
from approvals.policy.loader import PolicyRefused
from approvals.policy.model import (
    CallFacts,
    Judgement,
    Policy,
    ToolFacts,
)
from approvals.policy.yaml_nodes import Node, Unreadable, parse
from approvals.protocol.canonical import encode, redacted
from approvals.protocol.previews import nested
from approvals.protocol.registration import Annotations

_STAND_IN = redacted(b"example", "", "")
REDACTED = "$redacted"
"""As an argument's whole text: a redacted leaf."""


class HintsGiven(Part):
    """A tool's annotations in an example."""

    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False
    open_world: bool = True


Given = dict[str, bool | int | float | str | list[str]]


class CallGiven(Part):
    """A call. What is not given is as the known tool has it, else as MCP assumes."""

    server: Name
    tool: Name
    args: dict[str, Any] = Field(default_factory=dict)
    facts: Given = Field(default_factory=dict)
    """Of its preview, by name: `{rows: 3, sql.verb: delete, sql.tables: [public.orders]}`."""
    agent: Name | None = None
    agent_groups: list[Name] = Field(default_factory=list)
    hidden: Annotated[int, Field(ge=0)] = 0
    now: str | None = None
    environment: str | None = None
    assurance: Literal["enforced", "cooperative"] | None = None
    trusted: bool | None = None
    annotations: HintsGiven | None = None

    @field_validator("facts")
    @classmethod
    def _is_one_tree(cls, facts: Given) -> Given:
        nested(facts)
        return facts


class Expectation(Part):
    """What is looked at of the judgement; at least one."""

    action: Literal["allow", "require_approval", "deny"] | None = None
    rule: str | None = None
    risk: Literal["low", "medium", "high", "critical"] | None = None
    quorum: int | None = None
    reason: str | None = None
    """Words that its reason has in it."""


class Example(Part):
    """One call, and what is expected of it."""

    name: Name
    call: CallGiven
    expect: Expectation


class Examples(Part):
    """The file."""

    examples: list[Example]


@dataclass(frozen=True)
class Placed:
    """An example, and the line it begins at."""

    example: Example
    line: int


@dataclass(frozen=True)
class Result:
    """What came of one example; as expected if there are no differences."""

    name: str
    line: int
    differences: tuple[str, ...]


class _Reading(Diagnostics):
    def examples(self, root: Node) -> list[Placed]:
        self.duplicates(root)
        made: Examples | None = self.validate(root, TypeAdapter(Examples), Examples)
        if made is None:
            return []
        nodes = root.at("examples").value
        for example, node in zip(made.examples, nodes, strict=True):
            if not example.expect.model_dump(exclude_none=True):
                self.wrong(node.at("expect"), "Nothing is expected here.", "Write {action: …} or {rule: …}.")
            try:
                _call(example.call, (), 0)
            except (ValueError, ApprovalsError) as error:
                self.wrong(node.at("call"), f"This is no call: {error}", "Look at its arguments and its time.")
        return [Placed(example, node.line) for example, node in zip(made.examples, nodes, strict=True)]


def read_examples(text: str) -> list[Placed]:
    """The examples in a text. Raises PolicyRefused."""
    reading = _Reading()
    try:
        found = reading.examples(parse(text))
    except Unreadable as error:
        place = Diagnostic(error.line, error.column, error.message, error.suggestion)
        raise PolicyRefused(in_order(text, [place])) from error
    if reading.found:
        raise PolicyRefused(in_order(text, reading.found))
    return found


def run(policy: Policy, examples: Iterable[Placed], tools: Sequence[ToolFacts], now: Instant) -> list[Result]:
    """Judge them; `now` is the time of those that name none."""
    return [
        Result(
            placed.example.name,
            placed.line,
            _differences(placed.example.expect, policy.judge(_call(placed.example.call, tools, now))),
        )
        for placed in examples
    ]


def facts(
    server: str,
    tool: str,
    tools: Sequence[ToolFacts],
    *,
    environment: str | None = None,
    assurance: str | None = None,
    trusted: bool | None = None,
    annotations: Annotations | None = None,
) -> ToolFacts:
    """A tool as it is known, with what is given instead; an unknown one as MCP assumes of it."""
    given = {"environment": environment, "assurance": assurance, "trusted": trusted, "annotations": annotations}
    changes = {name: value for name, value in given.items() if value is not None}
    alike = [known for known in tools if (known.server, known.tool) == (server, tool)]
    fitting = [known for known in alike if all(getattr(known, name) == value for name, value in changes.items())]
    known = next(iter(fitting or alike), ToolFacts(server, tool, Annotations(), trusted=True))
    return replace(known, **changes)  # type: ignore[arg-type]


def _call(given: CallGiven, tools: Sequence[ToolFacts], now: Instant) -> CallFacts:
    tool = facts(
        given.server,
        given.tool,
        tools,
        environment=given.environment,
        assurance=given.assurance,
        trusted=given.trusted,
        annotations=Annotations(**given.annotations.model_dump()) if given.annotations else None,
    )
    at = now if given.now is None else _instant(given.now)
    groups = tuple(given.agent_groups)
    return CallFacts(tool, _hide(encode(given.args)), given.agent, given.hidden, at, groups, nested(given.facts))


def _instant(text: str) -> Instant:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return round(moment.timestamp() * 1_000_000)


def _hide(encoded: object) -> object:
    if encoded == REDACTED:
        return _STAND_IN
    if isinstance(encoded, list):
        return [_hide(item) for item in encoded]
    if isinstance(encoded, dict):
        return {key: _hide(item) for key, item in encoded.items()}
    return encoded


def _differences(expected: Expectation, judgement: Judgement) -> tuple[str, ...]:
    found = {
        "action": judgement.action.value,
        "rule": judgement.rule,
        "risk": judgement.risk,
        "quorum": judgement.reviewers.quorum,
    }
    wanted = expected.model_dump(exclude_none=True)
    words = wanted.pop("reason", "")
    differences = [
        f"{name}: expected {value}, got {found[name]}" for name, value in wanted.items() if found[name] != value
    ]
    if words not in judgement.reason:
        differences.append(f"reason: expected {words!r} in it, got {judgement.reason!r}")
    if differences and judgement.reason and not words:
        differences.append(f"({judgement.reason})")
    return tuple(differences)
