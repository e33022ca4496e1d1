"""Reading a policy: strict, and every problem at its line, all at once."""

import json
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.policy.document import json_schema
from approvals.policy.loader import MAX_TEXT, PolicyRefused, read
from approvals.policy.model import Action, CallFacts, ToolFacts
from approvals.protocol.registration import Annotations

REFUND = ToolFacts(
    "shop",
    "refund",
    Annotations(),
    True,
    input_schema={
        "type": "object",
        "properties": {
            "amount": {"type": "integer"},
            "note": {"type": "string"},
            "card": {"type": "object", "properties": {"number": {"type": "string"}}},
            "items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "integer"}}}},
        },
    },
    secret=("card.number",),
)
OTHER = ToolFacts(
    "shop", "other", Annotations(), True, input_schema={"type": "object", "properties": {"count": {"type": "integer"}}}
)


def refused(text, tools=(REFUND,)):
    with pytest.raises(PolicyRefused) as caught:
        read(text, tools)
    return caught.value


def rules(*lines):
    return "version: 1\nrules:\n" + "\n".join(lines) + "\n"


BAD = """\
version: 1
groups: {dba: [a@x, b@x]}
defaults: {tll: 15m}
rules:
  - id: reads
    match: {anotations: {read_only: true}, tools: x}
    action: alow
  - id: reads
    when: args.amonut > 50000
    match: {server: shop, tool: refund}
    action: deny
    ttl: 15
    channels: {web: off, slack: off}
  - id: c
    risk: critical
    grants: {max_uses: 5}
    reviewers: {groups: [dbb], people: [x]}
    action: require_approval
    when: |
      foo == 1 &&
        bar > 2
  - id: d
    action: require_approval
    reviewers: {people: [x], quorum: 2}
    when: "args.note == 5"
    match: {server: shop, tool: refund}
    ttl: 5m
    reminders: [10m]
  - action: allow
    extra: {x: 1}
"""

REPORT = """\
policy.yaml:3:12: Unknown key 'tll'.
    defaults: {tll: 15m}
               ^ Did you mean ttl?
policy.yaml:6:13: Unknown key 'anotations'.
        match: {anotations: {read_only: true}, tools: x}
                ^ Did you mean annotations?
policy.yaml:6:44: Unknown key 'tools'.
        match: {anotations: {read_only: true}, tools: x}
                                               ^ Did you mean tool?
policy.yaml:7:13: This is allow or require_approval or deny.
        action: alow
                ^ Did you mean allow?
policy.yaml:8:9: The id 'reads' is taken.
      - id: reads
            ^ Give each rule an id of its own.
policy.yaml:12:10: A duration has a unit.
        ttl: 15
             ^ Write 15s or 15m.
policy.yaml:16:5: What is critical is never granted.
        grants: {max_uses: 5}
        ^ Remove `grants`, or write off.
policy.yaml:17:26: There is no group 'dbb'.
        reviewers: {groups: [dbb], people: [x]}
                             ^ Did you mean dba?
policy.yaml:20:7: In this condition: There is no 'foo' here.
          foo == 1 &&
          ^ Known are args, facts, tool, agent, server, now.
policy.yaml:21:9: In this condition: There is no 'bar' here.
            bar > 2
            ^ Known are args, facts, tool, agent, server, now.
policy.yaml:24:38: 2 people have to approve, and only 1 may.
        reviewers: {people: [x], quorum: 2}
                                         ^ Name more people or a group, or ask for fewer.
policy.yaml:25:22: In this condition: `==` does not go with (string, int).
        when: "args.note == 5"
                         ^ Compare values of one type.
policy.yaml:28:17: By then the request has expired (ttl).
        reminders: [10m]
                    ^ Remind earlier.
policy.yaml:29:5: 'id' is missing.
      - action: allow
        ^ Add `id: …`.
policy.yaml:30:5: Unknown key 'extra'.
        extra: {x: 1}
        ^ Known are risk, reviewers, channels, assurance, require, edits, ttl, execute_within, cool_down, \
replay_window, reminders, escalate, grants, notify, deny_reasons, id, match, when, title, action."""


def test_all_problems_come_at_once_each_with_a_caret_and_a_suggestion():
    error = refused(BAD)
    assert error.report("policy.yaml") == REPORT
    assert error.detail == "Line 3: Unknown key 'tll'. (and 14 more)"
    assert error.hint == "Did you mean ttl?"


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "suggestion"),
    [
        ("", 1, 1, "The file is empty", "Begin with"),
        ("# nothing\n", 1, 1, "The file is empty", "Begin with"),
        ("- 1\n", 1, 1, "A policy has keys", ""),
        ("just words\n", 1, 1, "A policy has keys", ""),
        ("version: 1\n", 1, 1, "A policy has rules", "rules: []"),
        ("rules: []\n", 1, 1, "which version", "version: 1"),
        ("version: 2\nrules: []\n", 1, 10, "no such version", "Write 1"),
        ("version: '1'\nrules: []\n", 1, 10, "no such version", "Write 1"),
        ("version: true\nrules: []\n", 1, 10, "no such version", "Write 1"),
        ("version: 1\nversion: 1\nrules: []\n", 2, 1, "stands here twice", "Keep one"),
        ("version: 1\nruels: []\nrules: []\n", 2, 1, "Unknown key 'ruels'", "Did you mean rules?"),
        ("version: 1\nrules: {}\n", 2, 8, "Rules are a list", ""),
        ("version: 1\nrules: [}\n", 2, 9, "This is not YAML", ""),
        ("version: 1\n\trules: []\n", 2, 1, "This is not YAML", "Indent with spaces, not with tabs."),
        ("version: 1\nrules: &a []\n", 2, 8, "Anchors", "Write the value out"),
        ("version: 1\nx: *a\nrules: []\n", 2, 4, "Anchors", ""),
        ("version: 1\nrules: !!python/object:os.system []\n", 2, 8, "Tags", ""),
        ("version: !!int 1\nrules: []\n", 1, 10, "Tags", ""),
        ("version: 1\nrules: []\n---\nversion: 1\n", 3, 1, "second document", "Keep one"),
        ("version: 1\nrules: []\n# \x00\n", 3, 1, "character that no text has", ""),
        ("version: 1\nrules: []\n# \ud800\n", 3, 1, "half of a character", ""),
        ("version: 1\n? [a]\n: 1\nrules: []\n", 2, 3, "A key is a word", ""),
        ("version: 1\nx: " + "[" * 40 + "]" * 40 + "\nrules: []\n", 2, 20, "nested too deeply", ""),
        (rules("  - 5"), 3, 5, "keys of its own", "{key: value}"),
        (rules("  - {id: a, action: deny}"), 3, 21, "A deny tells the agent why", "reason"),
        (rules("  - {id: a b, action: allow}"), 3, 10, "An id is letters", ""),
        (rules("  - {id: 5, action: allow}"), 3, 10, "This is text", ""),
        (rules("  - {id: default, action: allow}"), 3, 10, "is the name of what no rule matches", ""),
        (rules("  - {id: a, action: allow, match: {trusted: yes}}"), 3, 45, "true or false", ""),
        (rules("  - {id: a, action: allow, match: {trusted: 1}}"), 3, 45, "true or false", ""),
        (rules("  - {id: a, action: allow, match: {server: []}}"), 3, 44, "at least 1 item", ""),
        (rules("  - {id: a, action: allow, match: {server: [5]}}"), 3, 45, "This is text", ""),
        (rules("  - {id: a, action: allow, match: {annotations: {readonly: true}}}"), 3, 50, "Unknown", "read_only"),
        (rules("  - {id: a, action: allow, risk: hihg}"), 3, 34, "low or medium or high", "Did you mean high?"),
        (rules("  - {id: a, action: allow, channels: {slack: of}}"), 3, 46, "decide or notify_only", "mean off?"),
        (rules("  - {id: a, action: allow, channels: {web: off, slack: notify_only}}"), 3, 28, "Nobody can decide", ""),
        (
            rules("  - {id: a, action: allow, risk: high, channels: {web: off, slack: off, api: decide}}"),
            3, 40, "a token never decides", "",
        ),
        (rules("  - {id: a, action: allow, ttl: 0s}"), 3, 33, "no time at all", "1s"),
        (rules("  - {id: a, action: allow, ttl: -5m}"), 3, 33, "has a unit", "1h30m"),
        (rules("  - {id: a, action: allow, ttl: 5 m}"), 3, 33, "has a unit", "1h30m"),
        (rules("  - {id: a, action: allow, ttl: 91d}"), 3, 33, "longer than 90 days", ""),
        (rules("  - {id: a, action: allow, ttl: 1m5h}"), 3, 33, "has a unit", ""),
        (rules("  - {id: a, action: allow, reviewers: {quorum: 0}}"), 3, 48, "greater than or equal to 1", ""),
        (rules("  - {id: a, action: allow, reviewers: {quorum: true}}"), 3, 48, "whole number", ""),
        (rules("  - {id: a, action: allow, reviewers: {quorum: 2.0}}"), 3, 48, "whole number", ""),
        (rules("  - {id: a, action: allow, reviewers: {people: [x, x], quorum: 2}}"), 3, 64, "only 1 may", ""),
        (rules("  - {id: a, action: allow, reviewers: {each_group: true}}"), 3, 40, "several groups", ""),
        (rules("  - {id: a, action: allow, reviewers: {group: [x]}}"), 3, 40, "Unknown key", "groups"),
        (rules("  - {id: a, action: allow, escalate: {after: 2h, groups: [g]}}"), 3, 46, "has expired", ""),
        (rules("  - {id: a, action: allow, escalate: {after: 2m, groups: [g]}}"), 3, 59, "no group 'g'", "g: []"),
        (rules("  - {id: a, action: allow, grants: of}"), 3, 36, "", ""),
        (rules("  - {id: a, action: allow, grants: {uses: 5}}"), 3, 37, "Unknown key 'uses'", "max_uses"),
        (rules("  - {id: a, action: allow, when: ''}"), 3, 34, "at least 1 character", ""),
        (rules("  - {id: a, action: allow, when: true}"), 3, 34, "This is text", ""),
        (rules("  - {id: a, action: allow, when: '" + "1" * 4001 + "'}"), 3, 34, "at most 4000", ""),
        ("version: 1\ndefaults: {action: allow}\nrules: []\n", 2, 20, "never allowed", ""),
        ("version: 1\ndefaults: {action: deny}\nrules: []\n", 2, 20, "A deny tells", ""),
        ("version: 1\ngroups: {a: x}\nrules: []\n", 2, 13, "This is a list", ""),
        ("version: 1\ngroups: {a: [1]}\nrules: []\n", 2, 14, "This is text", ""),
    ],
)  # fmt: skip
def test_what_is_no_policy_is_refused_at_its_place(text, line, column, message, suggestion):
    found = refused(text).problems[0]
    assert (found.line, found.column) == (line, column), found
    assert message in found.message
    assert suggestion in found.suggestion


@pytest.mark.parametrize(
    ("condition", "column", "message"),
    [
        ("args.amonut > 5", 6, "args has no 'amonut'."),
        ("has(args.amonut)", 4, "args has no 'amonut'."),
        ("'amonut' in args", 1, "args has no 'amonut'."),
        ("args['amonut'] > 5", 6, "args has no 'amonut'."),
        ("args.items.all(i, i.prize > 5)", 21, "i has no 'prize'."),
        ("args.items[0].prize > 5", 15, "args.items.[] has no 'prize'."),
        ("tool.readonly", 6, "tool has no 'readonly'."),
        ("agent.nam == 'x'", 7, "agent has no 'nam'."),
        ("server.nam == 'x'", 8, "server has no 'nam'."),
        ("args.amount", 1, "A condition is true or false, and this is int."),
        ("args.amount > 'x'", 13, "`>` does not go with (int, string)."),
        ("args.amount == '5'", 13, "`==` does not go with (int, string)."),
        ("args.note in [1]", 11, "`in` does not go with (string, list(int))."),
        ("args.note.startsWith(5)", 21, "`startsWith` does not go with"),
        ("amount > 5", 1, "There is no 'amount' here."),
        ("args.amount >", 14, "Mismatched input"),
        ("1", 1, "A condition is true or false, and this is int."),
        ("now > 5", 5, "`>` does not go with (timestamp, int)."),
        ("(" * 60 + "true" + ")" * 60, 1, "It is nested too deeply."),
        ("args.card.number == 'x'", 1, "args.card.number is secret"),
        ("args == {}", 1, "args.card.number is secret"),
    ],
)
def test_a_condition_is_checked_against_the_tool_that_it_is_about(condition, column, message):
    text = rules(f"  - {{id: a, action: allow, match: {{tool: refund}}, when: {json.dumps(condition)}}}")
    found = refused(text).problems
    began = text.splitlines()[2].index("when: ") + len('when: "') + 1
    at = [problem.column for problem in found if message in problem.message]
    assert at, found
    assert at[0] - began + 1 == column


def test_a_condition_has_to_fit_one_of_the_tools_that_it_is_about():
    either = rules("  - {id: a, action: allow, match: {server: shop}, when: 'args.amount > 5 && has(args.note)'}")
    assert read(either, [REFUND, OTHER]).rules[0].condition is not None
    assert "args has no 'amount'." in refused(either, [OTHER]).problems[0].message
    nobody = rules("  - {id: a, action: allow, match: {server: elsewhere}, when: args.amount > 5}")
    assert read(nobody, [REFUND]).rules[0].condition is not None


def editing(*only, server="shop"):
    return rules(
        "  - id: a",
        f"    match: {{server: {server}}}",
        "    action: require_approval",
        f"    edits: {{only: [{', '.join(only)}]}}",
    )


def test_what_may_be_edited_has_to_be_an_argument_of_one_of_the_tools_that_the_rule_is_about():
    assert read(editing("amount", "count", '"items[].price"', "card"), [REFUND, OTHER]).rules
    assert read(editing("nothing", server="elsewhere"), [REFUND]).rules
    [found] = refused(editing("amount", "amout"), [REFUND, OTHER]).problems
    assert (found.line, found.column) == (6, 28)
    assert found.message == "amout names no argument (the tool has no 'amout': did you mean 'amount'?)."


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("items.price", "'items' is a list: write items[].price"),
        ('"items[].prize"', "'items[]' has no 'prize'"),
        ('"amount[]"', "'amount' is no list"),
    ],
)
def test_a_path_of_edits_that_leads_nowhere_is_told_as_other_paths_are(path, why):
    assert why in refused(editing(path)).problems[0].message


def test_what_the_defaults_let_people_edit_has_to_be_an_argument_of_some_tool():
    text = "version: 1\ndefaults:\n  edits: {only: [amout]}\nrules: []\n"
    assert "amout names no argument" in refused(text, [REFUND, OTHER]).problems[0].message
    assert read(text).rules == ()


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (["  - id: a", "    action: allow", "    when: foo > 1"], (5, 11)),
        (["  - id: a", "    action: allow", '    when: "foo > 1"'], (5, 12)),
        (["  - id: a", "    action: allow", "    when: 'foo > 1'"], (5, 12)),
        (["  - id: a", "    action: allow", "    when: |", "      true &&", "        foo > 1"], (7, 9)),
        (["  - id: a", "    action: allow", "    when: >-", "      foo", "      > 1"], (6, 1)),
    ],
)
def test_a_fault_in_a_condition_stands_where_it_is_written(lines, place):
    found = refused(rules(*lines)).problems[0]
    assert (found.line, found.column) == place


def test_sizes_are_bounded():
    assert "at most 262,144 bytes" in refused("version: 1\nrules: []\n#" + "é" * (MAX_TEXT // 2)).detail
    many = rules(*(f"  - {{id: r{n}, action: allow}}" for n in range(2001)))
    assert "at most 2,000 rules" in refused(many).detail
    wrong = rules(*(f"  - {{id: r{n}, action: alow}}" for n in range(1000)))
    assert len(refused(wrong).problems) == 200


def test_a_bomb_of_aliases_is_refused_before_it_goes_off():
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    tracemalloc.start()
    refused(bomb)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_hostile_file_cannot_write_to_the_terminal():
    report = refused('version: 1\nrules: []\n"x\\e[2Jy": 1\n').report()
    assert "\x1b" not in report


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from([*BAD.splitlines(), "  ", "- x", "a: b", "\t", "|"])).map("\n".join)
)
def test_p5_any_text_is_read_or_refused(text):
    try:
        policy = read(text, [REFUND])
    except PolicyRefused as error:
        assert error.problems
        assert error.report()
        return
    policy.judge(CallFacts(REFUND, {}, None, 0, 0))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(BAD)), st.integers(0, 40), st.text(max_size=5))
def test_p5_a_broken_file_is_never_half_a_policy(at, length, instead):
    good = Path("docs/policy.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    at %= len(good)
    try:
        policy = read(good[:at] + instead + good[at + length :], [REFUND])
    except PolicyRefused:
        return
    assert policy.text == good[:at] + instead + good[at + length :]


def test_the_examples_in_the_docs_are_policies():
    for text in re.findall(r"```yaml\n(version:.*?)```", Path("docs/policy.md").read_text(encoding="utf-8"), re.DOTALL):
        assert read(text).rules


def test_the_schema_for_editors_is_current():
    assert json.loads(Path("docs/policy.schema.json").read_text(encoding="utf-8")) == json_schema()


def test_on_and_off_are_words_and_rules_keep_their_text():
    policy = read(
        rules("  - id: a", "    action: require_approval", "    channels: {slack: off, api: off}", "    grants: off")
    )
    assert policy.rules[0].terms.grants is None
    assert policy.rules[0].terms.reviewers.channels.slack == "off"
    assert policy.rules[0].text.splitlines()[-1] == "    grants: off"
    assert policy.judge(CallFacts(REFUND, {}, None, 0, 0)).action is Action.REQUIRE_APPROVAL
