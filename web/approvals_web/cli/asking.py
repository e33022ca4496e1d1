"""What commands share: the settings, the service's parts, asking them, and showing what they say."""

import json
from typing import Annotated, Any

import typer

from approvals.service.service import Service
from approvals.service.storage import migrate as schema
from approvals_web.operator import socket as control
from approvals_web.settings import Settings

DatabaseUrl = Annotated[str | None, typer.Option(help="Instead of APPROVALS_DATABASE_URL.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def settings(database_url: str | None, **more: Any) -> Settings:
    given = {"database_url": database_url} | more
    return Settings(**{name: value for name, value in given.items() if value is not None})


def service(database_url: str | None) -> Service:
    """The service's parts over a migrated database, without serving."""
    chosen = settings(database_url)
    schema.upgrade(chosen.migration_url)
    return Service(chosen.database(), chosen.keyring(), chosen.url())


def ask(database_url: str | None, command: str, **given: Any) -> Any:
    """The answer to a command (`approvals_web.operator.socket`)."""
    return control.ask(service(database_url), command, **given)


def show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """An aligned table, or JSON."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        print("None yet.")
        return
    table = [list(rows[0]), *[[str(value) for value in row.values()] for row in rows]]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
