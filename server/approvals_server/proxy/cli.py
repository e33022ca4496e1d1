"""`approvals-proxy`: stands before any MCP server, and its writes wait for a person."""

import argparse
import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version

import httpx2
import uvicorn

from approvals.errors import ApprovalsError, Invalid, NotConfigured
from approvals.gate.auth import ServiceAway
from approvals.gate.gate import Gate
from approvals.gate.settings import GateSettings
from approvals_server.proxy import stdio, wrap
from approvals_server.proxy.desk import Desk
from approvals_server.proxy.front import Front
from approvals_server.proxy.inspection import inspect, table
from approvals_server.proxy.link import Connect
from approvals_server.proxy.process import UpstreamProcess
from approvals_server.proxy.remote import TIMEOUT, ParamHeaders, UpstreamHttp, credentials
from approvals_server.proxy.rules.recipes import name_for, recipe
from approvals_server.proxy.upstream import Gone, Receive, Upstream, UpstreamLost

_USAGE = """approvals-proxy [inspect] --name NAME [--http HOST:PORT] [--recipe NAME] (-- COMMAND ARG... | UPSTREAM_URL)
       approvals-proxy (wrap | unwrap) FILE [--yes]"""


def main() -> None:
    """Serve until the client, or a signal, ends it."""
    words = sys.argv[1:]
    if words[:1] in (["wrap"], ["unwrap"]):
        sys.exit(wrap.main(words[0], words[1:]))
    looks = words[:1] == ["inspect"]
    asked = _arguments(words[1:] if looks else words)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="approvals-proxy: %(message)s")
    settings = None
    try:
        settings = GateSettings.from_environment()
    except NotConfigured as error:
        logging.warning("%s %s", error.detail, error.hint)
        if not looks:
            logging.warning("Until then every call of a tool is refused.")
    desk = Desk(_gate(asked.name, settings), asked.upstream, asked.rules)
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop()) as runner:
        sys.exit(runner.run(_inspect(desk, asked) if looks else _serve(desk, asked)))


def _gate(name: str, settings: GateSettings | None) -> Gate:
    return Gate(name, settings, code_version=f"mcp-approvals {version('mcp-approvals')}", pinned=True)


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The fastest that is installed."""
    return uvicorn.Config(Front).get_loop_factory()


async def _inspect(desk: Desk, asked: argparse.Namespace) -> str | None:
    """None, or what went wrong."""
    try:
        async with _upstream(asked) as connect, desk.gate.running():
            sys.stdout.writelines(f"{line}\n" for line in table(await inspect(desk, connect)))
    except (UpstreamLost, ApprovalsError) as error:
        return f"approvals-proxy: {error}"
    return None


@contextlib.asynccontextmanager
async def _upstream(asked: argparse.Namespace) -> AsyncIterator[Connect]:
    async with httpx2.AsyncClient(timeout=TIMEOUT, headers=credentials()) as http:
        yield over_http(http, asked.url) if asked.url else _of_command(asked.upstream)


async def _serve(desk: Desk, asked: argparse.Namespace) -> None:
    async with _upstream(asked) as connect:
        if asked.http is None:
            await stdio.serve(desk, connect)
            return
        host, port = asked.http
        front = Front(desk, connect, host)
        async with front.open():
            config = uvicorn.Config(
                ServiceAway(front),
                host=host,
                port=port,
                log_level="warning",
                lifespan="off",
                timeout_graceful_shutdown=5,
            )
            await uvicorn.Server(config).serve()


def _of_command(command: list[str]) -> Connect:
    return lambda receive, gone: UpstreamProcess.start(command, receive, gone)


def over_http(http: httpx2.AsyncClient, url: str) -> Connect:
    """Sessions with one server over HTTP."""
    params: ParamHeaders = {}

    async def connect(receive: Receive, gone: Gone) -> Upstream:
        return UpstreamHttp(http, url, params, receive, gone)

    return connect


def _arguments(words: list[str]) -> argparse.Namespace:
    """What stands after `--` is the upstream's command, whatever it looks like."""
    own, command = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    parser = argparse.ArgumentParser(prog="approvals-proxy", usage=_USAGE, description=__doc__)
    parser.add_argument("--name", required=True, help="the server's name at the approval service")
    parser.add_argument(
        "--http", metavar="HOST:PORT", type=_address, help="serve streamable HTTP at /mcp instead of stdio"
    )
    parser.add_argument("--recipe", help="whose previews it has (none: no previews); else as the upstream is known")
    parser.add_argument("url", nargs="?", metavar="UPSTREAM_URL", help="a server that is reached over streamable HTTP")
    parser.add_argument("--version", action="version", version=version("mcp-approvals"))
    asked = parser.parse_args(own)
    if bool(asked.url) == bool(command):
        parser.error("name one upstream: a command after --, or an http(s) address")
    if asked.url and httpx2.URL(asked.url).scheme not in {"http", "https"}:
        parser.error(f"{asked.url!r} is no http(s) address; a command stands after --")
    if asked.url and "APPROVALS_UPSTREAM_TOKEN" in os.environ and not _keeps_secrets(httpx2.URL(asked.url)):
        parser.error("APPROVALS_UPSTREAM_TOKEN would be sent without encryption: use https for another machine")
    asked.upstream = command or [asked.url]
    try:
        asked.rules = recipe(asked.recipe or name_for(asked.upstream))
    except Invalid as error:
        parser.error(f"{error.detail} {error.hint}")
    return asked


def _keeps_secrets(url: httpx2.URL) -> bool:
    return url.scheme == "https" or url.host in {"localhost", "127.0.0.1", "::1"}


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, like 127.0.0.1:8702")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    main()
