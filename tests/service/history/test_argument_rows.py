"""Arguments as a person reads them: nothing is left out unsaid, and different calls look different."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.protocol.canonical import canonical, encode, redacted
from approvals.service.history.argument_rows import MAX_ROWS, MAX_VALUE, lines
from approvals.service.text import mixes_scripts, oddities
from approvals.service.tools.layout import Layout

SECRET = redacted(b"p" * 32, "x", "hunter2")


def shown(arguments):
    return [(line.path, line.value) for line in lines(arguments)[0]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "true"}, {"a": True}),
        ({"a": "5"}, {"a": 5}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": "null"}, {"a": None}),
        ({"a": ""}, {"a": None}),
        ({"a": []}, {"a": {}}),
        ({"a": "[]"}, {"a": []}),
        ({"a.b": 1}, {"a": {"b": 1}}),
        ({"a[0]": 1}, {"a": [1]}),
        ({"a": "x "}, {"a": "x"}),
        ({"": 1}, {"a": 1}),
    ],
)
def test_p2_different_arguments_never_look_the_same(one, other):
    assert shown(encode(one)) != shown(encode(other))


def test_p2_text_cannot_pose_as_a_secret_that_was_kept_back():
    (kept,) = shown({"x": SECRET})
    assert "hunter2" not in kept[1]
    assert shown({"x": kept[1]}) != [kept]


def test_p2_what_does_not_fit_is_counted():
    rows, more = lines({"a": ["x"] * MAX_ROWS, "z_really_delete": True})
    assert (len(rows), more) == (MAX_ROWS, 1)


def test_p2_a_value_that_is_cut_says_by_how_much():
    (row,), _ = lines({"a": "x" * (MAX_VALUE + 7)})
    assert (len(row.value), row.more) == (MAX_VALUE, 7)


def test_hidden_and_look_alike_characters_are_marked():
    rows, _ = lines({"a": "pay\u202epal", "b": "p\u0430ypal", "c": "paypal", "d\u200b": 1})
    assert [bool(row.odd) for row in rows] == [True, True, False, True, False]
    assert mixes_scripts("p\u0430ypal")


SCHEMA = {
    "properties": {
        "to": {"type": "string", "title": "To"},
        "body": {"title": "What it says"},
        "account": {"$ref": "#/$defs/Account"},
        "rows": {"items": {"anyOf": [{"$ref": "#/$defs/Account"}, {"type": "null"}]}},
        "b\u202e": {"title": "sneaky\u202e"},
    },
    "$defs": {"Account": {"properties": {"iban": {"title": "IBAN of the account"}, "bic": {}, "more": {"$ref": "#"}}}},
}


def test_arguments_stand_in_the_schemas_order_with_its_titles():
    layout = Layout(SCHEMA)
    arguments = {
        "account": {"bic": "B", "iban": "I", "more": {"body": 1, "to": 2}},
        "body": "x",
        "extra": {"b": 1, "a": 2},
        "rows": [{"bic": "C", "iban": "J"}],
        "to": "ann",
    }
    found, more = lines(arguments, layout=layout)
    assert [(line.path, line.title) for line in found] == [
        ("to", ""),
        ("body", "What it says"),
        ("account.iban", "IBAN of the account"),
        ("account.bic", ""),
        ("account.more.to", ""),
        ("account.more.body", "What it says"),
        ("rows[0].iban", "IBAN of the account"),
        ("rows[0].bic", ""),
        ("extra.b", ""),
        ("extra.a", ""),
    ]
    assert more == 0
    assert layout.arranged(arguments) == arguments
    assert lines({"b\u202e": 1}, layout=layout)[0][1].title == "sneaky⟨U+202E⟩"


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_p2_no_schema_takes_anything_away_or_adds_anything(schema):
    arguments = encode({"$x": 1.0, "a": [{"b": 2**60, "$int": "5"}], "": None})
    for root in (schema, {"properties": schema, "anyOf": schema, "items": schema, "$ref": "#/properties"}, SCHEMA):
        assert canonical(Layout(root).arranged(arguments)) == canonical(arguments)


def test_p5_a_schema_that_refers_to_itself_everywhere_costs_little():
    everywhere = [{"$ref": "#/$defs/a"}] * 5000
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": everywhere, "additionalProperties": {"$ref": "#"}}}}
    arguments = {f"n{n}": {"x": {"y": n}} for n in range(20_000)}
    layout = Layout(schema)
    assert layout.arranged(arguments) == arguments
    assert len(layout._made) < 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain", ()),
        ("two\nlines\tand a tab", ()),
        ("Zoë paid 5 €, привет", ()),
        ("ab\u202ecd", ("⟨U+202E⟩ reorders text, first at character 3",)),
        ("ab\u200bcd\u200b", ("⟨U+200B⟩ is hidden, first at character 3",)),
        ("x\u3164", ("⟨U+3164⟩ is hidden, first at character 2",)),
        ("x\U000e0141", ("⟨U+E0141⟩ is hidden, first at character 2",)),
        ("p\u0430ypal.com", ("“p\u0430ypal” mixes Latin and Cyrillic",)),
        ("\uff50ay", ("“\uff50ay” mixes Latin and fullwidth letters",)),
    ],
)
def test_what_is_odd_is_named_and_pointed_at(text, said):
    assert oddities(text) == said
