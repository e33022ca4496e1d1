"""`approvals agent`: agents, their keys, owners, groups and limits."""

import sys
from typing import Annotated

import typer

from approvals.service.identity import key_lifetimes
from approvals_web.cli.options import BOTH_WORK, AsJson, DatabaseUrl, ask, counted, show, text
from approvals_web.operator.messages import agents as asks

app = typer.Typer(no_args_is_help=True, help="Agents, and their keys.")

Owners = Annotated[
    list[str] | None, typer.Option("--owner", parser=text, help="Who answers for it: an account. Repeatable.")
]
Groups = Annotated[list[str] | None, typer.Option("--group", parser=text, help="Repeatable.")]
Scopes = Annotated[
    str | None, typer.Option(parser=text, help="What the key covers, as SERVER/TOOL: 'shop/refund_* pg/*'.")
]
Expires = Annotated[str | None, typer.Option(parser=text, help="30d, 12h, 15m, or never.")]
Limit = Annotated[int | None, typer.Option(min=0, help="Without it: the service's own.")]


@app.command()
def add(
    name: str,
    owner: Owners = None,
    group: Groups = None,
    scopes: Scopes = None,
    expires: Expires = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a key for an agent. It is shown once."""
    lives = expires or key_lifetimes.NEVER
    key = ask(
        database_url, asks.AddAgent(name, tuple(owner or ()), tuple(group or ()), covers=scopes or "", expires=lives)
    )
    print(f"APPROVALS_AGENT_KEY={key}")


@app.command("list")
def listed(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Agents, their owners, groups, keys and limits."""
    show(ask(database_url, asks.ListAgents()), as_json=as_json)


@app.command()
def keys(name: str, as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """An agent's keys, and what each covers."""
    show(ask(database_url, asks.ListKeys(name)), as_json=as_json)


@app.command()
def rotate(name: str, scopes: Scopes = None, expires: Expires = None, database_url: DatabaseUrl = None) -> None:
    """A second key, which covers and lives as the last one did; both work until you rotate again, or revoke."""
    key = ask(database_url, asks.RotateAgent(name, covers=scopes, expires=expires))
    print(f"APPROVALS_AGENT_KEY={key}")
    print(BOTH_WORK.format(command=f"approvals agent revoke {name} --key KEY"), file=sys.stderr)


@app.command()
def revoke(
    name: str,
    key: Annotated[str | None, typer.Option(parser=text, help="Only this key (`approvals agent keys NAME`).")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """End an agent, or one key: it stops working at once, its waiting calls end, approvals of its calls too."""
    print(f"{counted(ask(database_url, asks.RevokeAgent(name, key)), 'key')} revoked.")


@app.command()
def owner(
    name: str,
    add: Annotated[list[str] | None, typer.Option("--add", parser=text, help="An account. Repeatable.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", parser=text, help="An account. Repeatable.")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Who answers for an agent."""
    owners = ask(database_url, asks.ChangeOwners(name, tuple(add or ()), tuple(remove or ())))
    print(f"{name} is owned by: {' '.join(owners) or 'nobody'}")


@app.command()
def groups(
    name: str, groups: Annotated[list[str] | None, typer.Argument()] = None, database_url: DatabaseUrl = None
) -> None:
    """Put an agent into these groups, and no others."""
    kept = ask(database_url, asks.SetAgentGroups(name, tuple(groups or ())))
    print(f"{name} is in: {' '.join(kept) or 'no group'}")


@app.command()
def limits(name: str, pending: Limit = None, minute: Limit = None, database_url: DatabaseUrl = None) -> None:
    """How many of its requests may wait at once, and how many it may file a minute."""
    ask(database_url, asks.SetLimits(name, pending, minute))
    print(f"The limits of {name} are set.")


@app.command()
def scopes(name: str, key: str, scopes: str, database_url: DatabaseUrl = None) -> None:
    """What one key covers from now on; '' for everything."""
    kept = ask(database_url, asks.SetScopes(name, key, scopes))
    print(f"The key {key} covers: {kept or 'everything'}")
