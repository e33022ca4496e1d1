"""Rules over what a preview found: hold what is large, and nobody approves what nobody could look up."""

import json

import pytest

from approvals.errors import NotPossible
from approvals.policy.examples import read_examples, run
from approvals.policy.loader import PolicyRefused, read
from approvals.policy.model import Action
from approvals.protocol.previews import Fact, Preview
from approvals.service.policies import replay

RULES = """
version: 1
rules:
  - {id: small, match: {tool: refund_order}, when: facts.rows <= 100, action: allow}
  - {id: large, match: {tool: refund_order}, when: facts.rows > 100, action: require_approval, risk: critical}
"""
SURE = "version: 1\nrules: [{id: sure, action: require_approval, require: {preview: true}}]"


def rows(count, **more):
    return Preview(effect=f"Deletes {count} rows", facts=(Fact(name="rows", value=count),), **more)


@pytest.fixture
def ruled(scenario):
    def rule(text):
        scenario.service.policy.present = read(text, scenario.read(scenario.service.registry.known_tools))
        return scenario

    return rule


@pytest.mark.parametrize(
    ("preview", "state", "rule", "risk"),
    [
        pytest.param(rows(100), "approved", "small", "low", id="small"),
        pytest.param(rows(101), "pending", "large", "critical", id="large"),
        pytest.param(None, "pending", "small", "critical", id="none"),
        pytest.param(rows(1, hidden="0" * 64), "pending", "small", "critical", id="masked"),
        pytest.param(Preview(effect="Deletes rows"), "pending", "small", "critical", id="without that fact"),
        pytest.param(
            Preview(effect="x", facts=(Fact(name="rows", value="1"),)), "pending", "small", "critical", id="text"
        ),
    ],
)
def test_p5_a_rule_over_facts_lets_pass_what_it_can_read_and_holds_the_rest(ruled, preview, state, rule, risk):
    scenario = ruled(RULES)
    row = scenario.row(scenario.file(scenario.filing(preview=preview)).request_id)
    assert (row.state, row.rule, row.risk) == (state, rule, risk)


def test_the_facts_that_a_rule_looked_at_are_kept_with_the_request(ruled):
    scenario = ruled(RULES)
    row = scenario.row(scenario.file(scenario.filing(preview=rows(101))).request_id)
    assert json.loads(row.facts)["facts.rows"] == 101


def test_p1_a_claim_is_judged_by_the_effect_that_was_approved(ruled):
    scenario = ruled(RULES)
    filed = scenario.file(scenario.filing(preview=rows(101)))
    scenario.decide(filed.request_id)
    ruled(RULES.replace("require_approval", "deny, reason: too much"))
    assert isinstance(scenario.claim(filed.request_id), NotPossible)
    assert scenario.status(filed.request_id).state == "revoked"


def test_p1_nobody_approves_without_the_preview_that_a_rule_requires(ruled):
    scenario = ruled(SURE)
    failing = scenario.file(scenario.filing(no_preview="the database is away"))
    with pytest.raises(NotPossible, match="Rule sure asks for a preview, and there is none: the database is away"):
        scenario.decide(failing.request_id)
    scenario.file(scenario.filing(preview=rows(1)))
    scenario.decide(failing.request_id)
    assert scenario.status(failing.request_id).state == "approved"


def test_what_requires_a_preview_can_be_denied_without_one(ruled):
    scenario = ruled(SURE)
    filed = scenario.file()
    scenario.decide(filed.request_id, "deny", comment="nobody knows what it does")
    assert scenario.status(filed.request_id).state == "denied"


def test_a_rule_takes_over_what_the_defaults_require(ruled):
    scenario = ruled("version: 1\ndefaults: {require: {preview: true}}\nrules: [{id: r, action: require_approval}]")
    with pytest.raises(NotPossible, match="Rule r asks for a preview"):
        scenario.decide(scenario.file().request_id)


@pytest.mark.parametrize("said", ["{preview: false}", "{}", "{prewiew: true}"])
def test_a_requirement_that_requires_nothing_is_refused(said):
    with pytest.raises(PolicyRefused):
        read(SURE.replace("{preview: true}", said))


def test_a_condition_that_is_a_fact_alone_is_asked_to_compare_it(ruled):
    tools = ruled(RULES).read(ruled(RULES).service.registry.known_tools)
    with pytest.raises(PolicyRefused, match="of a type that the tool does not declare"):
        read("version: 1\nrules: [{id: r, match: {tool: refund_order}, when: facts.flag, action: allow}]", tools)


def test_examples_give_facts():
    text = """
examples:
  - {name: small, call: {server: shop, tool: refund_order, facts: {rows: 5}}, expect: {action: allow}}
  - {name: large, call: {server: shop, tool: refund_order, facts: {rows: 500}}, expect: {rule: large}}
"""
    assert [result.differences for result in run(read(RULES), read_examples(text), [], 0)] == [(), ()]


def test_a_replay_judges_by_the_effect_that_was_filed(ruled):
    scenario = ruled(RULES)
    small, large = (
        scenario.file(scenario.filing({"order_id": count}, preview=rows(count))).request_id for count in (50, 500)
    )
    other = read(RULES.replace("100", "10"), [])
    found = replay.replay(scenario.service.database.read_now, scenario.service.registry, other, 0)
    again = {one.row.id: one for one in found}
    assert (again[small].was.action, again[small].would_be.action) == (Action.ALLOW, Action.REQUIRE_APPROVAL)
    assert again[large].changed is False


DOTTED = """
version: 1
rules:
  - {id: notes, when: 'facts.sql.verb == "insert" && facts.sql.tables == ["public.note"]', action: allow}
  - {id: orders, when: '"public.orders" in facts.sql.tables', action: deny, reason: The books need them.}
"""


def test_p1_rules_read_facts_whose_names_have_dots_and_lists_of_words(ruled):
    scenario = ruled(DOTTED)
    for number, verb, tables, state in (
        (1, "insert", ("public.note",), "approved"),
        (2, "insert", ("public.note", "public.orders"), "denied"),
        (3, "delete", ("public.note",), "pending"),
    ):
        facts = (Fact(name="sql.verb", value=verb), Fact(name="sql.tables", value=tables))
        filed = scenario.filing({"order_id": number, "amount_cents": 1}, preview=Preview(effect="x", facts=facts))
        row = scenario.row(scenario.file(filed).request_id)
        assert row.state == state
        assert json.loads(row.facts).get("facts.sql.tables") == (None if state == "pending" else list(tables))


def test_an_example_gives_facts_by_their_names(ruled):
    policy = ruled(DOTTED).service.policy.present
    facts = "{sql.verb: delete, sql.tables: [public.orders]}"
    text = f"""
examples:
  - {{name: no, call: {{server: shop, tool: refund_order, facts: {facts}}}, expect: {{rule: orders}}}}
"""
    assert [result.differences for result in run(policy, read_examples(text), [], 0)] == [()]
    with pytest.raises(PolicyRefused, match="inside of another fact"):
        read_examples(text.replace("sql.verb", "sql"))
