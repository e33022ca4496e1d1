"""Arguments as rows that a person can read: a path, a value in words, and what is odd about it."""

import contextlib
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from approvals.fingerprint import decode, is_redacted
from approvals.headline import visible

MAX_ROWS = 300


@dataclass(frozen=True)
class Line:
    """One leaf."""

    path: str
    value: str
    secret: bool = False
    odd: bool = False
    """Whether it has characters that do not show by themselves."""


def lines(arguments: Any) -> tuple[list[Line], int]:
    """The first MAX_ROWS leaves of encoded arguments, in order, and how many more there are."""
    leaves = list(_leaves(arguments, ""))
    return leaves[:MAX_ROWS], len(leaves[MAX_ROWS:])


def mixes_scripts(text: str) -> bool:
    """Whether a word mixes alphabets that look alike (Latin with Greek or Cyrillic)."""
    for word in text.split():
        scripts = {unicodedata.name(c, "").split(" ")[0] for c in word if c.isalpha()}
        if len(scripts & {"LATIN", "GREEK", "CYRILLIC"}) > 1:
            return True
    return False


def _leaves(value: Any, path: str) -> Iterator[Line]:
    if is_redacted(value):
        yield Line(path, f"•••• secret, {value['length']} characters", secret=True)
    elif isinstance(value, dict) and value and not value.keys() <= {"$int", "$float"}:
        for key, item in value.items():
            name = _name(str(decode({key: 0}).popitem()[0]))
            yield from _leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for i, item in enumerate(value):
            yield from _leaves(item, f"{path}[{i}]")
    else:
        plain = decode(value)
        text = _quoted(plain) if isinstance(plain, str) else _word(plain)
        shown = visible(text, keep="\n\t")
        yield Line(path or "(none)", shown, odd=shown != text or mixes_scripts(text))


def _word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def _name(key: str) -> str:
    """A key as a step of a path; quoted where it would read as several."""
    plain = key and not set(key) & set('.[]"') and key == key.strip()
    return visible(key if plain else json.dumps(key, ensure_ascii=False))


def _quoted(text: str) -> str:
    """Text as it is, but in quotes where it would read as something else: a number, nothing, a secret."""
    with contextlib.suppress(ValueError):
        json.loads(text)
        return json.dumps(text, ensure_ascii=False)
    looks_plain = text and text == text.strip() and not text.startswith(('"', "{", "[", "•"))
    return text if looks_plain else json.dumps(text, ensure_ascii=False)
