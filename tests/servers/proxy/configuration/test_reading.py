"""A configuration file: what it may say, and what is said of what it may not."""

import json
from pathlib import Path

import pytest

from approvals.errors import Invalid
from approvals_server.proxy.configuration.document import json_schema
from approvals_server.proxy.configuration.opening import opened, rules_of, summary
from approvals_server.proxy.configuration.reading import parsed

WHOLE = """
version: 1
service: http://127.0.0.1:8700
upstreams:
  files:
    command: [npx, -y, "@modelcontextprotocol/server-filesystem@2026.8.31", /srv]
    env: {LEVEL: debug}
    key: mcps_a_b
    tools:
      write_file: {secret: [content]}
  tickets:
    url: https://mcp.example.com/mcp
    token: abc
    prefix: t_
"""


def test_a_file_names_upstreams_and_what_their_owner_says_of_them():
    document = parsed(WHOLE, "proxy.yaml")
    rules = rules_of(document.upstreams["files"])
    assert rules.of("write_file").secret == ("content",)
    assert rules.of("write_file").preview is None  # the owner's words, in place of the recipe's
    assert rules.of("move_file").preview is not None
    files = opened(document, "files", {})
    assert files.desk.gate.settings.server_key == "mcps_a_b"
    assert summary(files, document.upstreams["files"]).endswith("(recipe filesystem, 3 previews)")
    tickets = opened(document, "tickets", {})
    assert not tickets.desk.gate.is_configured
    assert "NO KEY: every call is refused" in summary(tickets, document.upstreams["tickets"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 1\nupstreams: {}", "upstreams"),
        ("version: 2\nupstreams: {a: {command: [x]}}", "version"),
        ("version: 1\nversion: 1\nupstreams: {a: {command: [x]}}", "line 2: 'version' stands there twice"),
        ("version: 1\nupstreams: {a: {command: [x], colour: red}}", "upstreams.a.colour"),
        ("version: 1\nupstreams: {a: {command: [x], url: 'https://a.example'}}", "a command or a url"),
        ("version: 1\nupstreams: {a: {}}", "a command or a url"),
        ("version: 1\nupstreams: {a: {url: 'http://a.example/', token: t}}", "without encryption"),
        ("version: 1\nupstreams: {a: {url: 'ftp://a.example/'}}", "no http"),
        ("version: 1\nupstreams: {A b: {command: [x]}}", "upstreams"),
        ("version: 1\nupstreams: {a: {command: [x], recipe: nothing}}", "there is no such recipe"),
        ("version: 1\nupstreams: &a {a: {command: [x]}}\nmore: *a", "aliases"),
        ("version: 1\nupstreams: {a: {command: [x], tools: {t: {preview: {effect: '{answer}'}}}}}", "without a read"),
        ("version: 2026-13-45", "line 1: this is no timestamp"),
        ("version: 1\nupstreams: 0x_", "line 2: this is no int"),
        ("version: 1\nupstreams: !!map x", "line 2"),
        ("version: 1\nupstreams: {a: {url: 'http://[::1'}}", "no http"),
        ("version: 1\nupstreams: {a: {url: 'http://a:1b/'}}", "no http"),
        ("[", "line 1"),
        ("", "the file"),
    ],
)
def test_what_it_may_not_say_is_said_with_its_place(text, words):
    with pytest.raises(Invalid) as error:
        parsed(text, "proxy.yaml")
    assert words in error.value.detail


def test_a_secret_that_stands_there_is_not_shown_in_an_error():
    with pytest.raises(Invalid) as error:
        parsed("version: 1\nupstreams: {a: {command: [x], token: hunter2hunter2}}", "proxy.yaml")
    assert "hunter2" not in error.value.detail


def test_the_schema_for_editors_is_the_one_in_the_docs():
    assert json.loads(Path("docs/proxy.schema.json").read_text(encoding="utf-8")) == json_schema()
