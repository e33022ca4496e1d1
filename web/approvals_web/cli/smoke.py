"""`approvals smoke`: what a server must pass before it may take a write."""

import json
import os
import re
import signal
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from approvals.errors import Invalid
from approvals.protocol.canonical import JsonObject
from approvals_web.cli.options import AsJson, text

if TYPE_CHECKING:
    from approvals_web.smoke.room import Room

UNNAMED = "smoke"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def smoke(
    target: Annotated[
        list[str], typer.Argument(help="COMMAND… that starts the server, or its URL.", show_default=False)
    ],
    call: Annotated[
        list[str] | None,
        typer.Option(parser=text, help="Arguments for one tool: get_order='{\"order_id\": 1042}'. May be repeated."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(parser=text, help="Its name at its gate. Else COMMAND's --name, or what it calls itself."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Test an MCP server before it may take a write. Its reads are called; each write is tried where all are denied,
    and is not called at all where no gate stands before it. Exit code 1 when something has to be mended."""
    from approvals_web.smoke.report import Report, Result
    from approvals_web.smoke.room import opened
    from approvals_web.smoke.trial import tried

    signal.signal(signal.SIGTERM, _leave)
    given = dict(_given(one) for one in call or [])
    url = target[0] if len(target) == 1 and target[0].startswith(("http://", "https://")) else ""
    if url:
        report: Report = anyio.run(tried, url, {}, given, dict)
    else:
        with opened() as room:
            called, settings = _as_called(room, target, name or _named(target))
            report = anyio.run(tried, target, settings, given, lambda: room.tested(called))
    if as_json:
        print(json.dumps(report.dump(), indent=2))
    else:
        for finding in sorted(report.findings, key=lambda one: list(Result).index(one.result)):
            print(finding.line)
        print(f"\nPassed: {len(report.findings)} checks." if report.passed else f"\nTo mend: {len(report.faults)}.")
    raise typer.Exit(0 if report.passed else 1)


def _leave(number: int, frame: object) -> None:
    """Stop as on ctrl-C: the room, and what runs in it, go too."""
    signal.raise_signal(signal.SIGINT)


def _as_called(room: "Room", target: list[str], name: str) -> tuple[str, dict[str, str]]:
    """The server's name, and its environment: what it has here, with the room for its service."""
    from approvals_web.smoke.trial import name_of

    outer = dict(os.environ)
    if name:
        return name, outer | room.settings(name)
    near = outer | room.settings(UNNAMED)
    called = anyio.run(name_of, target, near)
    if called == UNNAMED or not NAME.fullmatch(called):  # as nothing behind a gate is called
        return UNNAMED, near
    return called, outer | room.settings(called)


def _named(target: list[str]) -> str:
    """Find the name that a command of ours gives its server, before the command that a proxy starts."""
    ours = target[: target.index("--")] if "--" in target else target
    following = dict(pairwise(ours))
    return following.get("--name", "") if any("approvals" in word for word in ours) else ""


def _given(said: str) -> tuple[str, JsonObject]:
    """TOOL=JSON. Raises Invalid."""
    name, sign, written = said.partition("=")
    try:
        arguments = json.loads(written)
    except ValueError:
        arguments = None
    if not sign or not name or not isinstance(arguments, dict):
        raise Invalid(f"--call {said!r:.100} is no TOOL=JSON.", hint="For example get_order='{\"order_id\": 1042}'.")
    return name, arguments
