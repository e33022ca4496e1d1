"""Where a call comes from, as the agent's side says: for whom, in which session, in which trace. Shown and searched,
never trusted: nothing here says who the caller is, or whether calls are the same. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

ON_BEHALF_OF = "mcp-approvals/on_behalf_of"
SESSION = "mcp-approvals/session"
TRACEPARENT = "traceparent"
UNREADABLE = "(unreadable)"
"""Kept in the place of what came and makes no sense, so that a reviewer sees that something came."""
LONGEST = 200

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.{0,200})?", re.ASCII)


@dataclass(frozen=True)
class Origin:
    """Each is one line, or nothing."""

    on_behalf_of: str = ""
    agent_session: str = ""
    trace_id: str = ""

    @classmethod
    def of(cls, meta: Mapping[str, object], headers: Mapping[str, str]) -> "Origin":
        """The origin in a request's `_meta`, and the HTTP headers that it came with. `_meta` is the agent's own, so it
        wins."""
        parent = meta.get(TRACEPARENT, headers.get(TRACEPARENT))
        return cls(_line(meta.get(ON_BEHALF_OF)), _line(meta.get(SESSION)), _trace_id(parent))


def _line(value: object) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        return UNREADABLE
    return value.strip()


def _trace_id(parent: object) -> str:
    """The trace id of a W3C traceparent (SEP-414 in `_meta`)."""
    if parent is None or parent == "":
        return ""
    found = _TRACEPARENT.fullmatch(parent) if isinstance(parent, str) else None
    if found is None or (found[1] == "00" and found[4]) or not int(found[2], 16) or not int(found[3], 16):
        return UNREADABLE
    return found[2]
