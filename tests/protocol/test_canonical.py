"""P2: one call has one form and one digest; two calls never share one."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from approvals.errors import Invalid
from approvals.protocol import canonical as fingerprint

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["$int", "$$int", "$", "$redacted"]
)
values = st.recursive(
    leaves | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def same(one, other):
    """Equal, and of the same types: 1 is not 1.0, nor True."""
    return type(one) is type(other) and repr(one) == repr(other)


@given(values)
def test_p2_encoding_loses_nothing(value):
    assert same(fingerprint.decode(json.loads(json.dumps(fingerprint.encode(value)))), value)


@given(values)
def test_p2_what_a_gate_writes_is_accepted(value):
    fingerprint.check_encoded(fingerprint.encode(value))


@given(values, values)
def test_p2_different_arguments_have_different_bytes(one, other):
    canonical = [fingerprint.canonical(fingerprint.encode(value)) for value in (one, other)]
    ordered = [json.dumps(fingerprint.encode(value), sort_keys=True) for value in (one, other)]
    assert (canonical[0] == canonical[1]) == (ordered[0] == ordered[1])


@given(values)
def test_p2_no_literal_argument_encodes_to_a_redacted_leaf(value):
    leaf = fingerprint.redacted(b"pepper", "password", fingerprint.encode(value))
    assert fingerprint.encode(leaf) != leaf


def test_p2_the_type_of_a_number_counts():
    forms = {fingerprint.sha256(fingerprint.encode({"n": value})) for value in (1, 1.0, "1", True)}
    assert len(forms) == 4


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "\ud800", {"\udfff": 1}, {1: 2}, {1, 2}, b"bytes", object()],
)
def test_what_json_cannot_carry_is_refused(value):
    with pytest.raises(Invalid):
        fingerprint.encode({"a": value})


def test_nesting_has_an_end():
    value = []
    for _ in range(fingerprint.MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(Invalid, match="deeper"):
        fingerprint.encode(value)


@pytest.mark.parametrize(
    "value",
    [
        2**53,
        1.0,
        {"$int": "5"},
        {"$int": "09007199254740993"},
        {"$int": "x"},
        {"$int": "9007199254740993", "b": 1},
        {"$float": "1.5"},
        {"$float": "1"},
        {"$float": "nan"},
        {"$redacted": "zz", "length": 1},
        {"$redacted": "0" * 64, "length": -1},
        {"$redacted": "0" * 64},
        {"$anything": 1},
        {"$": 1},
    ],
)
def test_p2_what_no_gate_writes_is_refused(value):
    with pytest.raises(Invalid):
        fingerprint.check_encoded({"a": value})


def test_secrets_cannot_be_guessed_without_the_pepper_but_compare_with_it():
    one, same_value = (fingerprint.redacted(b"pepper", "pin", "1234") for _ in range(2))
    assert one == same_value
    assert one != fingerprint.redacted(b"other", "pin", "1234")
    assert one != fingerprint.redacted(b"pepper", "code", "1234")
    assert one["length"] == 4


@given(values)
def test_p2_the_quick_way_writes_rfc_8785(value):
    encoded = fingerprint.encode(value)
    assert fingerprint.canonical(encoded) == rfc8785.dumps(encoded)


@given(values)
def test_p2_bytes_that_are_written_already_digest_as_the_value_they_were_made_of(value):
    encoded, names = fingerprint.encode(value), {"server": "shop", "tool": "t"}
    written, more = fingerprint.canonical(encoded), {"tool_hash": "0" * 64}
    for preview in ({}, {"preview": "f" * 64}):
        plain = fingerprint.sha256({"v": 1, "args": encoded} | names | more | preview)
        assert plain == fingerprint.digest(arguments=written, **names, **more, **preview)
        assert plain == fingerprint.digest(arguments=encoded, **names, **more, **preview)
    plain = fingerprint.sha256({"v": 1, "caller": "é", "said": encoded} | names)
    assert plain == fingerprint.attach_key(caller="é", said=written, **names)
