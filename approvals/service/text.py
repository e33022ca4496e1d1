"""Characters that deceive: hidden ones, those that reorder text, and letters that look like others."""

import itertools
import unicodedata
from itertools import groupby

_REORDERS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ALPHABETS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE")
_DRESSED = ("FULLWIDTH", "MATHEMATICAL")
"""Letters of one alphabet in other clothes."""
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE0F), *range(0xE0100, 0xE01F0))
}
"""Fillers and variation selectors: letters and marks by category that show as nothing (U+FE0F is left to emoji)."""
MOST = 6
"""Things said of one text."""


def visible(text: str, keep: str = "") -> str:
    """Control, format and separator characters made visible, so that text cannot hide or reorder itself."""
    if is_ordinary(text):
        return text
    return text.translate({ord(character): _visible(character) for character in set(text) - set(keep)})


def says_something(text: str) -> bool:
    """Whether it has a visible character: a letter, digit, sign or symbol that shows."""
    return any(unicodedata.category(one)[0] in "LNPS" and one not in _BLANK for one in text)


def is_ordinary(text: str) -> bool:
    """Whether nothing can be odd about it: printable ASCII alone."""
    return text.isascii() and text.isprintable()


def oddities(text: str) -> tuple[str, ...]:
    """In words, each with the place of its first such character; nothing for ordinary text."""
    if is_ordinary(text):
        return ()
    hidden = sorted(text.index(one) for one in set(text) - set("\n\t") if _visible(one) != one)
    mixed = (
        f"“{visible(word)[:40]}” mixes {' and '.join(found)}"
        for word in (() if text.isascii() else dict.fromkeys(_words(text)))
        if (found := _mixed(word))
    )
    said = itertools.chain((_hides(text[place], place) for place in hidden), mixed)
    return tuple(itertools.islice(said, MOST))


def mixes_scripts(text: str) -> bool:
    """Whether a word mixes alphabets that look alike (Latin with Greek or Cyrillic), or wears another's clothes."""
    return not text.isascii() and any(map(_mixed, _words(text)))


def _hides(character: str, place: int) -> str:
    what = "reorders text" if character in _REORDERS else "is hidden"
    return f"⟨U+{ord(character):04X}⟩ {what}, first at character {place + 1}"


def _visible(character: str) -> str:
    if unicodedata.category(character) not in {"Cc", "Cf", "Zl", "Zp", "Co", "Cn"} and character not in _BLANK:
        return character
    return f"⟨U+{ord(character):04X}⟩"


def _mixed(word: str) -> list[str]:
    names = {unicodedata.name(character, "").split(" ")[0] for character in set(word)}
    found = [name.title() for name in _ALPHABETS if name in names]
    dressed = [f"{name.lower()} letters" for name in _DRESSED if name in names]
    return found + dressed if len(found) > 1 or dressed else []


def _words(text: str) -> list[str]:
    return ["".join(run) for letters, run in groupby(text, str.isalpha) if letters]
