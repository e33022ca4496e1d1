"""`approvals freeze`, `unfreeze`, `rollout`, `server audience`: what the owner on call moves."""

import json
from dataclasses import asdict, replace
from typing import Annotated

import typer

from approvals_web.cli import options
from approvals_web.cli.options import text
from approvals_web.operator.messages import controls as asks
from approvals_web.operator.target import Reach

rollout = typer.Typer(no_args_is_help=True, help="How far a gate is rolled out: off, observe, enforce.")

Server = Annotated[str | None, typer.Option(parser=text, help="Only the writes to this server.")]
Agent = Annotated[str | None, typer.Option(parser=text, help="Only this agent's writes.")]
Tool = Annotated[str | None, typer.Option(parser=text, help="Only this tool; else all of the server's.")]
Someone = Annotated[str | None, typer.Option(parser=text, help="Only this agent's calls.")]
Group = Annotated[str | None, typer.Option(parser=text, help="Only the calls of agents in this group.")]


_NEW_WRITES = {
    "hold": "New writes are filed and wait for the end of the freeze.",
    "refuse": "New writes are refused, and their agents told why.",
}


def freeze(
    server: Server = None,
    agent: Agent = None,
    hold: Annotated[
        bool, typer.Option("--hold", help="File new writes, and let them wait for the end, instead of refusing them.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Told to agents and shown on every page.")] = "",
    listing: Annotated[bool, typer.Option("--list", help="Only say what is frozen.")] = False,
    as_json: options.AsJson = False,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Stop all writes at once, or one server's, or one agent's. Approvals that nobody has used are taken back."""
    here = options.here(database_url)
    if listing:
        options.show(here.ask(asks.ListFreezes()), as_json=as_json)
        return
    mode = "hold" if hold else "refuse"
    made = here.ask(asks.MakeFreeze(server, agent, mode, reason))
    made = replace(made, revoked=made.revoked + _sweep(here).revoked)
    if as_json:
        print(json.dumps(asdict(made), indent=2))
        return
    print(f"{made.words}.{'' if made.new else ' It stood already.'} Approvals taken back: {made.revoked}.")
    print(_NEW_WRITES[made.mode])
    print(
        "See which gates have confirmed: approvals freeze --list. Lift it: approvals unfreeze, with the same options."
    )


def unfreeze(
    server: Server = None,
    agent: Agent = None,
    everything: Annotated[bool, typer.Option("--all", help="Lift every freeze that stands.")] = False,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Lift one freeze: without options that of all writes. Others stay."""
    here = options.here(database_url)
    lifted = here.ask(asks.LiftFreeze(server, agent, everything))
    released = _sweep(here).released
    for words in lifted or ["No writes were"]:
        print(f"{words} no longer frozen." if lifted else f"{words} frozen.")
    if released:
        print(f"Calls that it held, and that go on: {released}.")


_NOW = {
    "off": "Nobody is asked any more: these calls run at once.",
    "observe": "Nobody is asked any more: these calls run at once, and the page Rollout counts what would have waited.",
    "enforce": "These calls wait for a person again, unless the policy lets them run.",
}


@rollout.command("set")
def rollout_set(
    server: str,
    mode: Annotated[str, typer.Argument(help="off, observe or enforce.")],
    tool: Tool = None,
    agent: Someone = None,
    group: Group = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Let calls run without asking (off), run and count what would have been asked (observe), or ask (enforce)."""
    whom = _whom(agent, group)
    options.ask(database_url, asks.SetRollout(server, tool or "", whom, mode))
    print(f"{server}{'.' + tool if tool else ''}: {mode} for {whom or 'everybody'}. {_NOW[mode]}")


@rollout.command("clear")
def rollout_clear(
    server: str, tool: Tool = None, agent: Someone = None, group: Group = None, database_url: options.DatabaseUrl = None
) -> None:
    """Forget what was set for exactly this: what is less specific counts again, and else enforce."""
    whom = _whom(agent, group)
    options.ask(database_url, asks.ClearRollout(server, tool or "", whom))
    print("Forgotten.")


@rollout.command("list")
def rollout_list(as_json: options.AsJson = False, database_url: options.DatabaseUrl = None) -> None:
    """Everything that is set. What is not listed is enforced."""
    options.show(options.ask(database_url, asks.ListRollouts()), as_json=as_json)


def audience(
    name: str,
    agent: Annotated[
        list[str] | None, typer.Option(parser=text, help="An agent that may use it; more than once for more.")
    ] = None,
    group: Annotated[list[str] | None, typer.Option(parser=text, help="A group of agents that may.")] = None,
    everyone: Annotated[bool, typer.Option("--everyone", help="Let every agent use it.")] = False,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Say which agents may use a server at all, reads included; without options, who may now."""
    entries = [*(f"agent:{one}" for one in agent or ()), *(f"group:{one}" for one in group or ())]
    if everyone and entries:
        raise typer.BadParameter("--everyone leaves nobody to name")
    given = tuple(entries) if entries or everyone else None
    said = options.ask(database_url, asks.Audience(name, given))
    print(f"{name} may be used by: {said or 'every agent'}")


def _whom(agent: str | None, group: str | None) -> str:
    if agent is not None and group is not None:
        raise typer.BadParameter("give --agent or --group")
    if agent is not None:
        return f"agent:{agent}"
    return "" if group is None else f"group:{group}"


def _sweep(here: Reach) -> asks.Swept:
    """The rest, batch by batch."""
    revoked = released = 0
    while (batch := here.ask(asks.Sweep())) != asks.Swept(0, 0):
        revoked, released = revoked + batch.revoked, released + batch.released
    return asks.Swept(revoked, released)
