"""Policies and tool definitions are named by their hashes: each is held against its name, and what names one has it."""

import hashlib
import json
from collections.abc import Iterator

from sqlalchemy import ColumnElement, Table, bindparam, exists, select, tuple_

from approvals.protocol.canonical import sha256
from approvals.service.audit.unreadable import UNREADABLE
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import PolicyLoad, PolicyVersion, Request, Tool, ToolDefinitionRow, table_of

PAGE = 100

_versions = table_of(PolicyVersion)
_definitions = table_of(ToolDefinitionRow)
_loads = table_of(PolicyLoad)
_requests = table_of(Request)
_tools = table_of(Tool)
_VERSIONS = Statement(
    select(_versions).where(_versions.c.hash > bindparam("after")).order_by(_versions.c.hash).limit(PAGE), PolicyVersion
)
_key = _definitions.c.server, _definitions.c.tool_hash
_DEFINITIONS = Statement(
    select(_definitions)
    .where(tuple_(*_key) > tuple_(bindparam("server"), bindparam("tool_hash")))
    .order_by(*_key)
    .limit(PAGE),
    ToolDefinitionRow,
)


def _lacking(kept: Table, named: ColumnElement[str], **of: ColumnElement[str]) -> Statement[Row]:
    """Names in a table under seal of which no text is kept."""
    found = exists(select(kept).where(*(kept.c[column] == value for column, value in of.items())))
    return Statement(select(named.label("name")).where(named.is_not(None), ~found).distinct().limit(PAGE))


_LACKING = (
    *(("policy", _lacking(_versions, name, hash=name)) for name in (_loads.c.hash, _requests.c.policy_hash)),
    *(
        ("definition", _lacking(_definitions, name, server=name.table.c.server, tool_hash=name))
        for name in (_tools.c.accepted_hash, _tools.c.offered_hash, _requests.c.tool_hash)
    ),
)


def faults(reader: Reader) -> Iterator[str]:
    """What is not what its name says."""
    after = ""
    while rows := reader.all(_VERSIONS, after=after):
        yield from (f"the text of the policy {row.hash} was changed" for row in rows if not _is_hashed(row))
        after = rows[-1].hash
    server, tool_hash = "", ""
    while kept := reader.all(_DEFINITIONS, server=server, tool_hash=tool_hash):
        yield from (
            f"the definition {row.tool_hash} of {row.server}.{row.name} was changed" for row in kept if _is_other(row)
        )
        server, tool_hash = kept[-1].server, kept[-1].tool_hash
    for what, lacking in _LACKING:
        yield from (f"the {what} {row.name}, which is named on record, is missing" for row in reader.all(lacking))


def _is_other(row: ToolDefinitionRow) -> bool:
    """Whether a definition is another than its name says: its body keeps its author's order, its name is of the
    canonical form."""
    try:
        body = json.loads(row.body)
        return sha256(body) != row.tool_hash or bool(body["name"] != row.name)
    except UNREADABLE:
        return True


def _is_hashed(row: PolicyVersion) -> bool:
    try:
        return hashlib.sha256(row.text.encode()).hexdigest() == str(row.hash)
    except UNREADABLE:
        return False
