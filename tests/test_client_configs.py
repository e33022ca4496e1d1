"""What each MCP client is given is in its own format, and says the same."""

import json
import shlex
import tomllib

import pytest

from approvals.client_configs import CLIENTS, Launch, Remote, configuration, configurations
from support import client_pages

SETTINGS = {"APPROVALS_URL": "https://approvals.example", "APPROVALS_SERVER_KEY": 'mcps_1_it\'s a "secret"'}
COMMAND = ("approvals-proxy", "--name", "pg.main", "--", "npx", "a server")
LOCAL = Launch("pg.main", COMMAND, SETTINGS)
REMOTE = Remote("pg.main", "https://pg.example/mcp?a=b&c", "mcpa_1_secret")
JSON = {"cursor": "mcpServers", "vscode": "servers", "cline": "mcpServers"}


@pytest.mark.parametrize(("client", "root"), JSON.items())
def test_a_json_file_starts_exactly_the_command_in_its_environment(client, root):
    entry = json.loads(configuration(client, LOCAL).text)[root]["pg-main"]
    assert (entry["command"], *entry["args"]) == COMMAND
    assert entry["env"] == SETTINGS


@pytest.mark.parametrize(("client", "root"), JSON.items())
def test_a_json_file_calls_the_address_with_the_agents_key(client, root):
    entry = json.loads(configuration(client, REMOTE).text)[root]["pg-main"]
    assert (entry["url"], entry["headers"]) == (REMOTE.url, {"Authorization": "Bearer mcpa_1_secret"})


def test_each_json_client_is_told_the_transport_by_the_word_it_knows():
    def kind(client, target):
        (entry,) = json.loads(configuration(client, target).text)[JSON[client]].values()
        return entry.get("type")

    assert [(kind(client, LOCAL), kind(client, REMOTE)) for client in JSON] == [
        (None, None),
        ("stdio", "http"),
        (None, "streamableHttp"),
    ]


def test_claude_desktop_calls_an_address_by_a_command():
    local = json.loads(configuration("claude-desktop", LOCAL).text)["mcpServers"]["pg-main"]
    assert (local["command"], *local["args"]) == COMMAND
    remote = json.loads(configuration("claude-desktop", REMOTE).text)["mcpServers"]["pg-main"]
    assert REMOTE.url in remote["args"]
    assert remote["env"] == {"AUTHORIZATION": "Bearer mcpa_1_secret"}
    assert "mcpa_1_secret" not in " ".join(remote["args"])


def test_codex_reads_its_toml():
    local = tomllib.loads(configuration("codex", LOCAL).text)["mcp_servers"]["pg-main"]
    assert (local["command"], *local["args"]) == COMMAND
    assert local["env"] == SETTINGS
    remote = tomllib.loads(configuration("codex", REMOTE).text)["mcp_servers"]["pg-main"]
    assert (remote["url"], remote["http_headers"]) == (REMOTE.url, {"Authorization": "Bearer mcpa_1_secret"})


def test_a_shell_gives_claude_code_the_same_words():
    words = shlex.split(configuration("claude-code", LOCAL).text.replace("\\\n", ""))
    assert words[:4] == ["claude", "mcp", "add", "pg-main"]
    assert words[4:8] == ["-e", f"APPROVALS_URL={SETTINGS['APPROVALS_URL']}", "-e", words[7]]
    assert words[7] == f"APPROVALS_SERVER_KEY={SETTINGS['APPROVALS_SERVER_KEY']}"
    assert tuple(words[9:]) == COMMAND
    remote = shlex.split(configuration("claude-code", REMOTE).text)
    assert remote[3:] == [
        *("--transport", "http", "pg-main", REMOTE.url),
        *("--header", "Authorization: Bearer mcpa_1_secret"),
    ]


@pytest.mark.parametrize("target", [LOCAL, REMOTE])
def test_every_client_has_a_place_and_a_text_that_ends_its_line(target):
    made = configurations(target)
    assert [one.client for one in made] == list(CLIENTS)
    assert all(one.place and one.text.endswith("\n") for one in made)


def test_the_pages_in_the_docs_say_what_the_command_prints():
    """Written by `python tests/support/client_pages.py`."""
    pages = {path.stem: path.read_text(encoding="utf-8") for path in client_pages.FOLDER.glob("*.md")}
    assert pages == {client: client_pages.page(client) for client in CLIENTS}
