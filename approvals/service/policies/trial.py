"""Trying a call: what the policy in force would say of it. Nothing is filed."""

from dataclasses import dataclass, replace

from approvals.errors import Invalid
from approvals.policy.engine import RulePolicy, Step
from approvals.policy.model import (
    CallFacts,
    Judgement,
    Policy,
    ToolFacts,
)
from approvals.protocol import redaction
from approvals.protocol.canonical import encode
from approvals.protocol.previews import facts_given
from approvals.protocol.schema_paths import property_names
from approvals.protocol.secret_paths import declared_at, steps_of
from approvals.protocol.secret_text import Declared
from approvals.service.identity.servers import agent_named
from approvals.service.storage.database import Reader
from approvals.service.tools.registry import Registry

MOST_PLACES = 5
"""Kinds of installations of one server that are looked at."""


@dataclass(frozen=True)
class Trial:
    """What would be said of the call at one kind of installation."""

    tool: ToolFacts
    steps: tuple[Step, ...]
    judgement: Judgement


def attempt(
    reader: Reader,
    registry: Registry,
    policy: Policy,
    server: str,
    tool: str,
    agent: str,
    arguments: object,
    effect: object = None,
) -> list[Trial]:
    """Judge a call as if it were filed now, at each kind of installation that serves the tool. `arguments` are plain
    JSON; those that the tool declares secret are stood in for, as in a real call. An empty agent is an unidentified
    one; `effect` is what its preview would say, by the names of its facts. Raises Invalid, NotFound (no such agent)."""
    if not isinstance(arguments, dict):
        raise Invalid("The arguments are no JSON object.", hint='For example {"order_id": 1042}.')
    try:
        found = facts_given({} if effect is None else effect)
    except ValueError as error:
        raise Invalid(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    known = [facts for facts in registry.known_tools(reader) if (facts.server, facts.tool) == (server, tool)]
    if not known:
        raise Invalid(f"No live installation of {server!r:.80} serves {tool!r:.80}.", hint="Choose one from the list.")
    row = agent_named(reader, agent) if agent else None
    groups = tuple(row.groups.split()) if row is not None else ()
    encoded = encode(arguments)
    trials = []
    for facts in known[:MOST_PLACES]:
        names = property_names(facts.input_schema)
        declared = Declared(declared_at(arguments, map(steps_of, facts.secret)), names)
        kept, hidden = redaction.looks_secret(redaction.leaves(encoded, facts.secret, b""), b"", declared, names)
        call = CallFacts(facts, kept, agent or None, hidden, reader.now, agent_groups=groups, effect=found)
        trials.append(explain(policy, call))
    return trials


def explain(policy: Policy, call: CallFacts) -> Trial:
    """Rule by rule, where the policy has rules."""
    tool = replace(call.tool, input_schema={})
    if isinstance(policy, RulePolicy):
        explained = policy.explain(call)
        return Trial(tool, explained.steps, explained.judgement)
    return Trial(tool, (), policy.judge(call))
