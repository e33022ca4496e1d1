"""`approvals-proxy`: stands before any MCP server, and its writes wait for a person."""

import argparse
import asyncio
import contextlib
import logging
import sys
from importlib.metadata import version

from approvals.errors import NotConfigured
from approvals.gate.gate import Gate
from approvals.gate.settings import GateSettings
from approvals_server.proxy import stdio
from approvals_server.proxy.desk import Desk
from approvals_server.proxy.link import Connect
from approvals_server.proxy.process import UpstreamProcess

_USAGE = "approvals-proxy --name NAME [--http HOST:PORT] (-- COMMAND ARG... | UPSTREAM_URL)"


def main() -> None:
    """Serve until the client, or a signal, ends it."""
    asked = _arguments(sys.argv[1:])
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="approvals-proxy: %(message)s")
    settings = None
    try:
        settings = GateSettings.from_environment()
    except NotConfigured as error:
        logging.warning("%s %s Until then every call of a tool is refused.", error.detail, error.hint)
    desk = Desk(Gate(asked.name, settings, code_version=f"mcp-approvals {version('mcp-approvals')}"), asked.upstream)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(stdio.serve(desk, _connect(asked.upstream)))


def _connect(upstream: list[str]) -> Connect:
    return lambda receive, ended: UpstreamProcess.start(upstream, receive, ended)


def _arguments(words: list[str]) -> argparse.Namespace:
    """What stands after `--` is the upstream's command, whatever it looks like."""
    own, command = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    parser = argparse.ArgumentParser(prog="approvals-proxy", usage=_USAGE, description=__doc__)
    parser.add_argument("--name", required=True, help="the server's name at the approval service")
    parser.add_argument("url", nargs="?", metavar="UPSTREAM_URL", help="a server that is reached over streamable HTTP")
    parser.add_argument("--version", action="version", version=version("mcp-approvals"))
    asked = parser.parse_args(own)
    if bool(asked.url) == bool(command):
        parser.error("name one upstream: a command after --, or an http(s) address")
    asked.upstream = command or [asked.url]
    return asked


if __name__ == "__main__":
    main()
