"""The proxy before the servers that a client's own file names, and away again. Pure, but for reading and writing it."""

import difflib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from approvals.errors import Invalid

COMMAND = "approvals-proxy"
KEYS = Path.home() / ".config" / "mcp-approvals"
_LISTS = ("mcpServers", "servers")
_OURS = "APPROVALS_"


def wrapped(document: Mapping[str, Any], url: str, keys: Path) -> dict[str, Any]:
    """The document with the proxy before each server. The keys are named as files, never written into it. Raises
    Invalid."""
    return _each(document, lambda name, entry: _wrap(name, entry, url, keys))


def unwrapped(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without the proxy. Raises Invalid."""
    return _each(document, lambda _, entry: _unwrap(entry))


def names(document: Mapping[str, Any]) -> list[str]:
    """Of the wrapped servers, as the approval service is to know them."""
    found = [entry["args"][1] for entry in _entries(document).values() if _is_wrapped(entry)]
    return sorted(set(found))


def read(path: Path) -> tuple[dict[str, Any], str]:
    """What a client's file says, and its text. Raises Invalid."""
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise Invalid(f"{path} is no plain JSON: {error}.", hint="Take comments out, or edit it by hand.") from error
    if not isinstance(document, dict):
        raise Invalid(f"{path} is no JSON object.")
    return document, text


def written(document: Mapping[str, Any], like: str) -> str:
    """As text, indented as the file was."""
    indent = re.search(r"\n([ \t]+)\"", like)
    ending = "\n" if like.endswith("\n") else ""
    return json.dumps(document, indent=indent[1] if indent else 2, ensure_ascii=False) + ending


def difference(before: str, after: str, path: Path) -> str:
    """What changes, for a person."""
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), str(path), str(path))
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def save(path: Path, text: str) -> Path:
    """Write it, and keep what was there beside it; where that is. Its mode stays: such files hold secrets."""
    path = path.resolve()
    number = 1
    while (copy := path.with_name(f"{path.name}.before-{COMMAND}-{number}")).exists():
        number += 1
    shutil.copy2(path, copy)
    fresh = path.with_name(f".{path.name}.new")
    shutil.copy2(path, fresh)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return copy


def _each(document: Mapping[str, Any], change: Any) -> dict[str, Any]:
    entries = _entries(document)
    key = next(name for name in _LISTS if isinstance(document.get(name), dict))
    return {**document, key: {name: change(name, entry) for name, entry in entries.items()}}


def _entries(document: Mapping[str, Any]) -> dict[str, Any]:
    found = next((document[name] for name in _LISTS if isinstance(document.get(name), dict)), None)
    if found is None:
        raise Invalid("It names no MCP servers.", hint=f"They stand under {' or '.join(map(repr, _LISTS))}.")
    if not all(isinstance(entry, dict) for entry in found.values()):
        raise Invalid("A server in it is no JSON object.")
    return dict(found)


def _wrap(name: str, entry: dict[str, Any], url: str, keys: Path) -> dict[str, Any]:
    if _is_wrapped(entry):
        return entry
    server = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-._")[:63] or "server"
    secrets = {
        "APPROVALS_URL": url,
        "APPROVALS_SERVER_KEY": f"file:{keys / server}.key",
        "APPROVALS_AGENT_KEY": f"file:{keys / 'agent'}.key",
    }
    rest = {key: value for key, value in entry.items() if key not in {"command", "args", "url", "type", "headers"}}
    if isinstance(entry.get("command"), str):
        behind = ["--", entry["command"], *entry.get("args", ())]
    elif isinstance(entry.get("url"), str):
        behind = [entry["url"]]
        secrets |= _token(name, entry.get("headers") or {})
    else:
        raise Invalid(f"The server {name!r} has neither a command nor a url.")
    kind = {"type": "stdio"} if "type" in entry else {}
    args = ["--name", server, *behind]
    return kind | {"command": COMMAND, "args": args} | rest | {"env": {**entry.get("env", {}), **secrets}}


def _token(name: str, headers: Mapping[str, str]) -> dict[str, str]:
    """What lets a client in at a URL lets the proxy in."""
    if not headers:
        return {}
    (header, value), *more = headers.items()
    if more or header.lower() != "authorization" or not value.lower().startswith("bearer "):
        raise Invalid(f"The server {name!r} wants headers that the proxy cannot send.", hint="Leave it out.")
    return {"APPROVALS_UPSTREAM_TOKEN": value[7:].strip()}


def _unwrap(entry: dict[str, Any]) -> dict[str, Any]:
    if not _is_wrapped(entry):
        return entry
    _, _, *behind = entry["args"]
    environment = entry.get("env", {})
    token = environment.get("APPROVALS_UPSTREAM_TOKEN")
    kept = {name: value for name, value in environment.items() if not name.startswith(_OURS)}
    rest = {key: value for key, value in entry.items() if key not in {"command", "args", "env", "type"}}
    rest |= {"env": kept} if kept else {}
    if behind[0] == "--":
        kind = {"type": "stdio"} if "type" in entry else {}
        return kind | {"command": behind[1], "args": behind[2:]} | rest
    kind = {"type": "http"} if "type" in entry else {}
    return kind | {"url": behind[0]} | ({"headers": {"Authorization": f"Bearer {token}"}} if token else {}) | rest


def _is_wrapped(entry: Mapping[str, Any]) -> bool:
    args = entry.get("args")
    return entry.get("command") == COMMAND and isinstance(args, list) and len(args) > 2 and args[0] == "--name"
