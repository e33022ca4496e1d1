"""`approvals slack`: what Slack has to be told, and whether all of it works."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from approvals.errors import Invalid, Unavailable
from approvals_web.cli.options import settings, text

if TYPE_CHECKING:
    from approvals.service.slack.workspace import Installed

app = typer.Typer()


@app.command()
def manifest(
    socket: Annotated[bool, typer.Option("--socket", help="For Socket Mode: no public address is needed.")] = False,
    by_email: Annotated[bool, typer.Option("--by-email", help="With the scope that linking by e-mail needs.")] = False,
    url: Annotated[str | None, typer.Option(parser=text, help="Instead of APPROVALS_PUBLIC_URL.")] = None,
) -> None:
    """Print an app manifest to paste at https://api.slack.com/apps (Create New App, From a manifest)."""
    from approvals.service.slack.manifest import manifest as made

    chosen = (url or settings(None).url()).rstrip("/")
    if not socket and not chosen.startswith("https://"):
        raise Invalid(
            f"Slack does not send to {chosen}.", hint="Give the public address: --url https://…, or use --socket."
        )
    print(json.dumps(made(chosen, socket=socket, by_email=by_email), indent=2))


@app.command()
def doctor() -> None:
    """Check the token, its scopes, direct messages, the channel and those of rules, the clock; say what to mend."""
    installed = settings(None).slack()
    if installed is None:
        raise Invalid("Slack is not set up.", hint="Set APPROVALS_SLACK_BOT_TOKEN; docs/slack-setup.md has all of it.")
    failed = asyncio.run(_examine(installed, _channels(settings(None).policy)))
    if failed:
        raise Unavailable(f"{failed} of these checks failed.")


def _channels(policy: str) -> list[str]:
    """The channels that the rules of a policy file name; none where it cannot be read, which `policy lint` tells."""
    from approvals.policy.loader import PolicyRefused, read

    try:
        rules = read(Path(policy).read_text(encoding="utf-8"), ()).rules if policy else ()
    except (OSError, UnicodeDecodeError, PolicyRefused):
        return []
    return list(dict.fromkeys(filter(None, (rule.terms.notify.slack for rule in rules))))


async def _examine(installed: "Installed", channels: list[str]) -> int:
    from approvals.service.slack.doctor import examine

    failed = 0
    async for finding in examine(installed, channels):
        print(finding.told)
        failed += not finding.ok
    return failed
