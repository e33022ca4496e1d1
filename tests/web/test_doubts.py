"""Warnings on the card: named and pointed at."""

import pytest

from approvals.protocol.canonical import encode, redacted
from approvals_web.pages.card import warnings as doubts
from approvals_web.pages.card.views import views


def said(arguments):
    encoded = encode(arguments)
    return list(doubts.of_arguments(encoded, views(encoded)[0]))


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
    assert doubts.differing(now, then) == words
