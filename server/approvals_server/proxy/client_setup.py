"""`approvals-proxy config --client NAME`: what to put where, so that a client starts the proxy, or calls it."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from approvals.client_configs import Launch, Remote, Target, configuration
from approvals.secret_reference import resolve
from approvals_server.proxy.client_files import COMMAND, KEYS

UNKNOWN = "mcpa_YOUR_AGENTS_KEY"


def told(client: str, target: Target) -> str:
    """The place in a comment's stead, and the text to put there."""
    made = configuration(client, target)
    return f"{made.title}, {made.place}:\n\n{made.text}"


def target_of(asked: argparse.Namespace, given: Sequence[str]) -> Target:
    """The proxy as its client knows it: by its command, with keys named as files, or by its address."""
    name = asked.name or asked.config.stem
    if asked.http is not None:
        host, port = asked.http
        key = os.environ.get("APPROVALS_AGENT_KEY", "")
        return Remote(name, f"http://{host}:{port}/mcp", resolve(key) if key else UNKNOWN)
    settings = {"APPROVALS_URL": os.environ.get("APPROVALS_URL", "http://127.0.0.1:8700")}
    if asked.config is None:
        settings["APPROVALS_SERVER_KEY"] = f"file:{KEYS / name}.key"
    settings["APPROVALS_AGENT_KEY"] = f"file:{KEYS / 'agent'}.key"
    return Launch(name, (COMMAND, *given), settings)


def words_without(words: Sequence[str], option: str) -> tuple[list[str], str]:
    """A command line without one of the proxy's own options, and that option's value."""
    own = list(words[: words.index("--")] if "--" in words else words)
    if option not in own[:-1]:
        return list(words), ""
    at = own.index(option)
    return [*words[:at], *words[at + 2 :]], words[at + 1]


def absolute(words: Sequence[str], config: Path | None) -> list[str]:
    """With the whole path of a configuration file: clients start commands wherever they are."""
    return [str(config.absolute()) if config is not None and word == str(config) else word for word in words]
