"""`approvals user roles | groups | enable | sign-out`: what people may do, and whether they may come in."""

from typing import Annotated

import typer

from approvals_web.cli.options import AsJson, DatabaseUrl, ask, show
from approvals_web.operator.messages import users as asks


def mount(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command("roles")
    def roles(name: str, roles: str, database_url: DatabaseUrl = None) -> None:
        """Set what somebody may do, all roles in one word: "admin reviewer"."""
        ask(database_url, asks.SetRoles(name, roles))
        print(f"{name}: {roles}")

    @app.command("groups")
    def groups(
        name: str, groups: Annotated[list[str] | None, typer.Argument()] = None, database_url: DatabaseUrl = None
    ) -> None:
        """Set the groups that somebody is in; none to take them out of all."""
        ask(database_url, asks.SetUserGroups(name, tuple(groups or ())))
        print(f"{name}: {' '.join(groups or []) or 'none'}")

    @app.command("enable")
    def enable(name: str, database_url: DatabaseUrl = None) -> None:
        """Let a disabled account in again."""
        ask(database_url, asks.EnableUser(name))
        print(f"{name} is live.")

    @app.command("sign-out")
    def sign_out(name: str, database_url: DatabaseUrl = None) -> None:
        """End all of somebody's sessions and personal tokens."""
        ask(database_url, asks.SignOut(name))
        print(f"{name} is signed out everywhere.")

    @app.command("invitations")
    def invitations(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
        """Invitations that nobody has used yet, and who made them."""
        show(ask(database_url, asks.ListInvitations()), as_json=as_json)

    @app.command("uninvite")
    def uninvite(name: str, database_url: DatabaseUrl = None) -> None:
        """Take back every open invitation for a name."""
        ask(database_url, asks.Uninvite(name))
        print(f"The invitation for {name} is taken back.")
