"""`approvals audit`: verify the chain, export the record."""

import json
from functools import partial
from typing import Annotated, Any

import typer
from sqlalchemy import bindparam, select

from approvals.instant import to_datetime
from approvals.service.audit import chain
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import AuditEvent, AuditLink, AuditPayload, table_of
from approvals.service.verification import verify as verification
from approvals_web.cli.options import DatabaseUrl, counted, record, settings, text

app = typer.Typer()

_events = table_of(AuditEvent)
_payloads = table_of(AuditPayload)
_links = table_of(AuditLink)
_AFTER = Statement(
    select(_events, _payloads.c.body, _links.c.seq, _links.c.mac.label("link"))
    .join_from(_events, _payloads, _payloads.c.payload_hash == _events.c.payload_hash, isouter=True)
    .join(_links, _links.c.event_id == _events.c.id, isouter=True)
    .where(_events.c.id > bindparam("after"))
    .order_by(_events.c.id)
    .limit(500)
)


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option(parser=text, help="SEQ:MAC, kept elsewhere: shows whether the end is missing.")
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Find what was changed, removed, inserted, reordered or cut off: in the record, and in the state that it tells
    of (decisions, permissions, roles, keys, freezes, policies and so on). Exit status 1 then."""
    try:
        known = chain.Head.parse(head) if head else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    service = record(settings(database_url))
    found = verification.verify(service.database, service.keyring.audit, known)
    for fault in found.faults:
        print(f"NOT INTACT: {fault}.")
    if not found.intact:
        raise typer.Exit(1)
    print(
        f"Intact: {counted(found.records, 'record')}, {found.unlinked} not linked yet, and the state is what they tell."
    )
    if found.head is not None:
        print(f"Head: {found.head}")


@app.command()
def export(database_url: DatabaseUrl = None) -> None:
    """Every event with its payload, as JSON lines, in order."""
    database = record(settings(database_url)).database
    after = 0
    while rows := database.read_now(partial(_page, after=after)):
        for row in rows:
            row["at"] = to_datetime(row["at"]).isoformat()
            row["payload"] = json.loads(row.pop("body") or "null")
            print(json.dumps(row))
        after = rows[-1]["id"]


def _page(reader: Reader, after: int) -> list[dict[str, Any]]:
    return [dict(row) for row in reader.all(_AFTER, after=after)]
