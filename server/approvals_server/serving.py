"""How every server here is started: over stdio, or over streamable HTTP at /mcp."""

import argparse
import contextlib
import os
import socket
import threading
from importlib.metadata import version

import uvicorn

from approvals import GatedServer

MOST_PORT = 65_535


def arguments(program: str, words: str) -> argparse.ArgumentParser:
    """A parser with what all servers take."""
    parser = argparse.ArgumentParser(prog=program, description=words)
    parser.add_argument(
        "--http", metavar="HOST:PORT", type=_address, help="serve streamable HTTP at /mcp instead of stdio"
    )
    parser.add_argument("--with-parent", action="store_true", help="end when standard input closes")
    parser.add_argument("--listener", metavar="FD", type=int, help="accept on this socket, which the parent bound")
    parser.add_argument("--version", action="version", version=version("mcp-approvals"))
    return parser


def run(mcp: GatedServer, asked: argparse.Namespace) -> None:
    """Serve until the client, or a signal, ends it."""
    if asked.http is None:
        mcp.run("stdio")
        return
    if asked.with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    host, port = asked.http
    app = mcp.streamable_http_app(host=host)
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=5)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(None if asked.listener is None else [socket.socket(fileno=asked.listener)])


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > MOST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, like 127.0.0.1:8701")
    return host.strip("[]"), int(port)


def _end_with_parent() -> None:
    """Whoever started this holds the other end: when it dies, however it dies, the pipe closes."""
    while os.read(0, 4096):  # not sys.stdin: its lock would still be held when this process ends
        pass
    os._exit(0)
