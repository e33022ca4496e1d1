"""The template of a card's effect sentence: `{name}`, `{customer.name}`, `{amount_cents:usd}`.

Formats: usd, eur, gbp (minor units, integers).
"""

import re

FIELD = re.compile(r"\{([A-Za-z_][\w.]*)(?::(\w+))?\}")
CURRENCIES = {"usd": "$", "eur": "€", "gbp": "£"}


def fault(template: str) -> str:
    """The fault in how a template is written; whether its fields are arguments is another question."""
    unknown = [form for _, form in FIELD.findall(template) if form and form not in CURRENCIES]
    if unknown:
        return f"its summary has the unknown format {unknown[0]!r} (known: {', '.join(CURRENCIES)})"
    if "{" in FIELD.sub("", template):
        return "its summary has a brace that opens no field: write {argument}"
    return "" if template.isprintable() else "its summary is one line of printable text"


def fields(template: str) -> list[str]:
    """The arguments that it names, by path."""
    return [path for path, _ in FIELD.findall(template)]
