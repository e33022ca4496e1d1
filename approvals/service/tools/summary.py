"""The effect sentence of a card: an accepted template (`approvals.protocol.summaries`) filled with verified
arguments."""

import json
import re
from itertools import islice
from typing import Any

from approvals.protocol.canonical import JsonObject, decode, is_object, is_redacted
from approvals.protocol.summaries import CURRENCIES, FIELD
from approvals.service.text import visible
from approvals.service.tools.layout import plain_name

MAX_VALUE, MAX_PLAIN = 120, 300
_LINE_END = re.compile(r"[ \t]*(?:\r\n|[\n\r])[ \t]*")
"""A sentence has one line: the arguments beside it show every other."""


def render(template: str, arguments: object) -> str:
    """The template over encoded arguments; a value that is missing or secret shows as such."""
    return FIELD.sub(lambda field: _value(field[1], field[2], arguments), template)


def plain(server: str, tool: str, arguments: Any) -> str:
    """What stands there without an accepted template."""
    named = {"": arguments} if is_redacted(arguments) else arguments
    first = islice(named.items(), MAX_PLAIN)  # each has a character at least
    shown = ", ".join(f"{_shown_name(name)}{_text(value)}" for name, value in first)
    words = f"{server}.{tool}({shown})"
    return words if len(words) <= MAX_PLAIN else words[: MAX_PLAIN - 1] + "…"


def _shown_name(key: str) -> str:
    return f"{visible(plain_name(key[:MAX_PLAIN]))}=" if key else ""


def formats(template: str) -> dict[str, str]:
    """The format of each field that has one, by its path."""
    return {path: form for path, form in FIELD.findall(template) if form}


def money(minor: int, form: str) -> str:
    """An amount in minor units, in one of the formats."""
    return f"{'-' if minor < 0 else ''}{CURRENCIES[form]}{abs(minor) // 100:,}.{abs(minor) % 100:02}"


def _value(path: str, form: str | None, arguments: object) -> str:
    value = arguments
    for step in path.split("."):
        if not is_object(value) or step not in value:
            return "—"
        value = value[step]
    if form is not None and form in CURRENCIES and isinstance(value, int) and not isinstance(value, bool):
        return money(value, form)
    return _text(value)


def _text(value: object) -> str:
    plain = decode(value, _secret)
    words = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    text = visible(_LINE_END.sub(" ↵ ", words[: MAX_VALUE + 1]))
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _secret(leaf: JsonObject) -> str:
    return f"[secret, {leaf['length']} characters]"
