"""The table of docs/answers.md, to hold answers against."""

import re
from pathlib import Path
from typing import Any

from mcp_types import CallToolResult

from approvals.gate import answers

_DOC = Path(__file__).parents[2] / "docs" / "answers.md"
_ROW = re.compile(r"^\| (`[\w-]+`(?:, `[\w-]+`)*) \| `(true|false|null)` \| (.+) \| (.+) \|$", re.MULTILINE)
_EXECUTED = {"true": True, "false": False, "null": None}


def rows() -> dict[str, tuple[bool | None, str, str]]:
    """What each status promises: whether it ran, how the text begins, how `next` begins."""
    found = {}
    for statuses, executed, words, following in _ROW.findall(_DOC.read_text(encoding="utf-8")):
        for status in re.findall(r"[\w-]+", statuses):
            found[status] = (_EXECUTED[executed], words, following)
    return found


def facts(result: CallToolResult) -> dict[str, Any]:
    """Of an answer of the gate's; empty for a tool's own."""
    return answers.facts_of(result) or {}


def told(result: CallToolResult, status: str) -> dict[str, Any]:
    """The facts of an answer that is as the table says."""
    executed, words, following = rows()[status]
    about = facts(result)
    if executed is None and "request_id" in about and about["executed"] is False:  # the service knew of the request
        executed, words = False, words.replace(" NOW", "")
    text = "\n".join(block.text for block in result.content if block.type == "text")
    assert result.is_error
    assert about.get("status") == status, text
    assert about["executed"] is executed
    assert about["next"].startswith(following)
    if words != "the tool's own error":
        assert re.match(re.escape(words).replace("…", r"\S+"), text), text
        assert following in text
    return about
