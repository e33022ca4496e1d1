"""Why a person is asked, in words: what the rule says, and the values that it looked at."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from approvals.policy.rule_words import Wording
from approvals.policy.rules import DEFAULT
from approvals.protocol.summaries import CURRENCIES
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.tools.summary import money

_VALUE = r"-?\d{1,15}|-?\d+\.\d+|\"[^\"\\]*\"|'[^'\\]*'|true|false"
_COMPARED = re.compile(rf"\(?\s*((?:args|facts)(?:\.[A-Za-z_]\w*)+)\s*(>=|<=|==|!=|>|<)\s*({_VALUE})\s*\)?")
_WORDS = {">": "is over", ">=": "is at least", "<": "is under", "<=": "is at most", "==": "is", "!=": "is not"}


@dataclass(frozen=True)
class Because:
    """Of one request."""

    words: str
    condition: str = ""
    """As it stands in the rule, where it could not be put into words."""
    found: tuple[tuple[str, str], ...] = ()
    """What the condition looked at in this call, by name."""


def because(row: RequestRow, said: Wording | None, formats: Mapping[str, str]) -> Because:
    """From the rule as it stood when it judged; `said` is None where no file did, `formats` are those of amounts."""
    if said is None:
        return Because("No policy file is in effect, so every call that is not a trusted read waits for a person")
    seen = _seen(row, formats)
    if not said.when:
        if row.rule == DEFAULT:
            return Because(said.title or "No rule covers this call, and what no rule covers waits for a person")
        return Because(said.title or "Every call that this rule covers waits for a person")
    plain = _plain(said.when, formats)
    if said.title:
        return Because(said.title, plain or said.when, seen)
    return Because(f"Because {plain}", "", seen) if plain else Because("Because of its condition", said.when, seen)


def _seen(row: RequestRow, formats: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    known = json.loads(row.facts)
    return tuple(
        (_name(path), _said(value, formats.get(_name(path), "")))
        for path, value in known.items()
        if path.startswith(("args.", "facts."))
    )


def _plain(condition: str, formats: Mapping[str, str]) -> str:
    """A condition in words, if it is comparisons that all have to hold; else nothing."""
    parts = [_COMPARED.fullmatch(part.strip()) for part in condition.split("&&")]
    if not all(parts):
        return ""
    return " and ".join(_comparison(part, formats) for part in parts if part)


def _comparison(part: re.Match[str], formats: Mapping[str, str]) -> str:
    path, operator, literal = part.groups()
    value = literal[1:-1] if literal[0] in "'\"" else json.loads(literal)
    return f"{_name(path)} {_WORDS[operator]} {_said(value, formats.get(_name(path), ''))}"


def _name(path: str) -> str:
    return path.partition(".")[2]


def _said(value: object, form: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return money(value, form) if form in CURRENCIES else f"{value:,}"
    return f"“{value}”" if isinstance(value, str) else str(value)
