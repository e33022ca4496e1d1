"""What the rule that decided makes of a call, and what rules make of it that could not be evaluated."""

from collections.abc import Mapping
from dataclasses import replace

from approvals.policy.model import Action, CallFacts, Judgement
from approvals.policy.rules import Rule
from approvals.protocol.canonical import SAFE_INTEGER, JsonObject


def judgement_of(rule: Rule, call: CallFacts) -> Judgement:
    """The judgement of the rule that decides."""
    action, terms, risk = rule.action_on(call.tool), rule.terms, rule.risk_of(call.tool)
    waits = action is Action.REQUIRE_APPROVAL
    return Judgement(
        action=action,
        rule=rule.id,
        facts=_facts(rule, call),
        reason=rule.reason_on(call.tool),
        risk=risk,
        reviewers=terms.reviewers,
        ttl=terms.ttl,
        execute_within=terms.execute_within,
        cool_down=terms.cool_down,
        replay_window=terms.replay_window,
        reminders=terms.reminders if waits else (),
        grants=terms.grants if waits and risk != "critical" else None,
        notify=terms.notify,
        needs_preview=terms.needs_preview and waits,
        edits=terms.edits,
    )


def held(failed: list[tuple[Rule, str]], decisive: Rule, call: CallFacts) -> Judgement:
    """The judgement under the strictest terms of those that may have decided, and by a person at least."""
    strictest = max((decisive, *(rule for rule, _ in failed)), key=lambda rule: rule.strictness_on(call.tool))
    rule, why = failed[0]
    reason = f"Rule {rule.id} could not be evaluated: {why}."
    if strictest.action_on(call.tool) is Action.DENY:
        refused = judgement_of(strictest, call)
        return replace(refused, reason=f"{refused.reason} ({reason})")
    terms = replace(strictest.terms, risk=strictest.stricter_risk_of(call.tool), enforced=False, grants=None)
    by_a_person = replace(rule, action=Action.REQUIRE_APPROVAL, terms=terms, reason=reason)
    return judgement_of(by_a_person, call)


def _facts(rule: Rule, call: CallFacts) -> JsonObject:
    """The values that the rule looked at, as far as it is short and plain."""
    facts: JsonObject = {"read_only": call.tool.annotations.read_only, "trusted": call.tool.trusted}
    paths = sorted(rule.condition.touches) if rule.condition is not None else []
    looked_at = {"args": call.arguments, "facts": call.effect}
    for path in [path for path in paths if path[0] in looked_at and len(path) > 1][:20]:
        value = looked_at[path[0]]
        for step in path[1:]:
            value = value.get(f"${step}" if step.startswith("$") else step) if isinstance(value, Mapping) else None
        if _is_short(value):
            facts[".".join(path)] = value
    return facts


def _is_short(value: object) -> bool:
    match value:
        case bool():
            return True
        case int():
            return abs(value) <= SAFE_INTEGER
        case str():
            return len(value) <= 200 and value.isprintable()
        case [*words]:
            return all(isinstance(word, str) and _is_short(word) for word in words) and len(words) <= 20
    return False
