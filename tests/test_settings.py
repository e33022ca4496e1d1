"""What a gate and the service are told by their environment; secrets by reference."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from approvals.errors import Invalid, NotConfigured, Unavailable
from approvals.gate.budgets import Budgets
from approvals.gate.call import Caller
from approvals.gate.settings import GateSettings
from approvals.secret_reference import resolve
from approvals.service.keyring import Keyring, keep_beside, kept_beside
from approvals.service.slack.workspace import Installed
from approvals_web.auth.oidc_client import Client
from approvals_web.settings import Settings

GOOD = {"APPROVALS_URL": "http://127.0.0.1:8700/", "APPROVALS_SERVER_KEY": "mcps_a_b"}
KEY = "k" * 32


def test_a_gate_reads_its_settings_and_references(tmp_path):
    secret = tmp_path / "key"
    secret.write_text("mcpa_a_b\n")
    settings = GateSettings.from_environment(GOOD | {"APPROVALS_AGENT_KEY": f"file:{secret}"})
    assert settings == GateSettings("http://127.0.0.1:8700", "mcps_a_b", "mcpa_a_b")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"APPROVALS_URL": ""}, "APPROVALS_URL is not set"),
        ({"APPROVALS_URL": "", "APPROVALS_SERVER_KEY": ""}, "APPROVALS_URL and APPROVALS_SERVER_KEY are"),
        ({"APPROVALS_URL": "approvals.example"}, "no http(s) address"),
        ({"APPROVALS_URL": "http://approvals.example"}, "without encryption"),
        ({"APPROVALS_URL": "http://10.0.0.7:8700"}, "without encryption"),
        ({"APPROVALS_URL": "http://[::1"}, "no http(s) address"),
        ({"APPROVALS_URL": "http://127.0.0.1:port"}, "no http(s) address"),
        ({"APPROVALS_URL": "http://127.0.0.1\n:8700"}, "APPROVALS_URL has a control character"),
        ({"APPROVALS_SERVER_KEY": "mcps_a\n_b"}, "APPROVALS_SERVER_KEY has a control character"),
        ({"APPROVALS_SERVER_KEY": "mcps_a b"}, "APPROVALS_SERVER_KEY is no key of the right kind"),
        ({"APPROVALS_SERVER_KEY": "mcpa_a_b"}, "should start with mcps_"),
        ({"APPROVALS_AGENT_KEY": "mcps_a_b"}, "should start with mcpa_"),
        ({"APPROVALS_AGENT_KEY": "mcpa_\u00e9"}, "should start with mcpa_"),
        ({"APPROVALS_SERVER_KEY": "file:/nowhere"}, "/nowhere cannot be read"),
        ({"APPROVALS_STATE_KEY": "short"}, "APPROVALS_STATE_KEY has a key of less than 32 bytes"),
        ({"APPROVALS_STATE_KEY": f"{KEY},{KEY}"}, "APPROVALS_STATE_KEY has"),
        ({"APPROVALS_STATE_KEY": f"{KEY},file:/nowhere"}, "/nowhere cannot be read"),
        ({"APPROVALS_HOLD": "60"}, "APPROVALS_HOLD has '60', which is no number of seconds up to 59"),
        ({"APPROVALS_HOLD": "0"}, "APPROVALS_HOLD has"),
        ({"APPROVALS_HOLD": "nan"}, "APPROVALS_HOLD has"),
        ({"APPROVALS_HOLD_WITH_PROGRESS": "inf"}, "APPROVALS_HOLD_WITH_PROGRESS has"),
        ({"APPROVALS_HOLD_WITH_PROGRESS": "soon"}, "APPROVALS_HOLD_WITH_PROGRESS has"),
        ({"APPROVALS_ROUNDS": "11"}, "APPROVALS_ROUNDS has '11', which is no number from 1 to 10"),
        ({"APPROVALS_ROUNDS": "two"}, "APPROVALS_ROUNDS has"),
        ({"APPROVALS_ROUNDS_BY_CLIENT": "mcp"}, "APPROVALS_ROUNDS_BY_CLIENT has 'mcp', which is no name=rounds"),
        (
            {"APPROVALS_ROUNDS_BY_CLIENT": "mcp=0"},
            "APPROVALS_ROUNDS_BY_CLIENT has '0', which is no number from 1 to 10",
        ),
        ({"APPROVALS_HOLD_BY_CLIENT": "inspector"}, "APPROVALS_HOLD_BY_CLIENT has 'inspector'"),
        ({"APPROVALS_HOLD_BY_CLIENT": "=4"}, "APPROVALS_HOLD_BY_CLIENT has '=4'"),
        ({"APPROVALS_HOLD_BY_CLIENT": "a=4,b=-1"}, "APPROVALS_HOLD_BY_CLIENT has '-1'"),
    ],
)
def test_p5_a_gate_with_a_wrong_setting_says_which(changes, named):
    with pytest.raises(NotConfigured) as refused:
        GateSettings.from_environment(GOOD | changes)
    assert named in refused.value.detail


def test_how_long_calls_are_held_and_what_seals_their_states_can_be_set(tmp_path):
    older = tmp_path / "older"
    older.write_text(f"{'o' * 32},{'p' * 32}\n")
    settings = GateSettings.from_environment(
        GOOD
        | {
            "APPROVALS_STATE_KEY": f"{KEY}, file:{older}",
            "APPROVALS_HOLD": "4.5",
            "APPROVALS_HOLD_WITH_PROGRESS": "1500",
            "APPROVALS_HOLD_BY_CLIENT": "Codex MCP=290, openai=4",
            "APPROVALS_ROUNDS": "1",
            "APPROVALS_ROUNDS_BY_CLIENT": "My Agent=8, fastmcp=1",
        }
    )
    assert settings.state_keys == (KEY, "o" * 32, "p" * 32)
    assert settings.budgets == Budgets(
        4.5,
        1500.0,
        rounds=1,
        by_client={"codex mcp": 290.0, "openai": 4.0},
        rounds_by_client={"my agent": 8, "fastmcp": 1},
    )
    assert KEY not in repr(settings)
    assert GateSettings.from_environment(GOOD).budgets == Budgets()


@pytest.mark.parametrize("url", ["https://approvals.example", "http://[::1]:8700", "http://approvals:8700"])
def test_https_loopback_and_a_containers_neighbour_are_good_addresses(url):
    assert GateSettings.from_environment(GOOD | {"APPROVALS_URL": url}).url == url


def test_a_secret_may_be_what_a_command_prints_and_no_shell_sees_it():
    assert resolve("plain") == "plain"
    assert resolve(f"exec:{sys.executable} -c \"print('a b; echo c')\"") == "a b; echo c"


HOSTILE = [
    "$(touch hit)",
    "`touch hit`",
    "; touch hit",
    "| touch hit",
    "&& touch hit",
    "> hit",
    "\ntouch hit",
    "'$HOME'",
]


@pytest.mark.parametrize("words", HOSTILE)
def test_p5_what_a_shell_would_obey_is_only_text_to_a_command(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    printed = resolve(f"exec:{sys.executable} -c 'import sys; print(sys.argv[1:])' {words}")
    assert printed == str(shlex.split(words))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "exec"])
def test_a_databases_url_and_the_one_past_its_pooler_may_be_references(tmp_path, kind):
    secret = "postgresql://approvals:s%3Acret@database/approvals?sslmode=verify-full"
    near, past = tmp_path / "url", tmp_path / "direct url"
    near.write_text(secret + "\n")
    past.write_text(secret.replace("@database", "@past") + "\n")
    read = {"file": "file:{}", "exec": "exec:cat '{}'"}[kind]
    settings = Settings(database_url=read.format(near), database_direct_url=read.format(past))
    assert settings.database().url == secret
    assert settings.migration_url == secret.replace("@database", "@past")
    assert Settings(database_url=read.format(near)).migration_url == secret


def test_every_setting_of_the_service_and_of_a_gate_is_documented():
    document = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
    listed = set(re.findall(r"`(APPROVALS_\w+)`", document.partition("## Settings")[2]))
    service = {f"APPROVALS_{name.upper()}" for name in Settings.model_fields}
    gate = set(re.findall(r"APPROVALS_\w*[A-Z]", Path(sys.modules[GateSettings.__module__].__file__).read_text()))
    assert listed == service | gate


@pytest.mark.parametrize("reference", ["exec:/nowhere/at/all", "exec:false", "exec:'", "exec:"])
def test_a_command_that_gives_no_secret_is_an_error_that_shows_none(reference):
    with pytest.raises(NotConfigured):
        resolve(reference)


def test_the_generated_key_is_kept_beside_the_database_for_its_owner_alone(tmp_path):
    database = tmp_path / "approvals.db"
    with pytest.raises(Unavailable, match="not where it should be"):
        kept_beside(database)
    keep_beside(database)
    first = kept_beside(database)
    keep_beside(database)
    assert kept_beside(database) == first
    (kept,) = tmp_path.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert Keyring(first).audit != Keyring(first + "x").audit


def test_p8_no_secret_shows_where_settings_are_printed():
    """Logs, tracebacks and debuggers print them."""
    secret = re.compile("secret|token|key|database|webhook")
    given = {name: f"<{name}>" for name, field in Settings.model_fields.items() if field.annotation is str}
    shown = set(re.findall("<([a-z_]+)>", repr(Settings.model_construct(**given))))
    assert shown == {name for name in given if not secret.search(name)}
    word = "open sesame"
    told = [
        GateSettings("http://127.0.0.1", word, word, (word,)),
        Caller(word),
        Client("https://idp.example", "approvals", word),
        Installed(word, "#approvals", word, word),
    ]
    assert not any(word in repr(value) for value in told)


def test_a_secret_key_that_is_too_short_is_refused():
    with pytest.raises(Invalid):
        Keyring("short")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8700"),
        ({"host": "0.0.0.0", "port": 1}, "http://127.0.0.1:1"),  # noqa: S104
        ({"host": "::1"}, "http://[::1]:8700"),
        ({"public_url": "https://approvals.example/"}, "https://approvals.example"),
    ],
)
def test_the_service_knows_where_people_reach_it(given, url):
    assert Settings(**given).url() == url


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("", []),
        (" 127.0.0.1, ::1 ,10.0.0.0/8", ["127.0.0.1", "::1", "10.0.0.0/8"]),
        ("10.0.0.1,*", ["*"]),
    ],
)
def test_p1_only_proxies_that_are_named_are_believed(given, named):
    assert Settings(trusted_proxies=given).proxies() == named


@pytest.mark.parametrize("given", ["proxy.internal", "10.0.0.1/8", "127.0.0.1;::1", "*.example"])
def test_p5_a_proxy_that_is_no_address_is_refused(given):
    with pytest.raises(Invalid, match="APPROVALS_TRUSTED_PROXIES has"):
        Settings(trusted_proxies=given).proxies()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"port": "abc"}, "APPROVALS_PORT is 'abc', which is no port"),
        ({"port": "99999"}, "APPROVALS_PORT is 99999, which is no port"),
        ({"demo_port": "-1"}, "APPROVALS_DEMO_PORT is -1"),
        ({"demo_slack_port": ""}, "APPROVALS_DEMO_SLACK_PORT is ''"),
        ({"slack_link_by_email": "maybe"}, "APPROVALS_SLACK_LINK_BY_EMAIL is 'maybe', which is neither true nor false"),
        ({"oidc_auto_create": "2"}, "APPROVALS_OIDC_AUTO_CREATE is '2'"),
        ({"oidc_name": "two\nlines"}, "APPROVALS_OIDC_NAME has a control character"),
        ({"secret_key": "k" * 32 + "\0"}, "APPROVALS_SECRET_KEY has a control character"),
        ({"public_url": "example.com"}, "APPROVALS_PUBLIC_URL is 'example.com', which is no address"),
        ({"public_url": "ftp://example.com"}, "APPROVALS_PUBLIC_URL is"),
        ({"public_url": "https://"}, "APPROVALS_PUBLIC_URL is"),
        ({"public_url": "https://[::1"}, "APPROVALS_PUBLIC_URL is"),
        ({"public_url": "https://example.com:port"}, "APPROVALS_PUBLIC_URL is"),
        ({"public_url": "https://example.com/approvals"}, "APPROVALS_PUBLIC_URL is"),
        ({"public_url": "https://example.com?a=b"}, "APPROVALS_PUBLIC_URL is"),
        ({"public_url": "https://example.com#a"}, "APPROVALS_PUBLIC_URL is"),
        ({"public_url": "https://ann@example.com"}, "APPROVALS_PUBLIC_URL is"),
    ],
)
def test_p5_a_service_with_a_wrong_setting_says_which(given, named):
    with pytest.raises(Invalid, match=re.escape(named)) as refused:
        Settings(**given).check()
    assert refused.value.hint


@pytest.mark.parametrize("address", ["https://a.example", "http://127.0.0.1:8700/", "https://[::1]:443"])
def test_a_public_address_is_a_scheme_and_a_host(address):
    Settings(public_url=address).check()


def test_p5_white_space_around_a_setting_is_none_of_its_value():
    padded = {name: f"\r\n {value}\t\n" for name, value in {"database_url": "sqlite:///a.db", "port": "1"}.items()}
    settings = Settings(**padded)
    assert (settings.database_url, settings.port) == ("sqlite:///a.db", 1)
    around = {name: f" {value}\r\n" for name, value in GOOD.items()}
    assert GateSettings.from_environment(around) == GateSettings.from_environment(GOOD)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:a.db",
        "sqlite:///a.db?mode=ro",
        "sqlite:///a\nb",
    ],
)
def test_p5_a_database_that_would_not_be_the_one_that_was_meant_is_refused(url):
    with pytest.raises(Invalid, match=r"APPROVALS_DATABASE_URL|needs a SQLite database"):
        Settings(database_url=url).database()
