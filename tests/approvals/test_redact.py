"""Secrets stay in the gate's process: declared leaves, and text that looks like a credential."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.gate.seal import Seal
from approvals.protocol import redaction as redact
from approvals.protocol.canonical import encode, is_redacted
from approvals.protocol.messages import MAX_SEALED

PEPPER = b"p" * 32
CREDENTIALS = [
    "mcpa_0123456789ab_abcdefghijklmnopqrstuvwxyz",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1" * 18,
    "github_pat_" + "a" * 50,
    "glpat-" + "a" * 20,
    "xoxb-1234567890-abc",
    "sk_live_" + "a" * 20,
    "sk-ant-" + "a" * 30,
    "AIza" + "a" * 35,
    "npm_" + "a" * 36,
    "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKK",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "Authorization: Bearer abcdefghijklmnopqrstuvwxyz",
    "postgres://app:hunter2@db/shop",
]


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_p8_what_looks_like_a_credential_is_masked_wherever_it_stands(credential):
    shown = redact.text(f"before {credential} after", 2000)
    assert credential not in shown
    assert "characters hidden]" in shown
    assert shown.startswith(("before", "[")) and shown.endswith(("after", "]", "after"))
    masked, hidden = redact.looks_secret(encode({"a": [{"b": f"x {credential}"}]}), PEPPER)
    assert is_redacted(masked["a"][0]["b"])
    assert hidden == len(f"x {credential}")


@pytest.mark.parametrize("plain", ["order 1042", "a sk- b", "https://example.com/a@b", "bearer of news", "eyJ.eyJ.x"])
def test_ordinary_text_is_left_alone(plain):
    assert redact.text(plain, 100) == plain
    assert redact.looks_secret(plain, PEPPER) == (plain, 0)


@pytest.mark.parametrize(
    ("path", "arguments", "kept"),
    [
        ("password", {"user": "x", "password": "hunter2"}, "x"),
        ("auth.token", {"auth": {"token": "hunter2", "kind": "x"}}, "x"),
        ("keys[]", {"keys": ["hunter2", "hunter2"], "x": "x"}, "x"),
        ("users[].pin", {"users": [{"pin": "hunter2", "name": "x"}]}, "x"),
        ("keys[]", {"keys": "hunter2", "x": "x"}, "x"),
        ("password", {"password": {"nested": "hunter2"}, "x": "x"}, "x"),
    ],
)
def test_p8_declared_leaves_are_stand_ins_and_nothing_else_is(path, arguments, kept):
    shown = redact.leaves(encode(arguments), (path,), PEPPER)
    assert "hunter2" not in str(shown)
    assert kept in str(shown)


def test_a_secret_that_is_absent_or_null_shows_as_such():
    assert redact.leaves({"a": None}, ("a", "b", "c.d", "e[]"), PEPPER) == {"a": None}


@given(st.text(max_size=300), st.integers(min_value=20, max_value=200))
def test_free_text_is_never_longer_than_its_cap(words, most):
    assert len(redact.text(words, most)) <= most


@given(st.binary(max_size=500), st.text(max_size=30))
def test_what_is_sealed_opens_with_the_same_key_and_context_only(data, context):
    seal = Seal("mcps_one")
    blob = seal.seal(data, context)
    assert seal.open(blob, context) == data
    assert seal.open(blob, context + "x") is None
    assert Seal("mcps_two").open(blob, context) is None
    assert seal.open(blob[:-4] + "AAA=", context) is None
    assert seal.open("nonsense", context) is None


def test_what_is_too_large_to_keep_is_not_kept():
    assert Seal("mcps_one").seal(b"x" * MAX_SEALED, "c") is None


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_p8_a_credential_that_the_cap_cuts_in_half_does_not_show_its_half(credential):
    long = "github_pat_" + "a" * 175 + " "  # masked it is far shorter, so that what follows comes within the cap
    halves = [kept for kept in range(5, len(credential)) if not credential[kept - 1].isspace()]
    for kept in halves:
        words = 4 * long
        words = words + "x" * (799 - len(words) - kept) + " " + credential + " and more"
        shown = redact.text(words, 200)
        assert len(shown) <= 200
        assert "(cut off)" in shown
        half = credential[:kept].split()[-1]
        assert len(half) < 5 or half not in shown
