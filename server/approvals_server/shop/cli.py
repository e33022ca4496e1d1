"""`approvals-shop`: the shop over stdio, or over streamable HTTP at /mcp."""

import os

from approvals_server import serving
from approvals_server.shop.data import Shop
from approvals_server.shop.shop import create_shop


def main() -> None:
    """Serve until the client, or a signal, ends it."""
    parser = serving.arguments("approvals-shop", "A shop's MCP server whose writes wait.")
    parser.add_argument("--database-url", default=os.environ.get("SHOP_DATABASE_URL", "sqlite:///shop.db"))
    asked = parser.parse_args()
    serving.run(create_shop(Shop(asked.database_url)), asked)


if __name__ == "__main__":
    main()
