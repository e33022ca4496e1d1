"""How each MCP client is told of a server: a command that it starts, or an address that it calls. Pure."""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Launch:
    """A server that the client starts."""

    name: str
    command: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables."""

    @property
    def entry(self) -> dict[str, object]:
        return {"command": self.command[0], "args": [*self.command[1:]], "env": dict(self.settings)}


@dataclass(frozen=True)
class Remote:
    """A server that somebody else starts, at an address."""

    name: str
    url: str
    agent_key: str

    @property
    def authorization(self) -> str:
        return f"Bearer {self.agent_key}"

    @property
    def entry(self) -> dict[str, object]:
        return {"url": self.url, "headers": {"Authorization": self.authorization}}


Target = Launch | Remote


@dataclass(frozen=True)
class Client:
    """An MCP client, and where it keeps its servers."""

    title: str
    place: str
    write: Callable[[Target], str]
    """What to put there."""


@dataclass(frozen=True)
class Configuration:
    """What to put where."""

    client: str
    title: str
    place: str
    text: str


def configuration(client: str, target: Target) -> Configuration:
    """For one client, by its key in CLIENTS."""
    known = CLIENTS[client]
    return Configuration(client, known.title, known.place, known.write(target))


def configurations(target: Target) -> list[Configuration]:
    """For every client."""
    return [configuration(client, target) for client in CLIENTS]


def environment(settings: Mapping[str, str]) -> str:
    """As lines of an environment file."""
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def alias(name: str) -> str:
    """A name that every client takes for a server: some refuse dots."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def _claude_code(target: Target) -> str:
    if isinstance(target, Remote):
        header = shlex.quote(f"Authorization: {target.authorization}")
        return f"claude mcp add --transport http {alias(target.name)} {shlex.quote(target.url)} --header {header}\n"
    given = (f"-e {shlex.quote(f'{name}={value}')}" for name, value in target.settings.items())
    said = " \\\n  ".join([f"claude mcp add {alias(target.name)}", *given, f"-- {shlex.join(target.command)}"])
    return f"{said}\n"


def _json(root: str, local: dict[str, object], remote: dict[str, object]) -> Callable[[Target], str]:
    """A file with its servers under `root`; what else an entry says, by its kind."""

    def write(target: Target) -> str:
        entry = (remote if isinstance(target, Remote) else local) | target.entry
        return json.dumps({root: {alias(target.name): entry}}, indent=2) + "\n"

    return write


def _claude_desktop(target: Target) -> str:
    """Claude Desktop's file knows commands only: an address is called by one."""
    if isinstance(target, Remote):
        bridge = ("npx", "-y", "mcp-remote", target.url, "--header", "Authorization:${AUTHORIZATION}")
        target = Launch(target.name, bridge, {"AUTHORIZATION": target.authorization})
    return _json("mcpServers", {}, {})(target)


def _codex(target: Target) -> str:
    table = f"mcp_servers.{alias(target.name)}"
    if isinstance(target, Remote):
        headers = f"{{ Authorization = {_toml(target.authorization)} }}"
        return f"[{table}]\nurl = {_toml(target.url)}\nhttp_headers = {headers}\n"
    lines = [f"[{table}]", f"command = {_toml(target.command[0])}", f"args = {_toml([*target.command[1:]])}"]
    if target.settings:
        lines += ["", f"[{table}.env]", *(f"{name} = {_toml(value)}" for name, value in target.settings.items())]
    return "\n".join(lines) + "\n"


def _toml(value: str | list[str]) -> str:
    """Strings, and lists of them, are written as in JSON."""
    return json.dumps(value, ensure_ascii=False)


def _plain(target: Target) -> str:
    if isinstance(target, Remote):
        return f"{target.url}\nAuthorization: {target.authorization}\n"
    return f"{environment(target.settings)}{shlex.join(target.command)}\n"


CLIENTS = {
    "claude-code": Client("Claude Code", "in a shell", _claude_code),
    "claude-desktop": Client("Claude Desktop", "claude_desktop_config.json", _claude_desktop),
    "cursor": Client("Cursor", ".cursor/mcp.json", _json("mcpServers", {}, {})),
    "vscode": Client("VS Code", ".vscode/mcp.json", _json("servers", {"type": "stdio"}, {"type": "http"})),
    "codex": Client("Codex", "~/.codex/config.toml", _codex),
    "cline": Client("Cline", "cline_mcp_settings.json", _json("mcpServers", {}, {"type": "streamableHttp"})),
    "other": Client("Any other", "its settings", _plain),
}
"""By the name that a command line takes."""
