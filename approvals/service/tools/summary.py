"""The effect sentence of a card: an accepted template filled with verified arguments.

`{name}`, `{customer.name}`, `{amount_cents:usd}`. Formats: usd, eur, gbp (minor units, integers).
"""

import re
from typing import Any

from approvals.errors import Invalid
from approvals.protocol.canonical import decode, is_redacted
from approvals.service.text import visible

MAX_VALUE = 120
_FIELD = re.compile(r"\{([A-Za-z_][\w.]*)(?::(\w+))?\}")
_CURRENCIES = {"usd": "$", "eur": "€", "gbp": "£"}


def render(template: str, arguments: Any) -> str:
    """The template over decoded arguments; a value that is missing or secret shows as such."""
    return _FIELD.sub(lambda field: _value(field[1], field[2], arguments), template)


def plain(server: str, tool: str, arguments: Any) -> str:
    """What stands there without an accepted template."""
    shown = ", ".join(f"{name}={_text(value)}" for name, value in arguments.items())
    return f"{server}.{tool}({shown})"[:300]


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
    if form in _CURRENCIES and isinstance(value, int) and not isinstance(value, bool):
        sign = "-" if value < 0 else ""
        return f"{sign}{_CURRENCIES[form]}{abs(value) // 100:,}.{abs(value) % 100:02}"
    return _text(value)


def _text(value: Any) -> str:
    if is_redacted(value):
        return f"[secret, {value['length']} characters]"
    text = visible(value if isinstance(value, str) else str(decode(value)))
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
