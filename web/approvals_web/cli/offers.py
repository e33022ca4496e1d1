"""`approvals server offers` and `server reject`: definitions that wait for a person."""

from typing import Annotated

import typer

from approvals_web.cli import options
from approvals_web.cli.options import text
from approvals_web.operator.messages import servers as asks


def server_offers(as_json: options.AsJson = False, database_url: options.DatabaseUrl = None) -> None:
    """Changed tool definitions that wait for an admin. Accept them on the page of servers, which shows what differs."""
    options.show(options.ask(database_url, asks.ListOffers()), as_json=as_json)


def server_reject(
    name: str,
    tool: str,
    tool_hash: Annotated[str, typer.Argument(help="Of the definition, as server offers lists it.")],
    label: Annotated[
        str | None, typer.Option(parser=text, help="Of a cooperative installation; else what enforced ones offer.")
    ] = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Let a changed definition not stand: the stricter reading goes on, and it is not offered there again."""
    options.ask(database_url, asks.RejectOffer(name, tool, tool_hash, label))
    print(f"{name}.{tool}: that definition is rejected. It is offered again only if it is changed.")
