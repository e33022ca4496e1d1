"""What a person should look at twice in what a tool says of itself: agents read it as if their user had written it.
Pure."""

import re
import unicodedata
from collections.abc import Iterator

from approvals.protocol.registration import ToolDefinition

_ORDERS = re.compile(
    r"<\s*/?\s*(important|system|instructions?|secret)\b"
    r"|\b(ignore|disregard|forget|override)\b.{0,30}\b(previous|prior|above|earlier|other|all)\b"
    r"|\b(do not|don't|never)\b.{0,20}\b(tell|mention|inform|show|reveal|notify)\b"
    r"|\bsystem prompt\b"
    r"|\bbefore (you )?(using|calling|use|call) (this|any)\b",
    re.IGNORECASE | re.DOTALL,
)
_HIDDEN = {"Cf", "Co", "Cn", "Cs"}
"""Unicode categories: format, private, unassigned, lone surrogates."""
_JOINER = "\u200d"
"""Joins emoji, so it is no sign of anything."""
LONG = 4_000


def suspicions(tool: ToolDefinition) -> list[str]:
    """Each in a few words; none for most tools."""
    words = [tool.name, tool.title or "", tool.description, *_texts(tool.input_schema), *_texts(tool.output_schema)]
    found = []
    if hidden := {character for text in words for character in text if _is_hidden(character)}:
        found.append("hidden characters: " + ", ".join(sorted(f"U+{ord(character):04X}" for character in hidden)[:5]))
    if orders := next((match[0] for text in words if (match := _ORDERS.search(text))), ""):
        found.append(f"reads like an order to the agent: {' '.join(orders.split())[:80]!r}")
    if len(tool.description) > LONG:
        found.append(f"a description of {len(tool.description):,} characters")
    return found


def _is_hidden(character: str) -> bool:
    return character != _JOINER and unicodedata.category(character) in _HIDDEN


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield str(name)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
