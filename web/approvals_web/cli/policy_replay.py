"""`approvals policy replay`: last week's calls under another policy."""

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from approvals.errors import Invalid
from approvals.instant import SECOND, to_datetime
from approvals.policy.loader import PolicyRefused, read
from approvals.policy.model import DefaultPolicy, Policy
from approvals.service.policies.file import PolicyFile
from approvals.service.text import visible
from approvals_web.cli.options import DatabaseUrl, record, settings, text
from approvals_web.settings import Settings

if TYPE_CHECKING:  # most commands about policies need no service
    from approvals.service.service import Service

_UNITS = {"m": 60, "h": 3600, "d": 86400}


def replay(
    since: Annotated[str, typer.Option(parser=text, help="How far back: 30m, 12h, 7d.")] = "7d",
    policy: Annotated[
        str | None, typer.Option(parser=text, help="The policy file. Instead of APPROVALS_POLICY.")
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Which of the calls filed of late would have been judged otherwise. Changes nothing."""
    from approvals.service.policies import replay as policy_replay

    chosen = settings(database_url, policy=policy)
    service = record(chosen)
    database, registry = service.database, service.registry
    rules = _policy(chosen, service)
    back = _seconds(since) * SECOND
    counted, not_judged = Counter[str](), Counter[str]()
    for again in policy_replay.replay(database.read_now, registry, rules, database.clock.now() - back):
        if again.would_be is None:
            not_judged[again.why_not] += 1
            continue
        counted["changed" if again.changed else "same"] += 1
        if again.changed:
            at = to_datetime(again.row.created_at).isoformat(sep=" ", timespec="seconds")
            print(f"{again.row.id}  {at}  {visible(again.row.summary)}")
            print(f"    was      {again.was}")
            print(f"    would be {again.would_be}")
    print(f"{counted.total()} calls of the last {since} judged again: {counted['changed']} otherwise.")
    for why, number in sorted(not_judged.items()):
        print(f"{number} could not be judged again: {why}.")


def _policy(settings: Settings, service: "Service") -> Policy:
    """The candidate. Without a file the built-in policy, as `serve` would have it."""
    if not settings.policy:
        return DefaultPolicy()
    file = PolicyFile(Path(settings.policy))
    content = file.look()
    if content.trouble:
        raise Invalid(f"The policy file {file.path} cannot be used: {content.trouble}.", hint="Name another one.")
    try:
        return read(content.text, service.read_now(service.registry.known_tools))
    except PolicyRefused as error:
        raise Invalid(f"The policy file {file.path} cannot be used:\n{error.report(file.path.name)}") from error


def _seconds(since: str) -> int:
    match = re.fullmatch(r"([0-9]{1,6})([mhd])", since)
    if match is None:
        raise Invalid(f"--since {since!r:.40} is no time.", hint="For example 7d, 12h or 30m.")
    return int(match[1]) * _UNITS[match[2]]
