"""A schema is a graph: what it costs does not grow with how often it refers to itself."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.policy import schema_types
from approvals.policy.loader import read
from approvals.policy.model import Action, CallFacts, ToolFacts
from approvals.policy.schema_types import ANY, Paths, type_of
from approvals.protocol.canonical import encode
from approvals.protocol.registration import Annotations


def bomb(width):
    """A few kilobytes that are 2 to the power of hundreds of places, written out as a tree."""
    node = {"type": "object", "properties": {f"p{number}": {"$ref": "#/$defs/Node"} for number in range(width)}}
    node["properties"] |= {"size": {"type": "integer"}, "all": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}
    node["properties"]["maybe"] = {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}
    return {"type": "object", "properties": {"root": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}}


@pytest.fixture
def reads(monkeypatch):
    """Counts the places of schemas that are read."""
    counted = []
    inner = schema_types._Reader._read
    monkeypatch.setattr(schema_types._Reader, "_read", lambda self, schema: counted.append(0) or inner(self, schema))
    return counted


POLICY = json.dumps(
    {
        "version": 1,
        "rules": [
            {"id": "small", "when": "args.root.p0.p1.maybe.size < 5", "action": "allow"},
            {"id": "each", "when": "args.root.all.all(one, one.size < 5)", "action": "allow"},
        ],
    }
)


def call(schema, arguments):
    return CallFacts(ToolFacts("shop", "tree", Annotations(), True, input_schema=schema), encode(arguments), None, 0, 0)


@pytest.mark.parametrize("width", [10, 60, 600])
def test_p5_a_schema_that_refers_to_itself_costs_what_is_looked_at(reads, width):
    rules = read(POLICY)
    for size, action in ((4, Action.ALLOW), (5, Action.REQUIRE_APPROVAL)):
        nested = {"root": {"p0": {"p1": {"maybe": {"size": size}}}, "all": [{"size": size}]}}
        assert rules.judge(call(bomb(width), nested)).action is action
    wrong = rules.judge(call(bomb(width), {"root": {"p0": {"p1": {"maybe": {"size": "4"}}}}}))
    assert "is not what the tool declares: an integer" in wrong.reason
    assert len(reads) < 150, "whatever the width"


def test_the_verdict_of_a_tool_reads_nothing_of_its_schema(reads):
    rules = read(POLICY)
    assert rules.verdict(ToolFacts("shop", "tree", Annotations(), True, input_schema=bomb(60))) == "depends"
    assert not reads


def test_an_honest_recursive_model_is_known_to_any_depth():
    shape, steps = type_of(bomb(2)), ["root", *["p0", "maybe", "p1"] * 20]
    for step in steps:
        shape = shape.fields[step]
    assert shape.fields["size"].kind == "int"
    assert shape.fields["all"].item.fields["size"].kind == "int"
    assert "zzz" not in shape.fields


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/A"},
        {"anyOf": [{"$ref": "#/$defs/B"}]},
        {"oneOf": [{"$ref": "#/$defs/B"}, {"type": "null"}]},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#"},
        {"$ref": 5},
        {"anyOf": 5},
        {"anyOf": ["x"]},
        {"type": ["object"], "properties": 5},
        {"type": {}},
    ],
    ids=str,
)
def test_what_leads_only_to_itself_or_nowhere_may_be_anything(schema):
    whole = {
        "type": "object",
        "properties": {"a": schema},
        "$defs": {"A": {"$ref": "#/$defs/A"}, "B": {"anyOf": [{"$ref": "#/$defs/B"}]}},
    }
    found = type_of(whole).fields["a"]
    assert found is ANY or found.kind in {"any", "object"}


STEPS = st.lists(st.sampled_from(["a", "b", "[]"]), max_size=4).map(tuple)


def overlap(one, other):
    return all(a == b for a, b in zip(one, other, strict=False))


@given(st.lists(STEPS, max_size=6), STEPS)
def test_paths_that_meet_are_found_as_by_comparing_each(paths, asked):
    found = Paths(dict.fromkeys(paths, "why")).met_by(asked)
    assert (found is not None) == any(overlap(path, asked) for path in paths)
    assert found is None or (found in paths and overlap(found, asked))
