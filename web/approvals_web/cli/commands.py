"""The subcommands: each parses, asks, prints."""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from approvals import setting_names
from approvals.errors import ApprovalsError
from approvals_web.cli import agents, controls, grants, offers, smoke, users
from approvals_web.cli.groups import loaded_on_use
from approvals_web.cli.options import AsJson, DatabaseUrl, ask, counted, here, settings, show, text
from approvals_web.operator.messages import requests, servers
from approvals_web.operator.messages import users as people
from approvals_web.operator.target import opened
from approvals_web.setting_values import LAST_PORT

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="""Human approval for AI agents: a tool that writes waits until a person lets it.

    See it work: approvals serve --demo""",
)
server = typer.Typer(no_args_is_help=True, help="MCP servers behind a gate, and their keys.")
user = typer.Typer(no_args_is_help=True, help="People who sign in.")
app.add_typer(server, name="server")
app.add_typer(agents.app, name="agent")
app.add_typer(user, name="user")
app.add_typer(grants.app, name="grant")
server.command("grants")(grants.server_grants)
app.add_typer(controls.rollout, name="rollout")
app.command("freeze")(controls.freeze)
app.command("unfreeze")(controls.unfreeze)
server.command("audience")(controls.audience)
server.command("offers")(offers.server_offers)
server.command("reject")(offers.server_reject)
app.command("smoke")(smoke.smoke)
for name, words in (
    ("audit", "The record of everything."),
    ("policy", "The rules that say which calls wait, for whom."),
    ("slack", "Approve in Slack."),
):
    group = typer.Typer(no_args_is_help=True, help=words, cls=loaded_on_use(f"approvals_web.cli.{name}"))
    app.add_typer(group, name=name)

Label = Annotated[str, typer.Option(parser=text, help="Tells installations of one server apart.")]


def run() -> None:
    """Errors are one line and a hint on standard error, never a traceback."""
    try:
        app(prog_name="approvals")
    except ApprovalsError as error:
        print(f"approvals: {error.detail} {error.hint}".rstrip(), file=sys.stderr)
        sys.exit(1)


@app.callback(invoke_without_command=True)
def root(context: typer.Context, show_version: Annotated[bool, typer.Option("--version")] = False) -> None:
    """A human approval gate for AI agents."""
    for words in setting_names.misspelt(os.environ):
        print(f"approvals: {words}", file=sys.stderr)
    if show_version:
        print(version("mcp-approvals"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def serve(
    demo: Annotated[bool, typer.Option("--demo", help="With a shop MCP server and one waiting call.")] = False,
    host: Annotated[str | None, typer.Option(parser=text, help="Instead of APPROVALS_HOST (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=LAST_PORT, help="Instead of APPROVALS_PORT (8700).")] = None,
    policy: Annotated[
        str | None, typer.Option(parser=text, help="The policy file. Instead of APPROVALS_POLICY.")
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Migrate the database and serve the queue and the API."""
    from approvals_web.serve import serve as serve_forever

    serve_forever(settings(database_url, host=host, port=port, policy=policy), demo=demo)


@app.command()
def migrate(
    restored: Annotated[
        bool,
        typer.Option("--restored", help="It was restored from a back-up: let nothing run that may have run since."),
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Bring the database to the newest schema."""
    from approvals_web.operator.restore import close_restored

    chosen = settings(database_url)
    if restored:
        chosen.database().schema()  # what is not there was not restored: no new one is made in its place
    chosen.prepare()
    print(f"{chosen.database().name} is at the newest schema.")
    if restored:
        became = close_restored(opened(chosen))
        counted = ", ".join(f"{number} {state}" for state, number in sorted(became.items()))
        print(f"It was restored from a back-up: that is on record. Requests that were open: {counted or 'none'}.")
        print("Everybody is signed out, and standing grants are revoked.")
        print("Revoke again whatever else was revoked since the back-up.")


@app.command()
def erase(request_id: str, database_url: DatabaseUrl = None) -> None:
    """Erase one ended request's contents now: arguments, words and results. The facts and the audit chain stay."""
    ask(database_url, requests.Erase(request_id))
    print(f"The contents of {request_id} are erased.")


@app.command()
def withdraw(
    request_id: str,
    reason: Annotated[str, typer.Option(help="Told to the agent.")] = "",
    database_url: DatabaseUrl = None,
) -> None:
    """Take a request back that waits for people, or an approval that has not started. The agent may ask again."""
    ask(database_url, requests.Withdraw(request_id, reason))
    print(f"{request_id} is withdrawn.")


@app.command()
def doctor(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Check all that the service needs where it runs, and say what to do. Exit status 1 when a check fails."""
    from approvals_web.operator.doctor import examine

    findings = []
    for finding in examine(settings(database_url)):
        findings.append(finding)
        if not as_json:
            print(finding.told, flush=True)
    if as_json:
        show(findings, as_json=True)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


_MEANS = {
    "enforced": "Enforced: you say that no agent can reach this gate, its key and its write credential.",
    "cooperative": "Cooperative: its agent can reach this gate and its key, so it holds against mistakes, not against a"
    " hostile agent.\nWhat it registers concerns its own calls only, and its summaries stand on cards once an admin has"
    " accepted them.",
}
_BELIEVED = "Its annotations are trusted: a tool that says it only reads runs without asking."
_NOT_BELIEVED = (
    "Its annotations are not trusted: each call waits for a person, reads too, unless your policy allows it."
)


@server.command("add")
def server_add(
    name: str,
    label: Label = "main",
    assurance: Annotated[
        str, typer.Option(parser=text, help="enforced: the agent cannot reach it. cooperative: it can.")
    ] = "cooperative",
    trusted: Annotated[
        bool | None,
        typer.Option(
            "--trusted/--untrusted",
            help="Believe its tools' annotations. The default with enforced only.",
            show_default=False,
        ),
    ] = None,
    expires: Annotated[str, typer.Option(parser=text, help="30d, 12h, 15m, or never.")] = "never",
    database_url: DatabaseUrl = None,
) -> None:
    """Make a key for an MCP server's gate. It is shown once."""
    reached = here(database_url)
    believed = assurance == "enforced" if trusted is None else trusted
    url = reached.public_url
    key = reached.ask(servers.AddServer(name, label, assurance, believed, expires))
    print(f"APPROVALS_URL={url}")
    print(f"APPROVALS_SERVER_KEY={key}")
    print(_MEANS[assurance], _BELIEVED if believed else _NOT_BELIEVED, sep="\n", file=sys.stderr)


@server.command("list")
def server_list(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Installations and their keys."""
    show(ask(database_url, servers.ListServers()), as_json=as_json)


@server.command("rotate")
def server_rotate(name: str, label: Label = "main", database_url: DatabaseUrl = None) -> None:
    """A second key; both work until you rotate again, or revoke."""
    print(f"APPROVALS_SERVER_KEY={ask(database_url, servers.RotateServer(name, label))}")
    print("The key before it works until the next rotation: rotate once more to end it.", file=sys.stderr)


@server.command("revoke")
def server_revoke(name: str, label: Label = "main", database_url: DatabaseUrl = None) -> None:
    """End an installation: its keys stop working at once."""
    print(f"{counted(ask(database_url, servers.RevokeServer(name, label)), 'key')} revoked.")


@user.command("add")
@user.command("invite")
def user_invite(
    name: str,
    roles: Annotated[str, typer.Option(parser=text, help="Of a new account.")] = "reviewer",
    database_url: DatabaseUrl = None,
) -> None:
    """A one-time link: to make the account, or to sign in to it."""
    print(ask(database_url, people.Invite(name, roles)))


@user.command("list")
def user_list(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Accounts and roles."""
    show(ask(database_url, people.ListUsers()), as_json=as_json)


@user.command("disable")
def user_disable(name: str, database_url: DatabaseUrl = None) -> None:
    """Sign an account out and keep it out; its votes no longer count."""
    ask(database_url, people.DisableUser(name))
    print(f"{name} is disabled.")


users.mount(user)
