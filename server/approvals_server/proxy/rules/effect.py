"""What a call would do, made of its arguments and of what was read. Pure."""

import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from approvals.protocol.canonical import SAFE_INTEGER
from approvals.protocol.previews import Fact, Preview, View
from approvals_server.proxy.rules import templates
from approvals_server.proxy.rules.rule import Known, PreviewRule, Shown
from approvals_server.proxy.rules.templates import ABSENT, ANSWER

MOST = 7_000
"""Characters of either side that are shown; of longer ones, what differs."""
CONTEXT = 3
"""Equal lines around what differs."""
_LOOKED_AT = 4_000
"""Characters of a text in which a word is looked for."""
_WORD = re.compile(r"\w{1,100}", re.ASCII)


class NoEffect(Exception):
    """It cannot be told from what there is; why, in words."""


@dataclass(frozen=True)
class Answer:
    """What a read said."""

    text: str
    structured: Any = None
    is_error: bool = False

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "Answer":
        """The result of `tools/call`, as it came."""
        content = result.get("content")
        blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
        found = [_resource(block) for block in blocks], [block.get("text") for block in blocks]
        contents, words = ([text for text in texts if isinstance(text, str)] for texts in found)
        said = "\n".join(contents or words)  # words beside a content are about it
        return cls(said, result.get("structuredContent"), result.get("isError") is True)

    @property
    def parsed(self) -> Any:
        """As JSON, where it is."""
        if self.structured is not None:
            return self.structured
        try:
            return json.loads(self.text)
        except ValueError:
            return self.text


def arguments_of_read(rule: PreviewRule, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those with which the read of a rule is called. Raises NoEffect."""
    assert rule.read is not None  # noqa: S101 — whoever reads has one
    try:
        found: dict[str, Any] = templates.given(rule.read.arguments, arguments, _words(rule, arguments))
    except templates.Unsafe as error:
        raise NoEffect(str(error)) from error
    return found


def effect(rule: PreviewRule, arguments: Mapping[str, Any], answer: Answer | None, pepper: bytes) -> Preview:
    """Raises NoEffect, also where what was read is an error that says nothing of the effect. What it is based on may
    hold secrets: with the pepper, it is named so that nobody can try guesses."""
    absent = rule.read.absent if rule.read is not None else None
    template = rule.effect
    if answer is not None and answer.is_error:
        if absent is None or absent.when not in answer.text:
            raise NoEffect(f"the upstream answered with an error: {answer.text[:200]}")
        given = [text for value in arguments_of_read(rule, arguments).values() for text in _texts(value)]
        if any(_plain(absent.when) in _plain(text) for text in given):
            raise NoEffect(f"the call itself has the words {absent.when!r} by which an error would tell of its effect")
        template, answer = absent.effect, None
    values = {**arguments, **_words(rule, arguments), ANSWER: answer.parsed if answer is not None else ABSENT}
    before, after = _side(rule.before, values, answer), _side(rule.after, values, answer)
    if before is None and after is not None and absent is not None and rule.before is not None:
        before = ""  # nothing is there yet
    shown = _around(before, after)
    return Preview(
        effect=templates.filled(template, values)[:300],
        object=templates.filled(rule.object, values)[:200],
        facts=tuple(fact for known in rule.facts if (fact := _fact(known, values)) is not None),
        before=_view(rule.before, shown[0]),
        after=_view(rule.after, shown[1]),
        reversible=rule.reversible,
        until=rule.until,
        basis=_basis(before, after, pepper),
    )


def _resource(block: Mapping[str, Any]) -> Any:
    resource = block.get("resource")
    return resource.get("text") if isinstance(resource, dict) else None


def _words(rule: PreviewRule, arguments: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, word in rule.words.items():
        text = templates.at(arguments, word.of)
        match = re.match(word.pattern, text[:_LOOKED_AT]) if isinstance(text, str) else None
        if match is None or not _WORD.fullmatch(match[1] or ""):
            raise NoEffect(f"no {name} can be read out of {word.of!r}")
        found[name] = match[1]
    return found


def _side(shown: Shown | None, values: Mapping[str, Any], answer: Answer | None) -> str | None:
    """A side's text; None where there is none."""
    path = templates.whole(shown.of) if shown is not None else None
    if shown is None or path is None:
        return None
    if path == ANSWER and answer is not None and shown.kind != "json":
        return answer.text
    value = templates.at(values, path)
    if value is ABSENT:
        return None
    if shown.pick:
        value = _picked(value, shown.pick)
    if isinstance(value, str) and shown.kind != "json":
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def _picked(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_picked(item, names) for item in value]
    found = {name: templates.at(value, name) for name in names} if isinstance(value, dict) else {}
    return {name: item for name, item in found.items() if item is not ABSENT} or value


def _fact(known: Known, values: Mapping[str, Any]) -> Fact | None:
    path = templates.whole(known.of)
    value = templates.at(values, path) if path is not None else templates.filled(known.of, values)
    if value is ABSENT or value is None or isinstance(value, list | dict):
        return None
    if isinstance(value, str):
        value = value[:500]
    if isinstance(value, int) and abs(value) > SAFE_INTEGER:
        value = str(value)
    currency = templates.filled(known.currency, values).upper() if known.currency and type(value) is int else None
    if currency is not None and not re.fullmatch("[A-Z]{3}", currency):
        currency = None
    return Fact(name=known.name, label=known.label, value=value, currency=currency)


def _texts(value: Any) -> Iterator[str]:
    """All that a call's own words can make an error say."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield str(name)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    else:
        yield str(value)


def _plain(text: str) -> str:
    """Letters and digits, however they were written."""
    for _ in range(3):
        text = unquote(text)
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(filter(str.isalnum, folded)) or folded


def _basis(before: str | None, after: str | None, pepper: bytes) -> str:
    """Names all of it, also what is not shown."""
    said = b"basis\0" + json.dumps([before, after]).encode()
    return hmac.new(pepper, said, hashlib.sha256).hexdigest()


def _around(before: str | None, after: str | None) -> tuple[str | None, str | None]:
    """Both sides as they are, or what differs with the lines around it."""
    if max(len(before or ""), len(after or "")) <= MOST:
        return before, after
    if before is None or after is None:
        return _cut(before), _cut(after)
    was, now = before.split("\n"), after.split("\n")
    head = _common(was, now)
    tail = _common(was[head:][::-1], now[head:][::-1])
    return tuple(_cut(_within(lines, head, tail)) for lines in (was, now))  # type: ignore[return-value]


def _common(one: list[str], other: list[str]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _within(lines: list[str], head: int, tail: int) -> str:
    first, last = max(0, head - CONTEXT), min(len(lines), len(lines) - tail + CONTEXT)
    above = [f"[{first:,} equal lines above]"] if first else []
    below = [f"[{len(lines) - last:,} equal lines below]"] if last < len(lines) else []
    return "\n".join([*above, *lines[first:last], *below])


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= MOST:
        return text
    return f"{text[:MOST]}\n[{len(text) - MOST:,} more characters]"


def _view(shown: Shown | None, text: str | None) -> View | None:
    return None if shown is None or text is None else View(kind=shown.kind, text=text)
