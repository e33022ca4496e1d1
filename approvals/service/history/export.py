"""Requests as lines of CSV or JSON. Pure."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from approvals.instant import to_datetime
from approvals.protocol.messages import RequestStatus

COLUMNS = (
    "id", "filed_at", "state", "server", "tool", "summary", "agent", "on_behalf_of_unverified", "risk", "rule",
    "quorum", "decided_by", "decided_at", "comment", "digest", "content_version",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def facts(row: Any, status: RequestStatus, agent: str) -> dict[str, object]:
    """One request, as a list shows it, and its arguments as people see them."""
    return {
        "id": row.id,
        "filed_at": to_datetime(row.created_at).isoformat(),
        "state": str(status.state),
        "server": row.server,
        "tool": row.tool,
        "summary": row.summary,
        "agent": agent,
        "on_behalf_of_unverified": row.on_behalf_of,
        "risk": row.risk,
        "rule": row.rule,
        "quorum": row.quorum,
        "decided_by": row.decided_by or "",
        "decided_at": to_datetime(row.decided_at).isoformat() if row.decided_at else "",
        "comment": row.comment or "",
        "digest": row.digest,
        "content_version": row.content_version,
    }


def as_csv(lines: Sequence[Mapping[str, object]], *, head: bool) -> str:
    """RFC 4180. A spreadsheet takes no cell for a formula: what begins like one gets an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    if head:
        writer.writerow(COLUMNS)
    writer.writerows([_cell(line[name]) for name in COLUMNS] for line in lines)
    return text.getvalue()


def as_jsonl(lines: Sequence[Mapping[str, object]], *, head: bool) -> str:
    """A JSON object a line, the same fields."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _cell(value: object) -> str:
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
