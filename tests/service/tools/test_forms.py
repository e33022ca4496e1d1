"""Forms over a call's arguments, made from its tool's input schema."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.errors import Invalid
from approvals.policy.edits import EditLimits
from approvals.protocol.canonical import encode, redacted
from approvals.service.tools import forms

SCHEMA = {
    "properties": {
        "amount": {"type": "integer", "minimum": 1, "maximum": 400, "description": "In cents."},
        "kind": {"$ref": "#/$defs/Kind"},
        "sure": {"type": "boolean"},
        "rate": {"type": "number"},
        "note": {"anyOf": [{"type": "string", "maxLength": 10}, {"type": "null"}]},
        "lines": {"type": "array", "items": {"type": "string"}},
        "card": {"$ref": "#/$defs/Card"},
        "more": {"type": "string"},
    },
    "$defs": {
        "Kind": {"enum": ["full", "part"], "type": "string"},
        "Card": {"properties": {"name": {"type": "string"}, "number": {"type": "string"}}, "type": "object"},
    },
}
HIDDEN = redacted(b"pepper", "card.number", "4711")
ARGUMENTS = encode({"amount": 100, "kind": "full", "sure": True, "rate": 1.0, "note": None, "lines": ["a"]}) | {
    "card": {"name": "Ann", "number": HIDDEN}
}


def made(arguments=ARGUMENTS, limits=EditLimits(), schema=SCHEMA):  # noqa: B008
    return forms.fields(schema, arguments, limits)


def by_path(fields):
    return {field.path: field for field in fields}


def changed(**texts):
    fields = made()
    given = {
        field.name: texts.get(field.path.replace(".", "_"), field.text) for field in fields if field.kind != "fixed"
    }
    return forms.read(fields, ARGUMENTS, given)


def test_each_argument_has_a_field_of_its_kind_with_what_its_schema_says():
    fields = by_path(made())
    assert {path: field.kind for path, field in fields.items()} == {
        "amount": "integer",
        "kind": "choice",
        "sure": "choice",
        "rate": "number",
        "note": "text",
        "lines": "json",
        "card.name": "text",
        "card.number": "fixed",
        "more": "text",
    }
    amount = fields["amount"]
    assert (amount.least, amount.most, amount.about) == ("1", "400", "In cents.")
    assert [words for _, words in fields["kind"].choices] == ["full", "part"]
    assert (fields["note"].longest, fields["note"].blank, fields["more"].blank) == (10, "null", "absent")


def test_what_comes_back_is_what_was_changed_and_nothing_else():
    assert changed() == ARGUMENTS
    assert changed(amount="80") == ARGUMENTS | {"amount": 80}
    assert changed(kind='"part"', sure="false") == ARGUMENTS | {"kind": "part", "sure": False}
    assert changed(rate="2") == ARGUMENTS | {"rate": 2}
    assert changed(rate="2.0") == ARGUMENTS | {"rate": {"$float": "2.0"}}
    assert changed(note="x", more="y") == ARGUMENTS | {"note": "x", "more": "y"}
    assert changed(lines='["b", 1]') == ARGUMENTS | {"lines": ["b", 1]}
    assert changed(card_name="Bob")["card"] == {"name": "Bob", "number": HIDDEN}


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("amount", "many", "amount: write a whole number."),
        ("amount", "401", "amount: at most 400."),
        ("amount", "0", "amount: at least 1."),
        ("kind", '"some"', "kind: choose one of those offered."),
        ("rate", "x", "rate: write a number."),
        ("note", "12345678901", "note: at most 10 characters."),
        ("lines", "[", "lines: write JSON"),
    ],
)
def test_what_a_field_does_not_take_is_said_by_its_name(path, text, why):
    with pytest.raises(Invalid, match=why):
        changed(**{path: text})


def test_a_field_that_is_fixed_takes_nothing():
    field = by_path(made())["card.number"]
    assert forms.read(made(), ARGUMENTS, {field.name: "4712"}) == ARGUMENTS


def test_a_rules_bounds_fix_the_other_fields():
    fields = by_path(made(limits=EditLimits(only=("amount", "card"))))
    assert [path for path, field in fields.items() if field.kind != "fixed"] == ["amount", "card.name"]
    fields = by_path(made(limits=EditLimits(lower=True)))
    assert [path for path, field in fields.items() if field.kind != "fixed"] == ["amount", "rate"]
    assert not [field for field in made(limits=EditLimits(allowed=False)) if field.kind != "fixed"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"amount": "many"}, "amount: it has to be integer"),
        ({"amount": 500}, "amount: at most 400"),
        ({"kind": "some"}, "kind: it is none of full, part"),
        ({"other": 1}, "no argument 'other'"),
        ({"note": 5}, "note: it has to be null or string"),
        ({"card": {"name": 1}}, "card.name: it has to be string"),
    ],
)
def test_arguments_that_plainly_do_not_fit_are_refused(arguments, why):
    with pytest.raises(Invalid, match=why):
        forms.check(SCHEMA, ARGUMENTS | arguments)


def test_arguments_that_fit_pass():
    forms.check(SCHEMA, ARGUMENTS)
    forms.check({}, {"anything": [1, {"a": None}]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_a_form_that_comes_back_untouched_changes_nothing(arguments):
    encoded = encode(arguments)
    for schema in ({}, {"properties": {name: {} for name in arguments}}):
        fields = forms.fields(schema, encoded, EditLimits())
        given = {field.name: field.text.replace("\n", "\r\n") for field in fields if field.kind != "fixed"}
        assert forms.read(fields, encoded, given) == encoded


@pytest.mark.parametrize(
    "schema", [{"properties": 5}, {"properties": {"a": 5}}, {"$ref": "#"}, {"enum": 5}, {"anyOf": [1]}]
)
def test_a_schema_that_makes_no_sense_makes_a_form_all_the_same(schema):
    assert [field.text for field in forms.fields(schema, {"a": "x"}, EditLimits())] == ["x"]
