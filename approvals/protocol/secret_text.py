"""Finding the text of declared secrets in other text, in the ways in which programs write it.

A tool's error quotes what it was given: as it is, escaped, encoded, cut in the middle. So it is the runs of RUN
characters that are looked for, in every way of writing; what is shorter is looked for as a whole, and what has two or
three characters only where it stands alone. A single character is no secret.
"""

import base64
import contextlib
import html
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, time
from decimal import Decimal, InvalidOperation
from functools import cached_property
from urllib.parse import quote, quote_plus

RUN = 12
"""Characters in a row that give a secret away."""
WHOLE = 4
"""From so many characters on a secret is found within words, too."""
SHORTEST = 2
_ENCODED = 8
"""Shorter pieces of base64 or hex are found everywhere."""
_MOST_RUNS = 20_000
"""Of one way to write one secret that are remembered; of a longer one every n-th, and the mask is as much wider."""
_LONGEST_WORD = 64
"""Characters of a number or an instant in JSON; a longer text is neither."""
_THOUSANDS = (",", ".", " ", "'", "_", "\u00a0", "\u202f")
_DATES = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y%m%d", "%d %B %Y", "%d %b %Y", "%B %d, %Y")
_SEPARATORS = {ord(" "): None, ord("-"): None}
"""Of card and account numbers, which programs group as they like."""


class Declared:
    """The declared secrets of one call: plain JSON values, of which every text, number and key counts; but for the keys
    that are the tool's own `names`."""

    def __init__(self, values: Iterable[object] = (), names: frozenset[str] = frozenset()) -> None:
        self._texts = frozenset(text for value in values for text in _texts(value, names))

    def __bool__(self) -> bool:
        return bool(self._texts)

    def spans(self, words: str, least: int = SHORTEST) -> Iterator[tuple[int, int]]:
        """Where their text stands in `words`: begin and end of each piece, of `least` characters or more."""
        if not self._texts:
            return
        low = _lower(words)
        for length, (needles, slack) in self._needles.items():
            if length >= least:
                for i in range(len(low) - length + 1):
                    if low[i : i + length] in needles and (length >= WHOLE or _alone(low, i, i + length)):
                        yield max(0, i - slack), min(len(low), i + length + slack)

    @cached_property
    def _needles(self) -> dict[int, tuple[set[str], int]]:
        """By length: the pieces to look for, and how much wider a find is taken."""
        found: dict[int, tuple[set[str], int]] = {}
        for written in {_lower(form) for text in self._texts for form in _written(text)}:
            length, step = min(len(written), RUN), 1 + max(0, len(written) - RUN) // _MOST_RUNS
            needles, slack = found.get(length, (set(), 0))
            needles.update(written[i : i + length] for i in range(0, len(written) - length + 1, step))
            found[length] = needles, max(slack, step - 1)
        return found


def _texts(value: object, names: frozenset[str]) -> Iterator[str]:
    """Every text, number and key in a value, and all of it as one; what a text holds as JSON, too."""
    if isinstance(value, str):
        yield from (text for text in (value, value.strip(), *_as_a_value(value.strip())) if len(text) >= SHORTEST)
        if value.lstrip()[:1] in ("{", "["):
            yield from _within(value, names)
    elif isinstance(value, dict | list | tuple):
        yield from (text for text in (json.dumps(value, default=str), str(value)) if len(text) >= RUN)
        keys = [key for key in value if key not in names] if isinstance(value, dict) else []
        for item in (*keys, *value.values()) if isinstance(value, dict) else value:
            yield from _texts(item, names)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from (text for text in (str(value), *_as_a_value(str(value))) if len(text) >= SHORTEST)


def _within(text: str, names: frozenset[str]) -> Iterator[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict | list):
        yield from _texts(value, names)


def _as_a_value(text: str) -> Iterator[str]:
    """How a program writes a number, a day or an instant that it was given in JSON as this text."""
    if not (SHORTEST <= len(text) <= _LONGEST_WORD and text.isascii() and text[-1].isalnum()):
        return
    with contextlib.suppress(InvalidOperation):
        yield from _number(Decimal(text))
    with contextlib.suppress(ValueError):
        yield from _instant(datetime.fromisoformat(text))


def _number(number: Decimal) -> Iterator[str]:
    if not number.is_finite() or abs(number.adjusted()) > _LONGEST_WORD:
        return
    yield from (f"{number:f}", f"{number.normalize():f}", str(number.normalize()))
    cents = (f"{number:,.2f}", f"{number:.2f}") if round(number, 2) == number else ()
    for form in (f"{number:,f}", f"{number.normalize():,f}", *cents):
        whole, point, rest = form.partition(".")
        for sign in _THOUSANDS:
            yield whole.replace(",", sign) + ("," if point and sign == "." else point) + rest


def _instant(at: datetime) -> Iterator[str]:
    day = at.date()
    yield from (str(day), f"{day.year}, {day.month}, {day.day}", *map(day.strftime, _DATES))
    if at.timetz() != time():
        yield from (str(at), at.isoformat(), at.strftime("%Y-%m-%d %H:%M:%S"))


def _written(text: str) -> Iterator[str]:
    """The ways in which programs write a text."""
    yield text
    raw = text.encode("utf-8", "replace")
    yield from (form for form in (raw.hex(":"), raw.hex(" "), str(list(raw))[1:-1]) if len(form) >= RUN)
    joined = text.translate(_SEPARATORS)
    grouped = (sign.join(joined[i : i + 4] for i in range(0, len(joined), 4)) for sign in " -")
    yield from (form for form in (raw.hex(), *_base64(raw), joined, *grouped) if len(form) >= _ENCODED)
    if not (text.isascii() and text.isalnum()):
        yield from (write(text) for write in _ESCAPES)


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


_ESCAPES: tuple[Callable[[str], str], ...] = (
    _json,
    lambda text: _json(_json(text)),
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: repr(text)[1:-1],
    lambda text: ascii(text)[1:-1],
    lambda text: repr(text.encode("utf-8", "replace"))[2:-1],
    lambda text: text.replace("'", "''"),
    lambda text: text.replace('"', '""'),
    lambda text: text.replace("'", "'\\''"),
    str.upper,
    html.escape,
    lambda text: html.escape(text, quote=False),
    lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    lambda text: html.escape(text).replace("&#x27;", "&#39;"),
    lambda text: _json(text).replace("/", "\\/"),
    lambda text: quote(text, errors="replace"),
    lambda text: quote(text, safe="", errors="replace"),
    lambda text: quote(quote(text, safe="", errors="replace"), safe=""),
    lambda text: quote_plus(text, errors="replace"),
    lambda text: unicodedata.normalize("NFC", text),
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    lambda text: "".join(one if one.isascii() else f"&#x{ord(one):x};" for one in text),
)
"""JSON, JSON in JSON, Python, SQL and YAML, CSV, a shell, capitals that are more characters, HTML in four dialects,
JSON of PHP, addresses and forms, both ways to put an accent on a letter, and XML's references by number."""


def _base64(raw: bytes) -> Iterator[str]:
    """What of its base64 does not depend on what stands before and after it, wherever it begins."""
    for before in range(3):
        begin, end = -(-8 * before // 6), 8 * (before + len(raw)) // 6
        padded = bytes(before) + raw
        yield base64.b64encode(padded).decode()[begin:end]
        yield base64.urlsafe_b64encode(padded).decode()[begin:end]


def _lower(text: str) -> str:
    """Of the same length, whatever is in it."""
    return text.lower() if text.isascii() else "".join(map(_small, text))


def _small(character: str) -> str:
    small = character.lower()
    return small if len(small) == 1 else character


def _alone(text: str, begin: int, end: int) -> bool:
    return not (text[max(0, begin - 1) : begin].isalnum() or text[end : end + 1].isalnum())
