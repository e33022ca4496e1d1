"""Terms of a grant: the document, the sentence, and that nothing passes which the sentence does not say."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.errors import Invalid
from approvals.policy.grant_terms import (
    Anything,
    Between,
    Equal,
    GrantTerms,
    OneOf,
    check_of_call,
    conditions,
    fits,
    not_grantable,
    parse,
    sentence,
)
from approvals.protocol.canonical import decode, encode, redacted

SMALL = st.integers(-3, 3) | st.sampled_from([2**53, -(2**53), 10**30])
DECIMALS = st.sampled_from([-1.5, -0.0, 0.0, 1.0, 1.5, 3.0, 1e300])
TEXTS = st.sampled_from(
    ["", "1", "1.0", "true", "null", "a", " a", '"', "a, b", "; x exactly 1", "\u202ea", "\\u202ea"]
)
LEAVES = st.none() | st.booleans() | SMALL | DECIMALS | TEXTS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2), max_leaves=4
)
ENCODED = VALUES.map(encode)
NAMES = st.sampled_from(["a", "b", "amount", "$int", "ANY VALUE", "a exactly 1; b"]).map(
    lambda n: next(iter(encode({n: 0})))
)


@st.composite
def betweens(draw):
    least, most = sorted((draw(kind := draw(st.sampled_from([SMALL, DECIMALS]))), draw(kind)))
    left = draw(st.sampled_from(["both", "least", "most"]))
    return Between(None if left == "most" else encode(least), None if left == "least" else encode(most))


CHOICES = st.lists(ENCODED, min_size=1, max_size=4, unique_by=lambda v: json.dumps(v, sort_keys=True)).map(tuple)
CONSTRAINTS = ENCODED.map(Equal) | betweens() | CHOICES.map(OneOf) | st.just(Anything())
TERMS = st.builds(GrantTerms, st.integers(1, 9), st.integers(1, 9), st.dictionaries(NAMES, CONSTRAINTS, max_size=3))
NUMBER = r"(-?[0-9.e+-]+)"


def reads(words, value):
    """Whether a plain value is what a condition says, read from its words alone."""
    spelt = spell(value)
    if words == "ANY VALUE":
        return True
    if words.startswith("exactly "):
        return spelt == words.removeprefix("exactly ")
    if words.startswith("one of "):
        rest, decoder, choices = words.removeprefix("one of "), json.JSONDecoder(), []
        while rest:
            _, end = decoder.raw_decode(rest)
            choices.append(rest[:end])
            rest = rest[end:].removeprefix(", ")
        return spelt in choices
    kind = {"whole number": int, "decimal number": float}[re.match(r"any (whole number|decimal number) ", words)[1]]
    if type(value) is not kind:
        return False
    if bounds := re.search(f" from {NUMBER} to {NUMBER}$", words):
        return kind(bounds[1]) <= value <= kind(bounds[2])
    if bound := re.search(f" up to {NUMBER}, below zero too$", words):
        return value <= kind(bound[1])
    return kind(re.search(f" from {NUMBER} upwards, without end$", words)[1]) <= value


def spell(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True).replace("\u202e", "\\u202e")


def split(condition):
    """The plain name of an argument, and the words about it."""
    if condition.startswith('"'):
        name, end = json.JSONDecoder().raw_decode(condition)
        return name, condition[end + 1 :]
    return tuple(condition.split(" ", 1))


@given(TERMS, st.dictionaries(NAMES, ENCODED, max_size=3))
def test_p1_nothing_passes_that_the_sentence_does_not_say(terms, arguments):
    said = dict(map(split, conditions(terms)))
    plain = decode(arguments)
    as_said = plain.keys() == said.keys() and all(reads(said[name], plain[name]) for name in plain)
    assert fits(terms, arguments) == as_said


@given(TERMS, st.data())
def test_p1_nothing_passes_that_the_sentence_does_not_say_of_the_same_arguments(terms, data):
    arguments = {name: data.draw(ENCODED) for name in terms.arguments}
    said = dict(map(split, conditions(terms)))
    assert fits(terms, arguments) == all(reads(said[name], value) for name, value in decode(arguments).items())


@given(TERMS, TERMS)
def test_p1_different_terms_read_differently(one, other):
    same = sentence(one, "a", "s", "t") == sentence(other, "a", "s", "t")
    assert same == (one.dump() == other.dump())


@given(TERMS)
def test_terms_are_what_was_written(terms):
    assert parse(terms.dump()).dump() == terms.dump()


def test_a_sentence_says_everything():
    of = {
        "order": Equal(7),
        "amount": Between(0, 50),
        "note": Anything(),
        "to": OneOf(("a", "b")),
        "k y": Equal(None),
    }
    assert sentence(GrantTerms(5, 15, of), "scout", "shop", "refund") == (
        "scout may call shop.refund up to 5 more times, for 15 minutes, with exactly these arguments: "
        'amount any whole number from 0 to 50; "k y" exactly null; note ANY VALUE; order exactly 7; to one of "a", "b".'
    )
    assert sentence(GrantTerms(1, 1, {}), "scout", "shop", "sync\u202e") == (
        "scout may call shop.sync\\u202e once more, for 1 minute, without any arguments."
    )


ONES = [1, 1.0, "1", True, "true", "1.0", [1], {"x": 1}, None]


@pytest.mark.parametrize("granted", ONES, ids=repr)
def test_p1_one_and_its_look_alikes_are_different(granted):
    terms = GrantTerms(1, 1, {"x": Equal(encode(granted))})
    passing = [repr(value) for value in ONES if fits(terms, {"x": encode(value)})]
    assert passing == [repr(granted)]
    assert fits(GrantTerms(1, 1, {"x": Equal(encode(json.loads("1e0")))}), {"x": encode(1.0)})


@pytest.mark.parametrize("value", [*ONES[1:], "0", False, {"$$int": "1"}], ids=repr)
def test_p1_a_bound_admits_numbers_of_its_own_type(value):
    encoded = value if isinstance(value, dict) else encode(value)
    assert not fits(GrantTerms(1, 1, {"x": Between(0, 10)}), {"x": encoded})


def test_p1_a_nested_value_is_equal_as_a_whole():
    terms = GrantTerms(1, 1, {"x": Equal({"a": [1, {"b": None}]})})
    assert fits(terms, {"x": {"a": [1, {"b": None}]}})
    for other in ({"a": [1, {"b": None}], "c": 1}, {"a": [1, {}]}, {"a": [{"b": None}, 1]}, {"a": [True, {"b": None}]}):
        assert not fits(terms, {"x": other})


def test_p1_a_secret_is_within_no_terms():
    secret = redacted(b"p", "x", "hunter2")
    for condition in (Anything(), Equal(secret), OneOf((secret,))):
        assert not fits(GrantTerms(1, 1, {"x": condition}), {"x": secret})
        assert not fits(GrantTerms(1, 1, {"x": condition}), {"x": [secret]})
    assert not_grantable({"x": {"y": [secret]}})
    with pytest.raises(Invalid):
        check_of_call(GrantTerms(1, 1, {"x": Anything()}), {"x": secret})


@pytest.mark.parametrize(
    "condition", [{"is": "equal", "value": redacted(b"p", "x", "y")}, {"is": "one_of", "values": []}]
)
@pytest.mark.parametrize("more", [{}, {"note": 1}])
def test_p5_conditions_that_nobody_writes_are_refused(condition, more):
    document = {"v": 1, "uses": 1, "minutes": 1, "arguments": {"x": condition | more}}
    with pytest.raises(Invalid):
        parse(json.dumps(document, separators=(",", ":"), sort_keys=True))


@pytest.mark.parametrize(
    "condition",
    [
        {"is": "between", "least": None, "most": None},
        {"is": "between", "least": 2, "most": 1},
        {"is": "between", "least": 1, "most": 1.5},
        {"is": "between", "least": True, "most": 2},
        {"is": "between", "least": "1", "most": "2"},
        {"is": "between", "least": {"$int": "7"}, "most": None},
        {"is": "one_of", "values": [1, 1]},
        {"is": "one_of", "values": list(range(21))},
        {"is": "equal", "value": {"$x": 1}},
        {"is": "any", "value": 1},
        {"is": "less"},
        "any",
        None,
    ],
)
def test_p5_what_is_no_condition_is_refused(condition):
    with pytest.raises(Invalid):
        parse(json.dumps({"arguments": {"x": condition}, "minutes": 1, "uses": 1, "v": 1}, separators=(",", ":")))


@pytest.mark.parametrize("text", ["", "1", "[]", '{"arguments":{},"minutes":1,"uses":1,"v":2}', '{"a":1,"a":2}', "NaN"])
def test_p5_what_is_no_document_is_refused(text):
    with pytest.raises(Invalid):
        parse(text)


def test_p5_an_argument_given_twice_is_refused():
    with pytest.raises(Invalid):
        parse('{"arguments":{"x":{"is":"any"},"x":{"is":"equal","value":1}},"minutes":1,"uses":1,"v":1}')


def test_what_nobody_can_read_in_a_sentence_is_not_granted():
    assert not not_grantable({"x": "a" * 1900})
    assert not_grantable({"x": "a" * 2000})
    assert not_grantable({f"x{n}": n for n in range(26)})
    with pytest.raises(Invalid, match="too long"):
        parse(GrantTerms(1, 1, {"x": OneOf(tuple("a" * 300 + str(n) for n in range(9)))}).dump())


def test_p1_facts_of_the_preview_limit_what_is_granted_and_read_so():
    terms = GrantTerms(5, 15, {"order": Anything()}, {"sql.rows": Between(0, 100), "table": OneOf(("a", "b"))})
    assert parse(terms.dump()) == terms
    said = sentence(terms, "scout", "shop", "delete")
    assert 'and only if its preview says of "sql.rows": any whole number from 0 to 100' in said
    assert fits(terms, {"order": 1}, {"sql.rows": 100, "table": "a", "more": True})
    for facts in (
        {},
        {"sql.rows": 100},
        {"sql.rows": 101, "table": "a"},
        {"sql.rows": 1.5, "table": "a"},
        {"sql.rows": True, "table": "a"},
        {"sql.rows": 1, "table": "c"},
    ):
        assert not fits(terms, {"order": 1}, facts), facts


def test_p1_terms_of_arguments_alone_are_written_as_they_always_were():
    assert "facts" not in GrantTerms(1, 1, {"order": Equal(1)}).dump()


@pytest.mark.parametrize("facts", [{}, {"rows": "many"}])
def test_p1_a_condition_on_a_fact_is_about_one_of_this_calls_preview(facts):
    terms = GrantTerms(1, 1, {"order": Equal(1)}, {"rows": Between(0, 5)})
    with pytest.raises(Invalid, match="the fact rows is not about one of this call"):
        check_of_call(terms, {"order": 1}, facts)
