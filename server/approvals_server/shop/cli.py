"""`approvals-shop`: the shop over stdio, or over streamable HTTP at /mcp."""

import argparse
import contextlib
import os
import socket
import threading
from importlib.metadata import version

import uvicorn

from approvals_server.shop.data import Shop
from approvals_server.shop.shop import create_shop


def main() -> None:
    """Serve until the client, or a signal, ends it."""
    asked = _arguments()
    mcp = create_shop(Shop(asked.database_url))
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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="approvals-shop", description="A shop's MCP server whose writes wait.")
    parser.add_argument(
        "--http", metavar="HOST:PORT", type=_address, help="serve streamable HTTP at /mcp instead of stdio"
    )
    parser.add_argument("--database-url", default=os.environ.get("SHOP_DATABASE_URL", "sqlite:///shop.db"))
    parser.add_argument("--with-parent", action="store_true", help="end when standard input closes")
    parser.add_argument("--listener", metavar="FD", type=int, help="accept on this socket, which the parent bound")
    parser.add_argument("--version", action="version", version=version("mcp-approvals"))
    return parser.parse_args()


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, like 127.0.0.1:8701")
    return host.strip("[]"), int(port)


def _end_with_parent() -> None:
    """Whoever started this holds the other end: when it dies, however it dies, the pipe closes."""
    while os.read(0, 4096):  # not sys.stdin: its lock would still be held when this process ends
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
