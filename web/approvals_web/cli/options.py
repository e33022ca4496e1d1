"""What commands share: the settings, whom they speak to, and showing what is said."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from approvals_web.operator.messages.ask import Ask
from approvals_web.operator.target import Reach, opened, reach
from approvals_web.settings import Settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from approvals.service.service import Service

R = TypeVar("R")


BOTH_WORK = "The key before it works until the next rotation, until its own end, or until you revoke it: {command}"


def text(value: str) -> str:
    """An option's value, which is not empty: of a shell's variable that is not set, say. Where the option was to name
    one server, the command would mean all of them."""
    if not value.strip():
        raise typer.BadParameter("it is empty. Give a value, or leave the option out.")
    return value


DatabaseUrl = Annotated[str | None, typer.Option(parser=text, help="Instead of APPROVALS_DATABASE_URL.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def settings(database_url: str | None, **more: str | int | None) -> Settings:
    given: dict[str, Any] = {"database_url": database_url} | more
    return Settings(**{name: value for name, value in given.items() if value is not None})


def here(database_url: str | None) -> Reach:
    """What the command speaks to. It says so first, beside the answer: the folder may be another than one thought."""
    found = reach(settings(database_url))
    print(found.words, file=sys.stderr)
    return found


def record(chosen: Settings) -> "Service":
    """The service's parts over the database itself, to read what is kept there; says which."""
    service = opened(chosen)
    print(f"Database: {service.database.name}", file=sys.stderr)
    return service


def ask(database_url: str | None, asked: Ask[R]) -> R:
    """What comes of a command."""
    return here(database_url).ask(asked)


def counted(number: int, thing: str) -> str:
    """ "1 key", "2 keys"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def show(rows: Sequence["DataclassInstance"], *, as_json: bool) -> None:
    """An aligned table, or JSON."""
    told: list[dict[str, object]] = [asdict(row) for row in rows]
    if as_json:
        print(json.dumps(told, indent=2))
        return
    if not told:
        print("None yet.")
        return
    heads = [name.replace("_", " ") for name in told[0]]
    table = [heads, *[[str(value) for value in row.values()] for row in told]]
    widths = [max(len(line[i]) for line in table) for i in range(len(heads))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
