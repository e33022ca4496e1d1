"""`approvals grant`: what runs without asking, and taking it back; and whose calls may be granted at all."""

from typing import Annotated

import typer

from approvals_web.cli.options import AsJson, DatabaseUrl, ask, show, text
from approvals_web.operator.messages import grants as asks

app = typer.Typer(no_args_is_help=True, help="Standing grants: calls that run without asking.")


@app.command("list")
def grant_list(
    every: Annotated[bool, typer.Option("--all", help="The last 200, those that ended too.")] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Grants that can be used now, the one that ends first first."""
    show(ask(database_url, asks.ListGrants(every)), as_json=as_json)


@app.command("revoke")
def grant_revoke(grant_id: str, database_url: DatabaseUrl = None) -> None:
    """Take a grant back, with the approvals by it that nobody has claimed."""
    ask(database_url, asks.RevokeGrant(grant_id))
    print(f"{grant_id} is revoked.")


def server_grants(
    name: str,
    allowed: Annotated[bool, typer.Option("--allow/--forbid", help="From now on, at each use.")],
    label: Annotated[str, typer.Option(parser=text, help="Tells installations of one server apart.")] = "main",
    database_url: DatabaseUrl = None,
) -> None:
    """Whether standing grants may be made and used for an installation's calls: forbidden for cooperative ones."""
    ask(database_url, asks.AllowGrants(name, label, allowed))
    print(f"Standing grants are {'allowed' if allowed else 'forbidden'} for {name} ({label}).")
