"""The effect sentence of a card: an accepted template filled with verified arguments.

`{name}`, `{customer.name}`, `{amount_cents:usd}`. Formats: usd, eur, gbp (minor units, integers).
"""

import json
import re
from typing import Any

from approvals.errors import Invalid
from approvals.protocol.canonical import decode, is_redacted
from approvals.service.text import visible

MAX_VALUE, MAX_PLAIN = 120, 300
_FIELD = re.compile(r"\{([A-Za-z_][\w.]*)(?::(\w+))?\}")
_CURRENCIES = {"usd": "$", "eur": "€", "gbp": "£"}


def render(template: str, arguments: Any) -> str:
    """The template over decoded arguments; a value that is missing or secret shows as such."""
    return _FIELD.sub(lambda field: _value(field[1], field[2], arguments), template)


def plain(server: str, tool: str, arguments: Any) -> str:
    """What stands there without an accepted template."""
    named = {"": arguments} if is_redacted(arguments) else arguments
    shown = ", ".join(f"{visible(name)}{'=' if name else ''}{_text(value)}" for name, value in named.items())
    words = f"{server}.{tool}({shown})"
    return words if len(words) <= MAX_PLAIN else words[: MAX_PLAIN - 1] + "…"


def formats(template: str) -> dict[str, str]:
    """The format of each field that has one, by its path."""
    return {path: form for path, form in _FIELD.findall(template) if form}


def money(minor: int, form: str) -> str:
    """An amount in minor units, in one of the formats."""
    return f"{'-' if minor < 0 else ''}{_CURRENCIES[form]}{abs(minor) // 100:,}.{abs(minor) % 100:02}"


def check(template: str, input_schema: dict[str, Any]) -> None:
    """Raises Invalid unless every field is a top-level property (or below one) and every format is known."""
    properties = input_schema.get("properties", {})
    for path, form in _FIELD.findall(template):
        if path.split(".")[0] not in properties:
            raise Invalid(
                f"The summary {template!r} names {{{path}}}, which is no argument of the tool.",
                hint=f"Arguments: {', '.join(properties) or 'none'}.",
            )
        if form and form not in _CURRENCIES:
            raise Invalid(f"The summary {template!r} has the unknown format {form!r}.", hint="Known: usd, eur, gbp.")
    if "{" in _FIELD.sub("", template):
        raise Invalid(f"The summary {template!r} has a brace that opens no field.", hint="Write {argument}.")


def _value(path: str, form: str | None, arguments: Any) -> str:
    value = arguments
    for step in path.split("."):
        if not isinstance(value, dict) or step not in value:
            return "—"
        value = value[step]
    if form is not None and form in _CURRENCIES and isinstance(value, int) and not isinstance(value, bool):
        return money(value, form)
    return _text(value)


def _text(value: Any) -> str:
    plain = _without_stand_ins(decode(value))
    text = visible(plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False))
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _without_stand_ins(value: Any) -> Any:
    if is_redacted(value):
        return f"[secret, {value['length']} characters]"
    if isinstance(value, list):
        return [_without_stand_ins(item) for item in value]
    return {name: _without_stand_ins(item) for name, item in value.items()} if isinstance(value, dict) else value
