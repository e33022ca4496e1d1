"""`approvals user roles | groups | enable | sign-out`: what people may do, and whether they may come in."""

from typing import Annotated

import typer

from approvals_web.cli.asking import AsJson, DatabaseUrl, ask, show


def mount(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command("roles")
    def roles(name: str, roles: str, database_url: DatabaseUrl = None) -> None:
        """Set what somebody may do, all roles in one word: "admin reviewer"."""
        print(f"{ask(database_url, 'user roles', name=name, roles=roles)}: {roles}")

    @app.command("groups")
    def groups(
        name: str, groups: Annotated[list[str] | None, typer.Argument()] = None, database_url: DatabaseUrl = None
    ) -> None:
        """Set the groups that somebody is in; none to take them out of all."""
        print(f"{ask(database_url, 'user groups', name=name, groups=groups or [])}: {' '.join(groups or []) or 'none'}")

    @app.command("enable")
    def enable(name: str, database_url: DatabaseUrl = None) -> None:
        """Let a disabled account in again."""
        print(f"{ask(database_url, 'user enable', name=name)} is live.")

    @app.command("sign-out")
    def sign_out(name: str, database_url: DatabaseUrl = None) -> None:
        """End all of somebody's sessions and personal tokens."""
        print(f"{ask(database_url, 'user sign-out', name=name)} is signed out everywhere.")

    @app.command("invitations")
    def invitations(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
        """Invitations that nobody has used yet, and who made them."""
        show(ask(database_url, "user invitations"), as_json=as_json)

    @app.command("uninvite")
    def uninvite(name: str, database_url: DatabaseUrl = None) -> None:
        """Take back every open invitation for a name."""
        print(f"The invitation for {ask(database_url, 'user uninvite', name=name)} is taken back.")
