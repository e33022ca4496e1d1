"""How an MCP client starts a server behind its gate, in each client's own format. Pure."""

import json
import shlex
from dataclasses import dataclass

COMMAND = "YOUR-SERVER-COMMAND"
"""What stands where only its owner knows what to write."""
AGENT_KEY = "KEY-OF-THE-AGENT"


@dataclass(frozen=True)
class Configuration:
    """What to put where."""

    client: str
    place: str
    text: str


def configurations(name: str, url: str, key: str) -> list[Configuration]:
    """For a server that the agent's own client starts: any command, behind the proxy that gates it."""
    settings = {"APPROVALS_URL": url, "APPROVALS_SERVER_KEY": key, "APPROVALS_AGENT_KEY": AGENT_KEY}
    started = ["approvals-proxy", "--name", name, "--", COMMAND]
    entry = {"command": started[0], "args": started[1:], "env": settings}
    given = " ".join(f"-e {shlex.quote(f'{setting}={value}')}" for setting, value in settings.items())
    toml = "".join(f"{setting} = {json.dumps(value)}\n" for setting, value in settings.items())
    return [
        Configuration("Claude Code", "in a shell", f"claude mcp add {name} {given} -- {shlex.join(started)}"),
        Configuration("Cursor, Cline, Claude Desktop", "mcp.json", _json({"mcpServers": {name: entry}})),
        Configuration("VS Code", ".vscode/mcp.json", _json({"servers": {name: {"type": "stdio"} | entry}})),
        Configuration(
            "Codex",
            "~/.codex/config.toml",
            f"[mcp_servers.{json.dumps(name)}]\ncommand = {json.dumps(started[0])}\n"
            f"args = {json.dumps(started[1:])}\n\n[mcp_servers.{json.dumps(name)}.env]\n{toml}",
        ),
        Configuration("Any other", "environment and command", environment(url, key) + shlex.join(started)),
    ]


def environment(url: str, key: str) -> str:
    """For a server that somebody else starts: its settings, for GatedServer or the proxy."""
    return f"APPROVALS_URL={url}\nAPPROVALS_SERVER_KEY={key}\n"


def _json(value: object) -> str:
    return json.dumps(value, indent=2)
