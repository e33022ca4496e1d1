"""Changes in words: no two of them read alike."""

import json

from approvals.protocol.canonical import encode
from approvals.protocol.edits import Change, changes, words

VALUES = [None, True, False, "true", "null", "nothing", "left out", "", "1", 1, 1.0, [], {}, "[]", "a → b; c: 1"]


def said(was, now):
    return words(changes(encode(was), encode(now)))


def test_p7_values_that_look_alike_are_told_apart():
    told = [said({"x": "before"}, {"x": value}) for value in VALUES] + [said({"x": "before"}, {})]
    assert len(set(told)) == len(told)
    assert said({"x": True}, {"x": "true"}) == 'x: true → "true"'
    assert said({"x": None}, {"x": "nothing"}) == 'x: null → "nothing"'
    assert said({}, {"x": 1}) == "x: left out → 1"
    assert said({"x": None}, {}) == "x: null → left out"


def test_p7_names_that_look_like_paths_are_told_apart():
    one = said({"a": {"b.c": 1}}, {"a": {"b.c": 2}})
    other = said({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}})
    assert (one, other) == ('a["b.c"]: 1 → 2', "a.b.c: 1 → 2")
    assert said({"a: 1 → 2; b": 1}, {"a: 1 → 2; b": 2}) == '["a: 1 → 2; b"]: 1 → 2'


def test_what_is_long_is_cut_and_what_there_is_too_much_of_is_counted():
    assert said({"x": 1}, {"x": "y" * 200}) == f'x: 1 → "{"y" * 80}"…'
    told = changes({str(i): 1 for i in range(60)}, {str(i): 2 for i in range(60)})
    assert words(told).endswith("; … and 10 more")


def test_what_is_kept_of_a_change_says_where_there_was_none():
    (change,) = changes({}, {"x": None})
    assert Change.model_validate_json(change.model_dump_json()) == change
    assert json.loads(change.model_dump_json()) == {"path": "x", "was": None, "now": None, "without": "was"}
    (change,) = changes({"x": 1}, {"x": None})
    assert change.model_dump() == {"path": "x", "was": 1, "now": None}
