"""Policies and tool definitions are named by their hashes: each is held against its name."""

import hashlib
import json
from collections.abc import Iterator

from sqlalchemy import bindparam, select, tuple_

from approvals.errors import Invalid
from approvals.protocol.canonical import sha256
from approvals.service.storage.database import Reader, Row, Statement
from approvals.service.storage.tables import PolicyVersion, ToolDefinitionRow

PAGE = 100

_versions = PolicyVersion.__table__  # type: ignore[attr-defined]
_definitions = ToolDefinitionRow.__table__  # type: ignore[attr-defined]
_VERSIONS = Statement(
    select(_versions).where(_versions.c.hash > bindparam("after")).order_by(_versions.c.hash).limit(PAGE)
)
_key = _definitions.c.server, _definitions.c.tool_hash
_DEFINITIONS = Statement(
    select(_definitions)
    .where(tuple_(*_key) > tuple_(bindparam("server"), bindparam("tool_hash")))
    .order_by(*_key)
    .limit(PAGE)
)


def faults(reader: Reader) -> Iterator[str]:
    """What is not what its name says."""
    after = ""
    while rows := reader.all(_VERSIONS, after=after):
        yield from (f"the text of the policy {row.hash} was changed" for row in rows if _hash(row.text) != row.hash)
        after = rows[-1].hash
    server, tool_hash = "", ""
    while rows := reader.all(_DEFINITIONS, server=server, tool_hash=tool_hash):
        yield from (
            f"the definition {row.tool_hash} of {row.server}.{row.name} was changed" for row in rows if _is_other(row)
        )
        server, tool_hash = rows[-1].server, rows[-1].tool_hash


def _is_other(row: Row) -> bool:
    """Its body keeps the order that its author gave it; its name is of the canonical form."""
    try:
        body = json.loads(row.body)
        return sha256(body) != row.tool_hash or bool(body["name"] != row.name)
    except (ValueError, Invalid):
        return True


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
