"""`approvals-proxy`: stands before any MCP server, and its writes wait for a person."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import uvicorn

from approvals.client_configs import CLIENTS
from approvals.errors import ApprovalsError, Invalid, NotConfigured
from approvals.gate.auth import ServiceAway
from approvals.gate.settings import GateSettings
from approvals_server.proxy import client_setup, stdio, wrap_command
from approvals_server.proxy.configuration.document import json_schema, keeps_secrets
from approvals_server.proxy.configuration.opening import gate_of, over_http
from approvals_server.proxy.http_clients import Front
from approvals_server.proxy.inspection import inspect, table
from approvals_server.proxy.process import UpstreamProcess
from approvals_server.proxy.remote import TIMEOUT, credentials
from approvals_server.proxy.rules.recipes import name_for, recipe
from approvals_server.proxy.shared_state import Desk
from approvals_server.proxy.upstream import UpstreamLost
from approvals_server.proxy.upstream_session import Connect
from approvals_server.proxy.upstreams import Before, Behind, One

if TYPE_CHECKING:
    from approvals_server.proxy.configuration.configured import Configured

_USAGE = """approvals-proxy [inspect] --name NAME [--http HOST:PORT] [--recipe NAME] (-- COMMAND ARG... | UPSTREAM_URL)
       approvals-proxy [inspect] --config FILE [--http HOST:PORT]
       approvals-proxy config --client NAME (as above)
       approvals-proxy (wrap | unwrap) FILE [--yes]
       approvals-proxy schema"""


def main() -> None:
    """Serve until the client, or a signal, ends it."""
    words = sys.argv[1:]
    if words[:1] in (["wrap"], ["unwrap"]):
        sys.exit(wrap_command.main(words[0], words[1:]))
    if words == ["schema"]:
        sys.stdout.write(f"{json.dumps(json_schema(), indent=2)}\n")
        return
    if words[:1] == ["config"]:
        sys.exit(_tell(words[1:]))
    looks = words[:1] == ["inspect"]
    asked = _arguments(words[1:] if looks else words)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="approvals-proxy: %(message)s")
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop()) as runner:
        sys.exit(runner.run(_run(asked, looks)))


def _tell(words: list[str]) -> str | None:
    """How a client is told of the proxy that these words start."""
    given, client = client_setup.words_without(words, "--client")
    if client not in CLIENTS:
        return f"approvals-proxy: say --client, one of {', '.join(CLIENTS)}"
    asked = _arguments(given)
    sys.stdout.write(
        client_setup.told(client, client_setup.target_of(asked, client_setup.absolute(given, asked.config)))
    )
    return None


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The fastest that is installed."""
    return uvicorn.Config(Front).get_loop_factory()


async def _run(asked: argparse.Namespace, looks: bool) -> str | None:
    """None, or what went wrong."""
    try:
        async with _before(asked, looks) as (before, behind):
            if looks:
                await _inspect(before, behind)
            else:
                await _serve(before, asked.http)
    except (UpstreamLost, ApprovalsError) as error:
        return f"approvals-proxy: {error}"
    return None


async def _inspect(before: Before, behind: tuple[Behind, ...]) -> None:
    async with before.running():
        for one in behind:
            heading = [f"{one.name}:\n"] if len(behind) > 1 else []
            sys.stdout.writelines([*heading, *(f"{line}\n" for line in table(await inspect(one.desk, one.connect)))])


@contextlib.asynccontextmanager
async def _before(asked: argparse.Namespace, looks: bool) -> AsyncIterator[tuple[Before, tuple[Behind, ...]]]:
    """What is served. Raises ApprovalsError for a configuration that is none."""
    if asked.config is not None:
        configured = _configured(asked.config)
        asked.http = asked.http or _address_of(configured.document.http)
        yield configured, configured.behind
        return
    desk = Desk(gate_of(asked.name, _settings(looks)), asked.upstream, asked.rules)
    async with _upstream(asked) as connect:
        behind = Behind(desk, connect)
        yield One(behind), (behind,)


def _configured(path: Path) -> "Configured":
    try:
        from approvals_server.proxy.configuration.configured import Configured  # YAML is no part of a light install
    except ImportError as error:
        raise NotConfigured(
            "A configuration file needs PyYAML.", hint="Install it with: pip install 'mcp-approvals[proxy]'"
        ) from error
    return Configured(path)


def _settings(looks: bool) -> GateSettings | None:
    try:
        return GateSettings.from_environment()
    except NotConfigured as error:
        logging.warning("%s %s", error.detail, error.hint)
        if not looks:
            logging.warning("Until then every call of a tool is refused.")
        return None


@contextlib.asynccontextmanager
async def _upstream(asked: argparse.Namespace) -> AsyncIterator[Connect]:
    async with httpx2.AsyncClient(timeout=TIMEOUT, headers=credentials()) as http:
        yield over_http(http, asked.url) if asked.url else partial(UpstreamProcess.start, asked.upstream)


async def _serve(before: Before, address: tuple[str, int] | None) -> None:
    if address is None:
        await stdio.serve(before)
        return
    host, port = address
    front = Front(before, host)
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


def _arguments(words: list[str]) -> argparse.Namespace:
    """What stands after `--` is the upstream's command, whatever it looks like."""
    own, command = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    parser = argparse.ArgumentParser(prog="approvals-proxy", usage=_USAGE, description=__doc__)
    parser.add_argument("--name", help="the server's name at the approval service")
    parser.add_argument("--config", metavar="FILE", type=Path, help="a YAML file that names upstreams")
    parser.add_argument(
        "--http", metavar="HOST:PORT", type=_address, help="serve streamable HTTP at /mcp instead of stdio"
    )
    parser.add_argument("--recipe", help="whose previews it has (none: no previews); else as the upstream is known")
    parser.add_argument("url", nargs="?", metavar="UPSTREAM_URL", help="a server that is reached over streamable HTTP")
    parser.add_argument("--version", action="version", version=version("mcp-approvals"))
    asked = parser.parse_args(own)
    if asked.config is not None:
        if asked.name or asked.recipe or asked.url or command:
            parser.error("--config names the upstreams: say nothing else of them")
        return asked
    if not asked.name:
        parser.error("--name says as what the approval service knows the upstream; or name a file with --config")
    if bool(asked.url) == bool(command):
        parser.error("name one upstream: a command after --, or an http(s) address")
    if asked.url and httpx2.URL(asked.url).scheme not in {"http", "https"}:
        parser.error(f"{asked.url!r} is no http(s) address; a command stands after --")
    if asked.url and "APPROVALS_UPSTREAM_TOKEN" in os.environ and not keeps_secrets(asked.url):
        parser.error("APPROVALS_UPSTREAM_TOKEN would be sent without encryption: use https for another machine")
    asked.upstream = command or [asked.url]
    try:
        asked.rules = recipe(asked.recipe or name_for(asked.upstream))
    except Invalid as error:
        parser.error(f"{error.detail} {error.hint}")
    return asked


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, like 127.0.0.1:8702")
    return host.strip("[]"), int(port)


def _address_of(text: str | None) -> tuple[str, int] | None:
    return None if text is None else _address(text)


if __name__ == "__main__":
    main()
