"""Servers that people have, from npm and PyPI, at the versions of the locks: how each is started."""

from pathlib import Path

from support import python_clients, typescript

UPSTREAMS = Path(__file__).parents[1] / "upstreams"


def node(name: str, *arguments: str) -> list[str]:
    folder = typescript.installed(UPSTREAMS) / "node_modules" / "@modelcontextprotocol" / f"server-{name}"
    return ["node", str(folder / "dist" / "index.js"), *arguments]


def python(*arguments: str) -> list[str]:
    return [str(python_clients.installed(UPSTREAMS / "requirements.lock")), *arguments]


def program(name: str, *arguments: str) -> list[str]:
    """One that a PyPI package brings."""
    return [str(python_clients.installed(UPSTREAMS / "requirements.lock").parent / name), *arguments]
