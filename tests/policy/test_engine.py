"""Judging by rules: first match wins, and whatever is not clearly allowed is held."""

import json
import math
import string

import pytest
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st

from approvals.policy import cel_ast
from approvals.policy.cel import Cel, Unanswered
from approvals.policy.engine import RuleOutcome
from approvals.policy.loader import PolicyRefused, read
from approvals.policy.matching import Globs
from approvals.policy.model import (
    Action,
    CallFacts,
    DefaultPolicy,
    GrantLimits,
    Reminder,
    ToolFacts,
)
from approvals.policy.reviewers import Channels, Reviewers
from approvals.protocol.canonical import canonical, encode, redacted
from approvals.protocol.registration import Annotations, Verdict

SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer"},
        "price": {"type": "number"},
        "note": {"type": "string"},
        "sure": {"type": "boolean"},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "card": {"type": "object", "properties": {"number": {"type": "string"}, "name": {"type": "string"}}},
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
        "any": {},
    },
    "$defs": {"Item": {"type": "object", "properties": {"price": {"type": "integer"}, "token": {"type": "string"}}}},
}
READ = Annotations(read_only=True, destructive=False)
WRITE = Annotations()
STAND_IN = redacted(b"pepper", "x", "secret")


def tool(name="refund", *, hints=WRITE, trusted=True, schema=SCHEMA, **more):
    return ToolFacts("shop", name, hints, trusted, input_schema=schema, **more)


def call(arguments=None, *, of=None, agent="scout", hidden=0, now=0, groups=(), raw=False):
    given = arguments or {}
    return CallFacts(of or tool(), given if raw else encode(given), agent, hidden, now, groups)


def policy(*rules, engine=None, **top):
    """Rules as dicts; a condition, action and id are made up where missing."""
    made = [{"id": f"r{n}", "action": "allow"} | rule for n, rule in enumerate(rules)]
    for rule in made:
        if rule["action"] == "deny":
            rule.setdefault("reason", "no")
    return read(json.dumps({"version": 1, "rules": made} | top), cel=engine)


def judged(text_or_policy, made):
    """The judgement, after `explain` was seen to agree."""
    explained = text_or_policy.explain(made)
    assert text_or_policy.judge(made) == explained.judgement
    return explained.judgement


def when(condition, arguments, **how):
    """The action under one rule that allows by a condition; else it is asked."""
    return judged(policy({"when": condition}), call(arguments, **how)).action


# what a file says


def test_the_example_of_the_design_reads_and_judges():
    rules = read(
        """
version: 1
groups:
  dba: [lead@example.com, oncall@example.com]
defaults: {action: require_approval, ttl: 1h}
rules:
  - id: reads
    match: {annotations: {read_only: true}}
    action: allow
  - id: big-refund
    match: {server: shop, tool: refund}
    when: args.amount > 50000
    action: require_approval
    risk: critical
    reviewers: {groups: [dba], quorum: 2, exclude_requester: true}
    channels: {slack: notify_only}
    ttl: 15m
    execute_within: 2m
    cool_down: 0s
    replay_window: 1h30m
    reminders: [5m, 10m]
    escalate: {after: 12m, groups: [dba]}
  - id: never
    match: {server: postgres, tool: "delete_*"}
    action: deny
    reason: Never.
""",
        [tool()],
    )
    held = judged(rules, call({"amount": 50001}))
    assert (held.action, held.rule, held.risk) == (Action.REQUIRE_APPROVAL, "big-refund", "critical")
    assert held.reviewers == Reviewers(2, (), ("dba",), channels=Channels(slack="notify_only"))
    assert (held.ttl, held.execute_within, held.cool_down, held.replay_window) == (900, 120, 0, 5400)
    assert held.reminders == (Reminder(300), Reminder(600), Reminder(720, ("dba",)))
    assert held.grants is None
    assert held.facts == {"read_only": False, "trusted": True, "args.amount": 50001}
    assert judged(rules, call({"amount": 50000})).rule == "default"
    assert judged(rules, call(of=tool(hints=READ))).action is Action.ALLOW
    denied = ToolFacts("postgres", "delete_rows", WRITE, True)
    assert judged(rules, call(of=denied)).reason == "Never."
    assert rules.groups == {"dba": {"lead@example.com", "oncall@example.com"}}
    assert [(rule.id, rule.line) for rule in rules.rules] == [("reads", 7), ("big-refund", 10), ("never", 23)]
    assert rules.rules[2].text.splitlines()[0] == "  - id: never"
    assert rules.rules[2].text.splitlines()[-1] == "    reason: Never."


@settings(max_examples=200)
@given(
    read_only=st.booleans(),
    destructive=st.booleans(),
    trusted=st.booleans(),
    hidden=st.integers(0, 2),
    assurance=st.sampled_from(["enforced", "cooperative"]),
    agent=st.sampled_from([None, "scout"]),
)
def test_p1_the_default_policys_text_means_what_it_does(read_only, destructive, trusted, hidden, assurance, agent):
    default = DefaultPolicy()
    of = tool(hints=Annotations(read_only=read_only, destructive=destructive), trusted=trusted, assurance=assurance)
    made = call({"amount": 1}, of=of, hidden=hidden, agent=agent)
    assert judged(DEFAULT, made) == default.judge(made)
    assert DEFAULT.verdict(of) is default.verdict(of)


DEFAULT = read(DefaultPolicy.text)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"server": "shop"}, True),
        ({"server": "sho"}, False),
        ({"server": "sh?p"}, True),
        ({"server": ["other", "s*"]}, True),
        ({"server": "SHOP"}, False),
        ({"tool": "ref*"}, True),
        ({"tool": "*fund"}, True),
        ({"tool": "[r]efund"}, False),
        ({"tool": "refund", "server": "other"}, False),
        ({"trusted": True}, True),
        ({"trusted": False}, False),
        ({"assurance": "enforced"}, True),
        ({"assurance": "cooperative"}, False),
        ({"environment": "prod"}, True),
        ({"environment": "dev"}, False),
        ({"agent": "sc*"}, True),
        ({"agent": ["a", "b"]}, False),
        ({"agent_group": "night"}, True),
        ({"agent_group": "day"}, False),
        ({"annotations": {"destructive": True}}, True),
        ({"annotations": {"destructive": True, "read_only": True}}, False),
        ({}, True),
    ],
)
def test_a_rule_matches_where_everything_fits(match, fits):
    made = call(of=tool(environment="prod"), groups=("night",))
    assert judged(policy({"match": match}), made).action is (Action.ALLOW if fits else Action.REQUIRE_APPROVAL)


def test_the_first_match_wins_and_an_unidentified_caller_fits_no_agent():
    rules = policy({"action": "deny", "match": {"agent": "*"}}, {"action": "allow"}, {"action": "deny"})
    assert judged(rules, call()).rule == "r0"
    assert judged(rules, call(agent=None)).rule == "r1"


def test_p1_untrusted_annotations_allow_nothing_and_count_as_the_worst():
    of = tool(hints=READ, trusted=False)
    assert judged(policy({"match": {"annotations": {"read_only": True}}}), call(of=of)).rule == "default"
    assert judged(policy({"match": {"annotations": {"destructive": True}}}), call(of=of)).rule == "default"
    assert judged(policy({"when": "tool.read_only"}), call(of=of)).rule == "default"
    strict = policy({"match": {"annotations": {"destructive": True}}, "action": "deny"})
    assert judged(strict, call(of=of)).rule == "r0"


def test_p1_no_rule_allows_what_a_pattern_hid():
    rules = policy({"action": "allow"})
    assert judged(rules, call(hidden=1)).action is Action.REQUIRE_APPROVAL
    assert judged(rules, call(hidden=0)).action is Action.ALLOW
    after = policy({"action": "allow"}, {"action": "deny"})
    assert judged(after, call(hidden=1)).rule == "r1"


def test_a_rule_that_demands_an_enforced_gate_denies_a_cooperative_one():
    rules = policy({"action": "allow", "assurance": "enforced"})
    assert judged(rules, call()).action is Action.ALLOW
    denied = judged(rules, call(of=tool(assurance="cooperative"), hidden=3))
    assert (denied.action, denied.rule) == (Action.DENY, "r0")
    assert "cooperative" in denied.reason
    assert rules.verdict(tool(assurance="cooperative")) is Verdict.REFUSE


def test_defaults_hold_where_a_rule_says_nothing():
    top = {
        "groups": {"dba": []},
        "defaults": {
            "ttl": "30m",
            "grants": "off",
            "reviewers": {"quorum": 2, "groups": ["dba"], "exclude_requester": False},
            "channels": {"slack": "off"},
        },
    }
    rules = policy(
        {"action": "require_approval", "channels": {"api": "decide"}, "reviewers": {"people": ["ann", "bob"]}}, **top
    )
    held = judged(rules, call())
    assert held.reviewers == Reviewers(
        2, ("ann", "bob"), (), exclude_requester=False, channels=Channels(slack="off", api="decide")
    )
    assert (held.ttl, held.execute_within, held.grants) == (1800, 1800, None)
    assert judged(policy({"action": "require_approval", "grants": {"max_uses": 3}}), call()).grants == GrantLimits(
        3, 60
    )


# conditions


@pytest.mark.parametrize(
    ("condition", "arguments", "action"),
    [
        ("args.amount > 5", {"amount": 6}, Action.ALLOW),
        ("args.amount > 5", {"amount": 5}, Action.REQUIRE_APPROVAL),
        ("args.amount > 5", {}, None),
        ("args.amount > 5 || true", {}, Action.ALLOW),  # absorbed: docs/policy.md says so
        ("has(args.amount) && args.amount > 5", {}, Action.REQUIRE_APPROVAL),
        ("args.price > 5", {"price": 5.5}, Action.ALLOW),
        ("args.price >= 5", {"price": 5.0}, Action.ALLOW),
        ("args.price == 5.0", {"price": 5}, Action.ALLOW),
        ("args.note.startsWith('x')", {"note": "xy"}, Action.ALLOW),
        ("args.note.matches('^a+$')", {"note": "aaa"}, Action.ALLOW),
        ("args.sure", {"sure": True}, Action.ALLOW),
        ("args.maybe == null", {"maybe": None}, Action.ALLOW),
        ("args.maybe > 1", {"maybe": None}, None),
        ("args.items.all(i, i.price < 10)", {"items": [{"price": 1}, {"price": 9}]}, Action.ALLOW),
        ("args.items.exists(i, i.price > 10)", {"items": [{"price": 1}]}, Action.REQUIRE_APPROVAL),
        ("args['amount'] == 3", {"amount": 3}, Action.ALLOW),
        ("1 / args.amount == 1", {"amount": 0}, None),
        ("args.amount * 4611686018427387904 > 0", {"amount": 4}, None),
        ("agent.name == 'scout' && agent.identified", {}, Action.ALLOW),
        ("'night' in agent.groups", {}, Action.REQUIRE_APPROVAL),
        ("server.name == 'shop' && server.trusted && tool.destructive", {}, Action.ALLOW),
        ("now > timestamp('1970-01-01T00:00:00Z')", {}, Action.REQUIRE_APPROVAL),
        ("now.getHours('Europe/Paris') == 1", {}, Action.ALLOW),
        ("args.any == 'x'", {"any": "x"}, Action.ALLOW),
        ("args.any.b == 1", {"any": {"b": 1}}, Action.ALLOW),
        ("args.any['$b'] == 1", {"any": {"$b": 1}}, Action.ALLOW),
        ("args.any == 1", {"any": 1.0}, Action.ALLOW),
        ("args.any > 9007199254740992", {"any": 2**53 + 1}, Action.ALLOW),
    ],
)
def test_p5_a_condition_matches_holds_or_does_not(condition, arguments, action):
    rules = policy({"when": condition}, {"action": "deny", "match": {"server": "other"}})
    judgement = judged(rules, call(arguments))
    if action is None:
        assert judgement.action is Action.REQUIRE_APPROVAL
        assert "Rule r0 could not be evaluated" in judgement.reason
    else:
        assert (judgement.action, judgement.reason) == (action, "")


ALWAYS = (1, "1", True, 1.0, None, [1], {"a": 1})
DECLARED = {"amount": int, "note": str, "sure": bool}


@pytest.mark.parametrize("value", ALWAYS, ids=repr)
@pytest.mark.parametrize("name", DECLARED)
@pytest.mark.parametrize("form", ["args.{} == {}", "args.{} != {}", "!(args.{} == {})", "args.{} in [{}]"])
def test_p1_a_value_of_another_type_than_declared_holds_the_call(name, value, form):
    literal = {"amount": "1", "note": "'1'", "sure": "true"}[name]
    judgement = judged(policy({"when": form.format(name, literal)}), call({name: value}))
    if type(value) is DECLARED[name]:
        assert not judgement.reason
    else:
        assert judgement.action is Action.REQUIRE_APPROVAL
        assert judgement.rule == "r0"


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**300])
@pytest.mark.parametrize("condition", ["args.any > 5", "has(args.any)", "args.any > 5 || true", "size(args) > 0"])
def test_p5_an_integer_beyond_64_bits_holds_the_call(condition, value):
    assert judged(policy({"when": condition}), call({"any": value})).rule == "r0"
    assert when(condition, {"any": value}) is Action.REQUIRE_APPROVAL


@pytest.mark.parametrize(
    "arguments",
    [
        None,
        5,
        [],
        "x",
        {"amount": {"$int": "x"}},
        {"amount": {"$float": None}},
        {"amount": {"$what": 1}},
        {"amount": {"$redacted": 5}},
        {"amount": b"5"},
        {"amount": math.nan},
        {"amount": {1, 2}},
        {5: 5, "amount": object()},
        {"amount": "\ud800"},
    ],
)
@pytest.mark.parametrize("condition", ["args.amount != 5", "!has(args.amount)", "size(args) < 9"])
def test_p5_arguments_that_no_gate_writes_hold_the_call(arguments, condition):
    made = CallFacts(tool(), arguments, "scout", 0, 0)
    assert judged(policy({"when": condition}), made).action is Action.REQUIRE_APPROVAL


SECRETIVE = (
    "has(args.card.number)",
    "!has(args.card.number)",
    "has(args.card)",
    "'number' in args.card",
    "!('number' in args.card)",
    "args.card.number == 'x'",
    "args.card.number != 'x'",
    "args['card']['number'] != 'x'",
    "args.card['number'] != 'x'",
    "args.card[args.note] != 'x'",
    "size(args.card) < 9",
    "size(args) < 9",
    "args != {}",
    "args.card != {}",
    "{'a': args.card} != {}",
    "[args] != []",
    "args.exists(k, k == 'card')",
    "args.all(k, k != 'zzz')",
    "args.card.all(k, k != 'zzz')",
    "[args].exists(a, has(a.card.number))",
    "[args.card].all(c, !has(c.number))",
    "args.card.number.startsWith('') || true",
    "true || args.card.number == 'x'",
    "args.note == 'n' ? true : has(args.card.number)",
    "dyn(args) != 1",
    "dyn(args.card.number) != 1",
    "type(args.card.number) != string",
    "string(args.card.number) != ''",
    "args.card.number.size() < 99",
    ".args.card.number != 'x'",
    "[1].all(i, args.card.number != 'x')",
    "args.map(k, args[k]) != []",
    "args.filter(k, k != 'y') != []",
    "args.card.number in ['a'] || true",
    "!(args.card in [1])",
)


@pytest.mark.parametrize("typed", [SCHEMA, {}])
@pytest.mark.parametrize("condition", SECRETIVE)
def test_p2_a_condition_that_touches_a_redacted_leaf_holds_the_call(condition, typed):
    arguments = {"card": {"number": STAND_IN, "name": "Ann"}, "note": "n"}
    shown = {"card": {"number": "4111", "name": "Ann"}, "note": "n"}
    rules = policy({"when": condition})
    judgement = judged(rules, call(arguments, raw=True, of=tool(schema=typed)))
    assert (judgement.action, judgement.rule) == (Action.REQUIRE_APPROVAL, "r0"), condition
    assert "is redacted" in judgement.reason
    judged(rules, call(shown, of=tool(schema=typed)))


def test_a_condition_beside_a_redacted_leaf_is_evaluated():
    arguments = {"card": {"number": STAND_IN, "name": "Ann"}, "note": "n", "items": [{"price": 1, "token": STAND_IN}]}
    for condition in ("args.card.name == 'Ann'", "args.note == 'n'", "args.items[0].price == 1", "tool.destructive"):
        assert when(condition, arguments, raw=True) is Action.ALLOW
    for condition in ("args.items.all(i, i.price == 1)", "args.items[0].token != ''", "size(args.items) == 1"):
        assert judged(policy({"when": condition}), call(arguments, raw=True)).rule == "r0"


@pytest.mark.parametrize(
    ("condition", "touches"),
    [
        ("args.a.b == args.c[0].d", {("args", "a", "b"), ("args", "c", "[]", "d")}),
        ("args.a[agent.name] == 1", {("args", "a"), ("agent", "name")}),
        ("args.a[args.b] == 1", {("args", "a"), ("args", "b")}),
        ("has(args.a.b) && 'x' in args", {("args", "a", "b"), ("args",)}),
        ("dyn(args.a).b == 1", {("args", "a")}),
        ("{'k': args.a}.k == [args.b][0]", {("args", "a"), ("args", "b")}),
        ("now > timestamp('2020-01-01T00:00:00Z')", {("now",)}),
        ("[args].exists(x, x.a == 1)", {("args",), ("x", "a"), ("@result",)}),
    ],
)
def test_what_a_condition_touches_is_told(condition, touches):
    assert Cel().compile(condition).touches == touches


def cut(at, instead):
    whole = Cel().compile("args.a == 1 || has(args.b)").program.serialize()
    return whole[: at % len(whole)] + instead + whole[at % len(whole) + len(instead) :]


@given(st.binary(max_size=60) | st.builds(lambda at, byte: cut(at, byte), st.integers(0, 500), st.binary(max_size=3)))
@example(cut(204, b"\x01"))
def test_p5_a_tree_that_cannot_be_read_touches_everything(serialized):
    tree = cel_ast.read(serialized)
    if isinstance(tree, cel_ast.Unclear):
        assert ("args",) in cel_ast.touched(tree)
    assert ("args",) in cel_ast.touched(cel_ast.Expression(0, (cel_ast.Unclear(0),)))


def test_p5_an_expression_of_an_unknown_kind_touches_everything():
    expression = b"\x10\x01\x52\x00"  # id 1, and a field 10 that there is not
    checked = b"\x22" + bytes([len(expression)]) + expression + b"\x2a\x00"
    assert cel_ast.touched(cel_ast.read(b"\x12" + bytes([len(checked)]) + checked)) == {("args",)}
    assert cel_ast.touched(cel_ast.read(b"")) == {("args",)}


def test_a_literal_that_looks_like_a_stand_in_is_only_text():
    assert when("args.any['$redacted'] == 'x'", {"any": {"$redacted": "x", "length": 1}}) is Action.ALLOW


NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"]) | st.just(STAND_IN),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(NAMES, VALUES, max_size=3)


def paths():
    step = NAMES.map(".{}".format) | NAMES.map("['{}']".format) | st.sampled_from(["[0]", "[args.a]", "[tool.name]"])
    return st.lists(step, max_size=3).map("".join).map("args{}".format)


def expressions():
    leaf = st.one_of(
        st.tuples(paths(), st.sampled_from(["==", "!=", "<", ">="]), st.sampled_from(["1", "'a'", "true", "null"])).map(
            " ".join
        ),
        st.tuples(paths(), NAMES).map(lambda made: f"has({made[0]}.{made[1]})"),
        st.tuples(NAMES, paths()).map(lambda made: f"'{made[0]}' in {made[1]}"),
        st.tuples(paths(), paths()).map(" != ".join),
        paths().map(lambda path: f"size({path}) < 2"),
        st.tuples(paths(), NAMES).map(lambda made: f"{made[0]}.all(x, x != '{made[1]}')"),
        st.tuples(paths(), NAMES).map(lambda made: f"[{made[0]}].exists(x, has(x.{made[1]}))"),
        st.sampled_from(["true", "false"]),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            inner.map("!({})".format),
            st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda made: "({}) {} ({})".format(*made)),
            st.tuples(inner, inner, inner).map(lambda made: "({}) ? ({}) : ({})".format(*made)),
        ),
        max_leaves=3,
    )


def replaced(value, by):
    """The same with something else for every redacted leaf."""
    if value == STAND_IN:
        return by
    if isinstance(value, list):
        return [replaced(item, by) for item in value]
    if isinstance(value, dict):
        return {key: replaced(item, by) for key, item in value.items()}
    return value


GONE = object()


@pytest.mark.slow
@pytest.mark.deep
@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(condition=expressions(), arguments=ARGUMENTS)
def test_p2_what_stands_in_a_redacted_leaf_never_makes_a_difference_thoroughly(condition, arguments):
    never_depends_on_what_is_redacted(condition, arguments)


@pytest.mark.slow
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(condition=expressions(), arguments=ARGUMENTS)
def test_p2_what_stands_in_a_redacted_leaf_never_makes_a_difference_at_length(condition, arguments):
    never_depends_on_what_is_redacted(condition, arguments)


@settings(max_examples=100, deadline=None)
@given(condition=expressions(), arguments=ARGUMENTS)
def test_p2_what_stands_in_a_redacted_leaf_never_makes_a_difference(condition, arguments):
    never_depends_on_what_is_redacted(condition, arguments)


def never_depends_on_what_is_redacted(condition, arguments):
    """What is answered over redacted arguments has that answer whatever the secret is, and if it is missing."""
    of = tool(schema={})
    try:
        rules = policy({"when": condition})
    except PolicyRefused:
        reject()
    judgement = judged(rules, call(arguments, raw=True, of=of))
    assert judgement.action in {Action.ALLOW, Action.REQUIRE_APPROVAL}
    if judgement.rule == "r0" and judgement.action is Action.REQUIRE_APPROVAL:
        return
    for secret in ("", "a", "b", 1, True, None, {"a": 1}, [], GONE):
        shown = replaced(arguments, secret) if secret is not GONE else without(arguments)
        assert judged(rules, call(shown, raw=True, of=of)).action is judgement.action, (condition, secret)


def without(value):
    if isinstance(value, list):
        return [without(item) for item in value if item != STAND_IN]
    if isinstance(value, dict):
        return {key: without(item) for key, item in value.items() if item != STAND_IN}
    return value


# what fails


class Broken(Cel):
    """An engine that raises."""

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.ready = False

    def check(self, condition, roots):
        if self.ready == "check":
            raise self.error
        return super().check(condition, roots)

    def bind(self, facts, now):
        if self.ready == "bind":
            raise self.error
        return super().bind(facts, now)

    def evaluate(self, condition, bound):
        if self.ready == "evaluate":
            raise self.error
        return super().evaluate(condition, bound)


@pytest.mark.parametrize("error", [RuntimeError("x"), Unanswered("x"), MemoryError(), RecursionError(), KeyError("y")])
@pytest.mark.parametrize("where", ["check", "bind", "evaluate"])
def test_p5_an_engine_that_raises_holds_the_call(where, error):
    engine = Broken(error)
    rules = policy(
        {"when": "args.amount > 0"}, {"when": "args.amount > 1"}, {"action": "require_approval", "reviewers": QUORUM},
        engine=engine,
    )  # fmt: skip
    engine.ready = where
    held = judged(rules, call({"amount": 5}))
    assert held.action is Action.REQUIRE_APPROVAL
    assert held.reviewers.quorum == 2
    assert held.grants is None
    assert "could not be evaluated" in held.reason


QUORUM = {"people": ["ann", "bob"], "quorum": 2}


@pytest.mark.parametrize("result", [1, "true", None, [], object()])
def test_p5_an_engine_that_answers_otherwise_than_true_or_false_allows_nothing(result):
    class Odd(Cel):
        def evaluate(self, condition, bound):
            return result

    assert judged(policy({"when": "args.amount > 0"}, engine=Odd()), call()).action is Action.REQUIRE_APPROVAL


def test_p5_too_many_steps_hold_the_call():
    rules = policy({"when": "args.items.all(a, args.items.all(b, args.items.all(c, a != 1 || b != 1 || c != 2)))"})
    of = tool(schema={"type": "object", "properties": {"items": {"type": "array", "items": {"type": "integer"}}}})
    held = judged(rules, call({"items": [0] * 200}, of=of))
    assert held.action is Action.REQUIRE_APPROVAL
    assert "too many steps" in held.reason


def test_p1_a_rule_that_fails_holds_under_the_stricter_terms():
    strict = {"action": "require_approval", "risk": "critical", "reviewers": QUORUM}
    lax = {"action": "require_approval", "when": "args.amount > 5", "risk": "low"}
    for rules in (policy(lax, strict), policy(strict | {"when": "args.amount > 5"}, lax | {"when": "true"})):
        held = judged(rules, call({}))
        assert (held.risk, held.reviewers.quorum, held.rule) == ("critical", 2, "r0")


def test_p5_a_deny_stays_a_deny_however_the_rules_before_it_fail():
    small, never = {"when": "args.amount <= 100"}, {"action": "deny", "reason": "Never."}
    assert judged(policy(small, never), call({"amount": 101})).action is Action.DENY
    for amount in (2**70, "101", None, STAND_IN):
        refused = judged(policy(small, never), call({"amount": amount}, raw=amount is STAND_IN))
        assert (refused.action, refused.rule) == (Action.DENY, "r1")
        assert refused.reason.startswith("Never. (Rule r0 could not be evaluated: ")
    asked = {"action": "require_approval", "when": "args.amount > 5"}
    assert judged(policy(small, asked, never), call({"amount": 2**70})).action is Action.DENY


def test_p5_a_deny_whose_own_condition_fails_refuses():
    never = {"action": "deny", "when": "args.note == 'x'", "reason": "Never."}
    refused = judged(policy(never, {}), call({}))
    assert (refused.action, refused.rule) == (Action.DENY, "r0")
    assert refused.reason == "Never. (Rule r0 could not be evaluated: there is no 'note' in this call.)"
    assert judged(policy({}, never), call({})).action is Action.ALLOW  # a rule that is never reached says nothing


def test_p5_a_policy_that_fails_itself_refuses_what_any_rule_about_the_tool_would():
    class Bad(Exception):
        def __str__(self):
            raise RuntimeError

    engine = Broken(Bad())
    rules = policy(
        {"when": "args.amount > 0"}, {"action": "deny", "match": {"tool": "drop"}, "when": "args.amount > 1"},
        engine=engine,
    )  # fmt: skip
    rules._decide = None  # what nobody thought of
    assert judged(rules, call({"amount": 5})).action is Action.REQUIRE_APPROVAL
    assert judged(rules, call({"amount": 0}, of=tool("drop"))).action is Action.DENY


@pytest.mark.parametrize("now", [10**30, -(10**30)])
def test_p5_a_time_that_cannot_be_holds_the_call(now):
    assert judged(policy({"when": "now > timestamp('1970-01-01T00:00:00Z') || true"}), call(now=now)).rule == "r0"


def test_a_rule_is_not_evaluated_over_a_tool_that_it_does_not_fit():
    rules = policy({"when": "args.amount == 5"})
    other = tool("other", schema={"type": "object", "properties": {"amount": {"type": "string"}}})
    held = rules.explain(call({"amount": "5"}, of=other))
    assert held.steps[0].outcome is RuleOutcome.NOT_EVALUATED
    assert "does not fit this tool" in held.judgement.reason


def test_explain_says_of_every_rule_why():
    rules = policy(
        {"match": {"server": "other"}},
        {"when": "args.amount > 5"},
        {"when": "args.maybe > 5"},
        {"action": "deny"},
        {"action": "deny"},
    )
    steps = rules.explain(call({"amount": 1})).steps
    assert [(step.rule, step.outcome.value, step.why) for step in steps] == [
        ("r0", "not matched", "the server is shop, not other"),
        ("r1", "not matched", "it is false"),
        ("r2", "could not be evaluated", "there is no 'maybe' in this call"),
        ("r3", "matched", "nothing more is asked"),
    ]


# verdicts


@pytest.mark.parametrize(
    ("rules", "hints", "verdict"),
    [
        ([{}], READ, Verdict.RUN),
        ([{}], WRITE, Verdict.DEPENDS),
        ([{"match": {"agent": "x"}}, {}], READ, Verdict.RUN),
        ([{"match": {"agent": "x"}}], READ, Verdict.DEPENDS),
        ([{"when": "args.amount > 5"}, {}], READ, Verdict.DEPENDS),
        ([{"when": "true"}, {}], READ, Verdict.DEPENDS),
        ([{"action": "deny", "match": {"agent": "x"}}, {}], READ, Verdict.DEPENDS),
        ([{"action": "require_approval", "match": {"agent": "x"}}, {}], READ, Verdict.DEPENDS),
        ([{"action": "deny"}], READ, Verdict.REFUSE),
        ([{"action": "deny", "match": {"agent": "x"}}, {"action": "deny"}], WRITE, Verdict.REFUSE),
        ([{"action": "deny", "when": "args.amount > 5"}, {"action": "deny"}], WRITE, Verdict.REFUSE),
        ([{"action": "deny", "when": "args.amount > 5"}], WRITE, Verdict.DEPENDS),
        ([{"action": "require_approval", "when": "args.amount > 5"}, {"action": "deny"}], WRITE, Verdict.DEPENDS),
        ([{"match": {"agent": "x"}}, {"action": "deny"}], WRITE, Verdict.DEPENDS),
        ([{"action": "require_approval", "when": "args.amount > 5"}], WRITE, Verdict.ASK),
        ([], READ, Verdict.ASK),
        ([{"match": {"server": "other"}}], READ, Verdict.ASK),
    ],
)
def test_verdicts_promise_no_more_than_every_rule_keeps(rules, hints, verdict):
    assert policy(*rules).verdict(tool(hints=hints)) is verdict


CONDITIONS = st.sampled_from(
    ["args.amount > 5", "args.amount == 1", "has(args.note)", "args.note == 'a'", "args.card.number == 'x'", "true",
     "size(args) > 1", "tool.read_only", "agent.identified", "args.maybe > 0",
     "now > timestamp('1970-01-01T00:00:00Z')", "args.items.exists(i, i.price > 2)", "args.any == 1",
     "args.any == args.amount"]
)  # fmt: skip
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "server": st.sampled_from(["shop", "other", "*"]),
        "tool": st.sampled_from(["refund", "re*", "look", ["refund", "look"]]),
        "annotations": st.sampled_from([{"read_only": True}, {"destructive": True}, {"destructive": False}]),
        "trusted": st.booleans(),
        "assurance": st.sampled_from(["enforced", "cooperative"]),
        "agent": st.sampled_from(["scout", "s*", "other"]),
        "agent_group": st.sampled_from(["night", "day"]),
        "environment": st.sampled_from(["prod", "dev"]),
    },
)
RULES = st.fixed_dictionaries(
    {"action": st.sampled_from(["allow", "require_approval", "deny"]), "match": st.one_of(st.just({}), MATCHES)},
    optional={
        "when": CONDITIONS,
        "risk": st.sampled_from(["low", "high", "critical"]),
        "assurance": st.just("enforced"),
        "reviewers": st.just(QUORUM),
    },
)
TOOLS = st.builds(
    lambda name, hints, trusted, assurance, environment, schema: tool(
        name, hints=hints, trusted=trusted, assurance=assurance, environment=environment, schema=schema
    ),
    st.sampled_from(["refund", "look", "unknown"]),
    st.sampled_from([READ, WRITE, Annotations(destructive=False)]),
    st.booleans(),
    st.sampled_from(["enforced", "cooperative"]),
    st.sampled_from(["", "prod"]),
    st.sampled_from([SCHEMA, {}]),
)
GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "amount": st.sampled_from([0, 1, 6, 2**60, 2**70, "1", True, 1.0, None]),
        "note": st.sampled_from(["a", "b", 5]),
        "maybe": st.sampled_from([None, 1]),
        "card": st.just({"number": "x"}),
        "items": st.just([{"price": 3}]),
        "any": st.sampled_from([1, "1", True, 1.0, None, 6]),
    },
)
CALLS = st.builds(
    lambda of, given, secret, agent, hidden, groups: CallFacts(
        of, encode(given) | ({"card": {"number": STAND_IN}} if secret else {}), agent, hidden, 10**15, groups
    ),
    TOOLS,
    GIVEN,
    st.booleans(),
    st.sampled_from([None, "scout", "other"]),
    st.sampled_from([0, 0, 3]),
    st.sampled_from([(), ("night",)]),
)


def agree(rules, calls):
    """`explain` and `judge` say the same; verdicts are kept; nothing is allowed that no rule clearly allows."""
    made = policy(*rules)
    for one in calls:
        explained = made.explain(one)
        judgement = explained.judgement
        assert made.judge(one) == judgement
        canonical(judgement.facts)
        verdict = made.verdict(one.tool)
        if not one.hidden:
            assert verdict is not Verdict.RUN or judgement.action is Action.ALLOW
        assert verdict is not Verdict.REFUSE or judgement.action is Action.DENY
        assert verdict is not Verdict.ASK or judgement.action is Action.REQUIRE_APPROVAL
        failed = [step for step in explained.steps if step.outcome is RuleOutcome.NOT_EVALUATED]
        if failed:
            assert judgement.action is not Action.ALLOW
            assert judgement.rule == failed[0].rule or judgement.action is Action.DENY
            assert f"Rule {failed[0].rule} could not be evaluated" in judgement.reason
        if judgement.action is Action.ALLOW:
            rule = next(rule for rule in made.rules if rule.id == judgement.rule)
            assert rule.action is Action.ALLOW
            assert not one.hidden


@settings(max_examples=60, deadline=None)
@given(st.lists(RULES, max_size=8), st.lists(CALLS, min_size=1, max_size=5))
def test_explain_and_judge_agree(rules, calls):
    agree(rules, calls)


LONG = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.slow
@pytest.mark.deep
@settings(max_examples=1000, deadline=None, suppress_health_check=LONG)
@given(st.lists(RULES, max_size=40), st.lists(CALLS, min_size=10, max_size=10))
def test_explain_and_judge_agree_on_ten_thousand_calls(rules, calls):
    agree(rules, calls)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=LONG)
@given(st.lists(RULES, max_size=40), st.lists(CALLS, min_size=10, max_size=10))
def test_explain_and_judge_agree_on_two_thousand_calls(rules, calls):
    agree(rules, calls)


class Failing(Cel):
    """An engine that has no answer for some conditions, nor for any that they are part of."""

    def __init__(self, texts):
        super().__init__()
        self.texts = texts

    def evaluate(self, condition, bound):
        if any(text in condition.text for text in self.texts):
            raise Unanswered("it fails here")
        return super().evaluate(condition, bound)


STRICTNESS = {Action.ALLOW: 0, Action.REQUIRE_APPROVAL: 1, Action.DENY: 2}
RISKS = ("low", "medium", "high", "critical")


def strictness(judgement):
    if judgement.action is Action.DENY:
        return (2,)
    named = bool(judgement.reviewers.people or judgement.reviewers.groups)
    asked = (RISKS.index(judgement.risk), judgement.reviewers.quorum, named)
    return (STRICTNESS[judgement.action], *(asked if judgement.action is Action.REQUIRE_APPROVAL else ()))


@settings(max_examples=60, deadline=None)
@given(st.lists(RULES, max_size=6), CALLS, st.sets(CONDITIONS, min_size=1, max_size=4), st.sets(CONDITIONS, max_size=4))
def test_p5_whatever_else_fails_to_evaluate_never_loosens_what_is_said(rules, one, failing, more):
    whole = judged(policy(*rules, engine=Failing(())), one)
    some = judged(policy(*rules, engine=Failing(failing)), one)
    most = judged(policy(*rules, engine=Failing(failing | more)), one)
    assert strictness(whole) <= strictness(some) <= strictness(most)


def test_blocks_of_false_conditions_are_skipped_and_the_first_match_is_still_first():
    rules = policy(
        *({"when": f"args.amount == {n}", "action": "deny" if n % 2 else "allow"} for n in range(200)),
        {"action": "deny", "id": "last"},
    )
    for n in (0, 1, 31, 32, 33, 63, 64, 199):
        assert judged(rules, call({"amount": n})).rule == f"r{n}"
    assert judged(rules, call({"amount": 500})).rule == "last"
    refused = judged(rules, call({"amount": "5"}))
    assert (refused.action, refused.rule) == (Action.DENY, "last")
    assert "Rule r0 could not be evaluated" in refused.reason


@given(st.text(string.printable, max_size=30))
def test_globs_are_only_stars_and_question_marks(name):
    assert Globs((name.replace("*", "").replace("?", ""),)).fit(name.replace("*", "").replace("?", ""))
    assert Globs(("*",)).fit(name)
