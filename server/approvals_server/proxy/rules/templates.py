"""Places in a call, as rules write them: `{path}`, `{entities[].name}`, `{answer.title}`. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

from approvals.protocol.secret_paths import steps_of

ANSWER = "answer"
"""What was read."""
ABSENT = object()
"""Nothing stands there."""

_PLACE = re.compile(r"\{([A-Za-z_$][\w.$\[\]-]*)\}")
LONGEST = 120
"""Characters of one value within a sentence."""


class Unsafe(Exception):
    """A value that may not stand where a rule puts it; in words."""


def whole(text: str) -> str | None:
    """The path, where a text is one place and nothing else."""
    found = _PLACE.fullmatch(text)
    return found[1] if found is not None else None


def roots(text: str) -> set[str]:
    """The first steps of all places in a text."""
    return {steps_of(path)[0] for path in _PLACE.findall(text)}


def at(values: Mapping[str, Any], path: str) -> Any:
    """What stands at a path; of `[]`, a list of all that is there; else ABSENT."""
    return _at(values, steps_of(path))


def _at(value: Any, steps: tuple[str, ...]) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if step == "[]":
        if not isinstance(value, list):
            return ABSENT
        found = [_at(item, rest) for item in value]
        return [item for item in found if item is not ABSENT]
    if isinstance(value, Mapping) and step in value:
        return _at(value[step], rest)
    return ABSENT


def filled(template: str, values: Mapping[str, Any]) -> str:
    """A sentence with the values at its places."""
    return _PLACE.sub(lambda place: _words(at(values, place[1])), template)


def given(wanted: Any, arguments: Mapping[str, Any], words: Mapping[str, str]) -> Any:
    """An argument of a read, of a rule's constants, the call's arguments and their words. Raises Unsafe."""
    if isinstance(wanted, str):
        path = whole(wanted)
        if path is not None and path not in words:
            return at(arguments, path)
        return _PLACE.sub(lambda place: _word(place[1], words), wanted)
    if isinstance(wanted, dict):
        return {name: value for name, value in _each(wanted, arguments, words).items() if value is not ABSENT}
    if isinstance(wanted, list):
        found = [given(item, arguments, words) for item in wanted]
        return [item for item in found if item is not ABSENT]
    return wanted


def _each(wanted: Mapping[str, Any], arguments: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    return {name: given(value, arguments, words) for name, value in wanted.items()}


def _word(name: str, words: Mapping[str, str]) -> str:
    if name not in words:
        raise Unsafe(f"{{{name}}} stands within other words, and is no word of this call")
    return words[name]


def _words(value: Any) -> str:
    if value is ABSENT or value is None:
        return "(none)"
    text = ", ".join(map(_plain, value)) if isinstance(value, list) else _plain(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
