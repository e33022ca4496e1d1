"""Pages of long results: how an agent asks for them, and cursors that name a place in one question's answer."""

import base64
import binascii
import hashlib
import json
from typing import Annotated

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

NEXT = "Pass it as cursor for the next page; null on the last."
LONGEST = 2000

After = Annotated[int, Field(ge=0, description="next_cursor of the previous answer; 0 for the first page.")]
"""A page of what has numbers begins after one of them."""
Limit = Annotated[int, Field(ge=1, le=50, description="How many at most, 1 to 50.")]
Cursor = Annotated[
    str,
    Field(max_length=LONGEST, description="next_cursor of the previous answer to the same question; empty at first."),
]


def cursor_at(place: list[str] | list[int], *question: str) -> str:
    """Names a place in the answer to a question, and fits no other question."""
    told = json.dumps([place, _mark(question)], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode()


def place_of(cursor: str, *question: str) -> list[str] | list[int] | None:
    """The place that a cursor names; None for the first page. Raises ToolError for one of another question."""
    if not cursor:
        return None
    try:
        place, mark = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise ToolError("This cursor is none of ours: pass next_cursor as it came, or nothing.") from error
    if mark != _mark(question) or not isinstance(place, list):
        raise ToolError("This cursor belongs to another question: ask the same again, or start without a cursor.")
    if not (all(type(step) is int for step in place) or all(type(step) is str for step in place)):
        raise ToolError("This cursor is none of ours: pass next_cursor as it came, or nothing.")
    return place


def _mark(question: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(question).encode()).hexdigest()[:12]
