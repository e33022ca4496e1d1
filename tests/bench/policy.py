"""Judging one call against 1,000 rules, a third of which are about its tool and have conditions that are false."""

import json
import time

from figures import Figures

from approvals.policy.engine import RulePolicy
from approvals.policy.loader import read
from approvals.policy.model import CallFacts, ToolFacts
from approvals.protocol.registration import Annotations

RULES = 1_000
CALLS = 1_000
SCHEMA = {
    "type": "object",
    "properties": {"order_id": {"type": "integer"}, "amount_cents": {"type": "integer"}, "note": {"type": "string"}},
}


def measure() -> list[Figures]:
    """Milliseconds; every call's arguments are new, and the last rule decides."""
    judging = Figures(f"judging a call against {RULES:,} rules: ms", 1, budget_p99=None, unit="ms")
    tool = ToolFacts("shop", "refund_order", Annotations(), True, tool_hash="0" * 64, input_schema=SCHEMA)
    policy = _policy(tool)
    for number in range(-10, CALLS):
        arguments = {"order_id": number + 10, "amount_cents": 40 + number % 50, "note": f"for order {number}"}
        call = CallFacts(tool, arguments, "scout", 0, 1_790_000_000_000_000 + number)
        began = time.perf_counter()
        judgement = policy.judge(call)
        took = (time.perf_counter() - began) * 1000
        assert judgement.rule == "last", judgement
        if number >= 0:  # conditions are compiled when a definition is first seen
            judging.pair(took, 1)
    return [judging]


def _policy(tool: ToolFacts) -> RulePolicy:
    conditions = (
        "args.amount_cents > {} && agent.name == 'scout'",
        "has(args.note) && args.note.startsWith('{}')",
        "args.order_id % 1000000 == 999{}",
    )
    rules = []
    for number in range(RULES - 1):
        ours = number % 3 == 0
        rule = {"id": f"rule-{number}", "action": "deny", "reason": "no", "match": {"server": "shop" if ours else "b*"}}
        if ours:
            rule["when"] = conditions[number // 3 % 3].format(1_000 + number)
        rules.append(rule)
    rules.append({"id": "last", "action": "allow"})
    return read(json.dumps({"version": 1, "rules": rules}), [tool])


if __name__ == "__main__":
    for row in measure():
        print(row.document())
