"""Nobody but the agent writes where a tool keeps secrets."""

import pytest

from approvals.protocol.canonical import redacted
from approvals.protocol.secret_edits import strange, touched
from approvals.protocol.secret_paths import steps_of

SECRET = [steps_of(path) for path in ("password", "opt", "cards[].number", "users.*.token", "wrapped")]
HIDDEN = redacted(b"pepper", "password", "hunter2")
CARD = redacted(b"pepper", "cards[0].number", "4711")
WAS = {
    "password": HIDDEN,
    "opt": None,
    "cards": [{"number": CARD, "cents": 1}, {"number": None, "cents": 2}],
    "users": {"a.b": {"token": None, "age": 1}},
    "free": {},
    "cents": 5,
}
SCHEMA = {
    "properties": {
        **{name: {"type": "string"} for name in ("password", "opt", "wrapped", "note")},
        "cards": {"type": "array", "items": {"properties": {"number": {}, "cents": {}}}},
        "users": {"additionalProperties": {"properties": {"token": {}, "age": {}}}},
        "free": {"additionalProperties": True},
        "cents": {"type": "integer"},
    }
}


@pytest.mark.parametrize(
    "changed",
    [
        {"opt": "plain"},
        {"opt": ""},
        {"password": "plain"},
        {"password": None},
        {"wrapped": {"in": "it"}},
        {"cards": "plain"},
        {"cards": [{"number": "plain", "cents": 1}, {"number": None, "cents": 2}]},
        {"cards": [{"number": CARD, "cents": 1}, {"number": "plain", "cents": 2}]},
        {"cards": [*WAS["cards"], {"number": "plain"}]},
        {"cards": [{"number": None, "cents": 2}]},
        {"cards": WAS["cards"][::-1]},
        {"users": {"a.b": {"token": "plain", "age": 1}}},
        {"users": {"a.b": {"token": None, "age": 1}, "new": {"token": "plain"}}},
        {"users": {"a": {"b": {"token": None}}, "x": {"token": ["plain"]}}},
        {"free": {"password": HIDDEN}},
    ],
)
def test_p8_no_edit_touches_what_stands_or_would_stand_at_a_secret_path(changed):
    assert touched(WAS, WAS | changed, SECRET)


def test_p8_a_secret_that_was_left_out_stays_left_out():
    without = {name: value for name, value in WAS.items() if name != "opt"}
    assert touched(WAS, without, SECRET) == touched(without, WAS, SECRET) == "opt"


@pytest.mark.parametrize(
    "changed",
    [
        {"cents": 4},
        {"cards": [{"number": CARD, "cents": 0}, {"number": None, "cents": 2}]},
        {"cards": [*WAS["cards"], {"cents": 3}]},
        {"cards": WAS["cards"][:1]},
        {"users": {"a.b": {"token": None, "age": 2}}},
        {"users": {}},
        {"free": {"password": "of another place"}},
    ],
)
def test_what_is_beside_a_secret_may_be_changed(changed):
    assert not touched(WAS, WAS | changed, SECRET)
    assert not strange(WAS, WAS | changed, SECRET, SCHEMA)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"pw": "plain"}, "pw"),
        ({"cards": [WAS["cards"][0], {"number": None, "no": "plain", "cents": 2}]}, "cards[1].no"),
        ({"cards": [*WAS["cards"], {"no": "plain"}]}, "cards[2].no"),
        ({"users": {"a.b": {"token": None, "age": 1, "tk": "plain"}}}, 'users["a.b"].tk'),
    ],
)
def test_p8_a_name_that_the_schema_does_not_know_is_not_written_where_a_secret_may_stand(changed, place):
    assert not touched(WAS, WAS | changed, SECRET), "only the tool knows whether it is another name of the secret"
    assert strange(WAS, WAS | changed, SECRET, SCHEMA) == place


def test_a_name_that_the_schema_does_not_know_is_for_the_tool_to_judge_where_it_keeps_no_secret():
    assert not strange({}, {"pw": "x"}, [], SCHEMA)
