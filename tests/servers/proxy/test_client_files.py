"""`approvals-proxy wrap` and `unwrap`: a client's own file, changed and changed back."""

import json
import stat
from pathlib import Path

import pytest

from approvals.errors import Invalid
from approvals_server.proxy import client_files, wrap_command

FILE = """{
    "mcpServers": {
        "Files & more": {"command": "npx", "args": ["-y", "server-filesystem", "/srv"], "env": {"DEBUG": "1"}},
        "tickets": {"type": "http", "url": "https://mcp.example.com/mcp", "headers": {"Authorization": "Bearer t0ken"}}
    },
    "other": [1.5, "é"]
}
"""
KEYS = Path("/keys")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / ".mcp.json"
    path.write_text(FILE)
    path.chmod(0o600)
    return path


def test_each_server_stands_behind_the_proxy_and_no_key_in_the_file():
    servers = client_files.wrapped(json.loads(FILE), "http://127.0.0.1:8700", KEYS)["mcpServers"]
    files = servers["Files & more"]
    assert files["command"] == "approvals-proxy"
    assert files["args"] == ["--name", "files-more", "--", "npx", "-y", "server-filesystem", "/srv"]
    assert files["env"]["DEBUG"] == "1"
    assert files["env"]["APPROVALS_SERVER_KEY"] == "file:/keys/files-more.key"
    assert servers["tickets"]["args"] == ["--name", "tickets", "https://mcp.example.com/mcp"]
    assert servers["tickets"]["env"]["APPROVALS_UPSTREAM_TOKEN"] == "t0ken"
    assert "headers" not in servers["tickets"]


def test_unwrapping_gives_back_what_was_there_and_wrapping_twice_is_wrapping_once():
    once = client_files.wrapped(json.loads(FILE), "http://127.0.0.1:8700", KEYS)
    assert client_files.wrapped(once, "http://127.0.0.1:9999", KEYS) == once
    assert client_files.unwrapped(once) == json.loads(FILE)
    assert client_files.unwrapped(json.loads(FILE)) == json.loads(FILE)


def test_the_difference_is_shown_first_and_nothing_changed(file, capsys):
    assert wrap_command.main("wrap", [str(file)]) is None
    said = capsys.readouterr().out
    assert '+            "command": "approvals-proxy"' in said
    assert "Not changed yet" in said
    assert file.read_text() == FILE


def test_a_copy_is_kept_and_the_files_mode(file, capsys):
    assert wrap_command.main("wrap", [str(file), "--yes"]) is None
    assert "files-more.key" in capsys.readouterr().out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (copy,) = file.parent.glob("*.before-*")
    assert copy.read_text() == FILE
    assert wrap_command.main("unwrap", [str(file), "--yes"]) is None
    assert json.loads(file.read_text()) == json.loads(FILE)
    assert len(list(file.parent.glob("*.before-*"))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "// a comment\n{}",
        "[]",
        '{"something": {}}',
        '{"mcpServers": {"a": 1}}',
        '{"mcpServers": {"a": {}}}',
        '{"mcpServers": {"a": {"url": "https://a.example", "headers": {"X-Key": "k"}}}}',
    ],
)
def test_a_file_that_cannot_be_meant_is_left_as_it_is(file, text):
    file.write_text(text)
    assert wrap_command.main("wrap", [str(file), "--yes"]).startswith("approvals-proxy: ")
    assert file.read_text() == text


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(Invalid, match="cannot be read"):
        client_files.read(tmp_path / "none.json")
