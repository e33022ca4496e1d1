"""Secrets stay in the gate's process: declared leaves, and text that looks like a credential."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.gate.seal import Seal
from approvals.protocol import redaction
from approvals.protocol.canonical import check_encoded, encode, is_redacted
from approvals.protocol.limits import MAX_SEALED
from approvals.protocol.secret_text import Declared

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
    "redis://:hunter2@cache:6379/0",
    "https://ann:p@ss@example.com/x",
    "postgres://app:hun/ter2@db/shop",
    "mcps_0123456789ab_" + "x" * 43,
    "mcpu_0123456789ab_" + "x" * 43,
    "https://hooks.slack.com/services/T0123/B0123/" + "x" * 24,
    "https://discord.com/api/webhooks/123456789/" + "x" * 60,
    "xoxe.xoxp-1-" + "a" * 30,
    "Basic " + base64.b64encode(b"ann:hunter2").decode(),
    "Authorization: token hunter2",
    "https://api.example.com/v1?access_token=hunter22",
    "AWS_SECRET_ACCESS_KEY=" + "x1" * 20,
    "export PGPASSWORD=hunter2",
    '{"client_secret": "hunter22"}',
    '{\\"password\\": \\"hunter22\\"}',
    "https://s3.example/x?X-Amz-Signature=" + "a" * 64,
    "https://x.blob.example/y?sv=1&sig=" + "a1%2B" * 8,
    "curl -u ann:hunter2 https://example.com",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ\n-----END PGP PRIVATE KEY BLOCK-----",
    "-----BEGIN PRIVATE KEY-----\\nMIIE",
    "SG." + "a" * 22 + "." + "b" * 43,
    "hf_" + "a" * 34,
    "dckr_pat_" + "a" * 27,
    "glsa_" + "a" * 32 + "_" + "0" * 8,
    "123456789:AA" + "x" * 33,
    "shpat_" + "0" * 32,
    "GOCSPX-" + "a" * 28,
    "hvs." + "a" * 90,
    "sk-" + "a1" * 20,
    "key-" + "a1" * 16,
    "Authorization: Basic dXNlcjpwYXNz",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "postgres://app:pa'ss@db/x",
    r"postgres:\/\/app:pw@db",
    "eyJhbGciOiJSU0EtT0FFUCJ9.OKOawDo13gRp2ojaHV7LFpZ.48V1_ALb6US04U3b.5eym8TW_c8SuK0lt.XFBoMYUZodetZdvT",
    "curl -uadmin:pw https://example.com",
    "ssh://deploy:hunter2@example.com/x",
    "X-Api-Key: 0123abcd",
    "PASSWORD = hunter2x",
]


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_p8_what_looks_like_a_credential_is_masked_wherever_it_stands(credential):
    shown = redaction.text(f"before {credential} after", 2000)
    assert credential not in shown
    assert "characters hidden]" in shown
    assert shown.startswith(("before", "[")) and shown.endswith(("after", "]", "after"))
    masked, hidden = redaction.looks_secret(encode({"a": [{"b": f"x {credential}"}]}), PEPPER)
    assert is_redacted(masked["a"][0]["b"])
    assert hidden == len(f"x {credential}")


@pytest.mark.parametrize(
    "plain",
    [
        "order 1042",
        "a sk- b",
        "https://example.com/a@b",
        "http://localhost:8080/path?mail=ann@example.com",
        "http://localhost:8080 or ann@example.com",
        "bearer of news",
        "eyJ.eyJ.x",
        "basic authentication is off",
        "Basic Instructions",
        "authorization: administrators only",
        "task-management-and-other-things-to-do",
        "next_page_token=CAUQAAabcdef",
        "max_tokens=4096",
        "UPDATE users SET password = $1 WHERE token = 'x'",
        "password={password}",
        "the secret of good tea",
        "PWD=/home/ann",
        "monkey: banana",
        "cache-key-d41d8cd98f00b204e9800998ecf8427e",
        "/regions/sk-bratislava-nove-mesto-and-more",
        "docker run -u 1000:1000 --rm alpine",
        "docker compose run --user 0:100 web sh",
        "git push -u origin:main --force",
        "npm install git+ssh://host:team/repo@v1.0",
        "scp://files:a/b@c",
        "rsync -u host:/srv/data /backup",
        "basic Training2024 plan",
        "cron basic A1b2c3d4",
        "deploy sk-2024-release-candidate-final-3",
        "mailto://sales:team@example.com",
        "https://grafana:3000,admin@example.com",
        "password: required",
    ],
)
def test_ordinary_text_is_left_alone(plain):
    assert redaction.text(plain, 100) == plain
    assert redaction.looks_secret(plain, PEPPER) == (plain, 0)


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_p8_a_credential_as_a_name_hides_its_whole_object(credential):
    masked, hidden = redaction.looks_secret(encode({"a": [{"b": 1, credential: {"c": 2}}], "d": 1.0}), PEPPER)
    assert is_redacted(masked["a"][0])
    assert hidden >= len(credential)
    assert masked["d"] == {"$float": "1.0"}
    whole, _ = redaction.looks_secret({credential: 1}, PEPPER)
    assert is_redacted(whole)
    check_encoded(masked)
    check_encoded(whole)


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("before", ["", "line\\n", "a%3D"])
@pytest.mark.parametrize("written", [json.dumps, repr])
def test_p8_a_credential_is_found_within_escapes(credential, written, before):
    words = before + written(credential)[1:-1]
    assert redaction.text(words, 2000) != words


def test_p8_numbers_that_are_a_declared_secret_are_stand_ins_and_stay_well_formed():
    declared = Declared([2**60, 1.0, "4111111111111111"])
    masked, hidden = redaction.looks_secret(encode({"a": 2**60, "b": 4111111111111111, "c": 1.0}), PEPPER, declared)
    assert is_redacted(masked["a"]) and is_redacted(masked["b"])
    assert masked["c"] == {"$float": "1.0"}
    assert hidden == 19 + 16
    check_encoded(masked)


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
    shown = redaction.leaves(encode(arguments), (path,), PEPPER)
    assert "hunter2" not in str(shown)
    assert kept in str(shown)


def test_a_secret_that_is_absent_or_null_shows_as_such():
    assert redaction.leaves({"a": None}, ("a", "b", "c.d", "e[]"), PEPPER) == {"a": None}


@given(st.text(max_size=300), st.integers(min_value=20, max_value=200))
def test_free_text_is_never_longer_than_its_cap(words, most):
    assert len(redaction.text(words, most)) <= most


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
        shown = redaction.text(words, 200)
        assert len(shown) <= 200
        assert "(cut off)" in shown
        half = credential[:kept].split()[-1]
        assert len(half) < 5 or half not in shown
