"""Warnings on the card: named and pointed at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.protocol.canonical import encode, redacted
from approvals.service.history import argument_rows
from approvals_web.pages.card import warnings
from approvals_web.pages.card.views import views
from approvals_web.pages.card.views.places import places


def said(arguments):
    encoded = encode(arguments)
    return [one.words for one in warnings.of_arguments(encoded, views(encoded)[0])]


def test_ordinary_arguments_raise_no_doubt():
    assert said({"a": "plain", "b": [1, 2.5, None], "é": "ß"}) == []


def test_odd_characters_are_named_with_their_place_even_where_the_tree_does_not_reach():
    assert "file: ⟨U+202E⟩ reorders text, first at character 4." in said({"file": "exe\u202egnp"})
    assert "a[250]: ⟨U+200B⟩ is hidden, first at character 1." in said({"a": ["x"] * 250 + ["\u200b"]})
    assert said({"a": ["\u200b"] * 50})[-1] == "… and 42 more"


def test_dangerous_sql_is_told_with_its_place():
    assert said({"q": "DELETE FROM t"}) == ["q: DELETE without WHERE: every row of the table."]


SECRET, OTHER = redacted(b"p" * 32, "k", "one"), redacted(b"p" * 32, "k", "two")


@pytest.mark.parametrize(
    ("now", "then", "words"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a (2 then, 1 now)"]),
        ({"a": 1}, {"a": "1"}, ['a ("1" then, 1 now)']),
        ({"a": 1, "b": 2}, {"a": 1}, ["b (nothing then, 2 now)"]),
        ({}, {"a": 1}, ["(all) (nothing then, {} now)", "a (1 then, nothing now)"]),
        ({"k": SECRET}, {"k": SECRET}, []),
        ({"k": SECRET}, {"k": OTHER}, ["k (another secret)"]),
        ({"a": "x" * 99}, {"a": 1}, ["a (1 then, " + "x" * 60 + "… now)"]),
    ],
)
def test_how_two_calls_differ(now, then, words):
    assert warnings.differing(now, then) == words


def test_p5_a_call_of_a_hundred_thousand_numbers_costs_a_card_no_more_than_its_rows(monkeypatch):
    made, looked = [], []
    leaf, oddities = argument_rows.leaf, argument_rows.oddities
    monkeypatch.setattr(argument_rows, "leaf", lambda *of: made.append(of) or leaf(*of))
    monkeypatch.setattr(argument_rows, "oddities", lambda text: looked.append(text) or oddities(text))
    arguments = {"points": [1] * 100_000, "z": "plain", "zero\u200b": "x\u200by"}
    rows, more = argument_rows.lines(arguments)
    found, _ = views(arguments)
    assert (len(rows), more) == (argument_rows.MAX_ROWS, 100_003 - argument_rows.MAX_ROWS)
    assert [words for words in said(arguments) if "200B" in words][1].startswith("zero⟨U+200B⟩: ⟨U+200B⟩ is hidden")
    assert len(made) == argument_rows.MAX_ROWS and len(looked) < argument_rows.MAX_ROWS + 20
    assert not found and len(list(places(arguments))) == 2


def test_p2_every_difference_of_two_long_calls_is_told_or_counted():
    now, then = {"a": [1] * 10_000}, {"a": [True] * 10_000}
    told = warnings.differing(now, then)
    assert told[0] == "a[0] (true then, 1 now)"
    assert told[warnings.MOST :] == [f"… and {10_000 - warnings.MOST} more"]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=4),
        lambda below: (
            st.lists(below, max_size=4) | st.dictionaries(st.text("ab\u200b$.", max_size=3), below, max_size=4)
        ),
    )
)
def test_p2_what_is_cut_from_the_rows_is_counted_right(value):
    arguments = encode({"a": value, "many": [value] * 3})
    with pytest.MonkeyPatch.context() as patch:
        every, none = argument_rows.lines(arguments, {"many[1]"})
        patch.setattr(argument_rows, "MAX_ROWS", 1)
        first, more = argument_rows.lines(arguments, {"many[1]"})
    assert none == 0 or len(every) == 100
    assert len(first) + more == len(every) + none
