"""The table of docs/answers.md, to hold answers against."""

import re
from pathlib import Path
from typing import Any

from mcp_types import CallToolResult

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


def told(result: CallToolResult, status: str) -> dict[str, Any]:
    """The facts of an answer that is as the table says."""
    executed, words, following = rows()[status]
    facts: dict[str, Any] = result.structured_content or {}
    text = "\n".join(block.text for block in result.content if block.type == "text")
    assert result.is_error
    assert facts.get("status") == status, text
    assert facts["executed"] is executed
    assert facts["next"].startswith(following)
    if words != "the tool's own error":
        assert re.match(re.escape(words).replace("…", r"\S+"), text), text
        assert following in text
    return facts
