"""Keeping secrets inside the gate's process: declared leaves, their text anywhere else, and what looks like a
credential."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from approvals.protocol import credentials
from approvals.protocol.canonical import canonical, decode, is_object, is_redacted, redacted
from approvals.protocol.secret_paths import kept_back
from approvals.protocol.secret_text import Declared

_NONE = Declared()
_BETWEEN = " \n\r\t\"',;<>{}[]()"
"""What no credential has in it."""
_COINCIDENCE = 6
"""Characters of a declared secret below which an argument that has them, too, is shown: 42 is many things."""
_CUT = "… (cut off)"
_BEYOND = 1_000
"""Characters that are looked at behind the last that may be shown: half of what is hidden has no shape. More than any
shape has that may hold one of _BETWEEN."""

Looks = Callable[[str], bool]


def leaves(arguments: object, secret: tuple[str, ...], pepper: bytes) -> object:
    """A copy of encoded arguments whose declared secret leaves are stand-ins."""
    return kept_back(
        arguments, secret, lambda where, value: value if is_redacted(value) else redacted(pepper, where, value)
    )


def looks_secret(
    arguments: object, pepper: bytes, declared: Declared = _NONE, names: frozenset[str] = frozenset()
) -> tuple[Any, int]:
    """A copy of encoded arguments whose leaves that contain a credential, or the text of a declared one, are stand-ins,
    and how many characters that hid. An object with such a key is one stand-in; the tool's own `names` are no secret,
    whatever a caller sends as one."""
    shapes = credentials.likely(canonical(arguments).decode())
    if not shapes and not declared:
        return arguments, 0

    def looks(words: str) -> bool:
        return any(credentials.spans(words, shapes)) or any(declared.spans(words, _COINCIDENCE))

    return _masked(arguments, "", looks, lambda key: key not in names and looks(key), pepper)


def clean(words: str) -> str:
    """Text that UTF-8 can carry: half surrogate pairs become question marks."""
    return words.encode("utf-8", "replace").decode()


def text(words: str, most: int, declared: Declared = _NONE) -> str:
    """Free text for people: credentials masked, cut to `most` characters."""
    return told(words, most, declared)[0]


def told(words: str, most: int, declared: Declared = _NONE) -> tuple[str, int]:
    """Free text for people as `text` makes it, and how many characters are masked."""
    start, cut = clean(words[: 4 * most + _BEYOND]), len(words) > 4 * most
    hidden = _joined([*credentials.spans(start, credentials.likely(start)), *declared.spans(start)])
    if cut:  # what is longer than all that is looked at may be known by its end alone
        start = start[: 4 * most]
        start = start[: 1 + max(start.rfind(character) for character in _BETWEEN)]
    shown = "".join(_pieces(start, hidden))
    if cut or len(shown) > most:
        shown = shown[: most - len(_CUT)] + _CUT
    return shown, sum(end - begin for begin, end in hidden)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, those that touch made one."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


def _pieces(words: str, hidden: list[tuple[int, int]]) -> Iterator[str]:
    """The text with a note in the place of what is hidden; nothing of what begins behind its end."""
    shown_to = 0
    for begin, end in hidden:
        if begin < len(words):
            yield words[shown_to:begin]
            yield f"[{end - begin} characters hidden]"
            shown_to = end
    yield words[shown_to:]


def _masked(value: object, path: str, looks: Looks, looks_key: Looks, pepper: bytes) -> tuple[object, int]:
    if is_redacted(value) or value is None or isinstance(value, bool):
        return value, 0
    if isinstance(value, list):
        done = [_masked(item, f"{path}[{i}]", looks, looks_key, pepper) for i, item in enumerate(value)]
        return [item for item, _ in done], sum(hidden for _, hidden in done)
    if not is_object(value):
        return _hidden(value, path, pepper) if looks(str(decode(value))) else (value, 0)
    if any(map(looks_key, value)):
        return _hidden(value, path, pepper)
    parts = {key: _masked(item, f"{path}.{key}", looks, looks_key, pepper) for key, item in value.items()}
    return {key: item for key, (item, _) in parts.items()}, sum(hidden for _, hidden in parts.values())


def _hidden(value: object, path: str, pepper: bytes) -> tuple[object, int]:
    """A stand-in, and what it hides beyond the stand-ins that are in it."""
    stand_in = redacted(pepper, path, value)
    return stand_in, stand_in["length"] - sum(_lengths(value))


def _lengths(value: object) -> Iterator[int]:
    if is_redacted(value):
        yield value["length"]
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _lengths(item)
