"""`approvals-proxy config`: what is printed for a client starts exactly the proxy that was asked for."""

import json
import shlex

import pytest

from approvals.client_configs import CLIENTS
from approvals_server.proxy import cli

FILES = ["--name", "files", "--", "npx", "-y", "server", "--client", "theirs"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("APPROVALS_URL", "APPROVALS_AGENT_KEY", "APPROVALS_SERVER_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def printed(monkeypatch, capsys):
    def run(*words):
        monkeypatch.setattr("sys.argv", ["approvals-proxy", "config", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code is None, ended.value.code
        return capsys.readouterr().out.partition(":\n\n")[2]

    return run


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_is_told_the_command_and_no_key(printed, client):
    text = printed("--client", client, *FILES)
    for word in ["approvals-proxy", *FILES]:
        assert word in text
    assert "agent.key" in text
    assert "mcpa_" not in text
    assert "mcps_" not in text


def test_a_json_client_starts_exactly_that_command(printed):
    entry = json.loads(printed("--client", "cursor", *FILES))["mcpServers"]["files"]
    assert [entry["command"], *entry["args"]] == ["approvals-proxy", *FILES]
    assert entry["env"]["APPROVALS_URL"] == "http://127.0.0.1:8700"
    assert entry["env"]["APPROVALS_SERVER_KEY"].endswith("files.key")


def test_a_configuration_file_is_named_by_its_whole_path(printed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entry = json.loads(printed("--client", "cline", "--config", "team.yaml"))["mcpServers"]["team"]
    assert entry["args"] == ["--config", str(tmp_path / "team.yaml")]
    assert "APPROVALS_SERVER_KEY" not in entry["env"]


def test_over_http_a_client_is_told_the_address(printed):
    words = shlex.split(printed("--client", "claude-code", "--http", "127.0.0.1:8702", *FILES))
    assert "http://127.0.0.1:8702/mcp" in words
    assert "Authorization: Bearer mcpa_YOUR_AGENTS_KEY" in words


def test_an_unknown_client_is_told_which_there_are(monkeypatch):
    monkeypatch.setattr("sys.argv", ["approvals-proxy", "config", "--client", "emacs", *FILES])
    with pytest.raises(SystemExit, match="claude-desktop"):
        cli.main()
