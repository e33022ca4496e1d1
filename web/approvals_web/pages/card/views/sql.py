"""Statements of SQL, coloured, and what is dangerous in them at first sight.

This reads, it does not parse: dialects differ in what a backslash or a dollar means, so what it warns of is worth a
look, and what it does not warn of is not safe.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from approvals.service.text import visible
from approvals_web.pages.card.views.places import Place

MAX_SHOWN = 8000
"""Characters."""

MOST_HEADS, MOST_WORDS = 40, 20_000
"""Of one statement that is searched for a missing WHERE."""

_LOOKS = re.compile(
    r"""\s*+(?:(?>--[^\n]*\n|/\*.*?\*/)\s*+)*+(?:
      select\s+[^\n]{0,400}?(?:\bfrom\b|\d|\()
    | insert\s+into\s | delete\s+from\s | merge\s+into\s | begin\s*;
    | update\s+(?:only\s+)?[\w.\"`]{1,200}\s+(?:(?:as\s+)?\w+\s+)?set\s+[\w.\"`]{1,200}\s*=
    | (?:drop|alter|create|truncate)\s+(?:or\s+replace\s+)?
      (?:table|index|view|database|schema|role|user|function|trigger)\b
    | truncate\s+\w+
    | with\s+(?:recursive\s+)?\S+.{0,200}?\bas\s*\(
    | (?:grant|revoke)\s+.{1,200}?\son\s
    | explain\s+(?:analyze\s+)?\(?(?:select|insert|update|delete)\b)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<text>'(?:[^']|'')*(?:'|\Z)|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z))"
    r"|(?P<name>\"[^\"]*(?:\"|\Z)|`[^`]*(?:`|\Z))"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<rest>\s+|\d+(?:\.\d+)?|.)",
    re.DOTALL,
)
_WORDS = (
    "add all alter and any as asc begin between by cascade case check column commit constraint create cross "
    "database default delete desc distinct drop else end exists explain foreign from full function grant group "
    "having if in index inner insert into is join key left like limit merge natural not null offset on or order "
    "outer primary procedure references replace returning revoke right role rollback schema select set table then "
    "to trigger truncate union unique update user using values view when where with"
)
_KEYWORDS = frozenset(_WORDS.split(" "))
_DESTROYS = frozenset({"drop", "truncate", "alter", "grant", "revoke"})


@dataclass(frozen=True)
class Sql:
    """A statement: pieces of it, each with its kind, and what one should look at."""

    path: str
    pieces: tuple[tuple[str, str], ...]
    more: int
    warnings: tuple[str, ...]
    kind: str = "sql"

    @property
    def covers(self) -> tuple[str, ...]:
        return (self.path,)

    @property
    def cut(self) -> bool:
        return self.more > 0


def found(everywhere: list[Place]) -> Iterator[Sql]:
    """Text that looks like SQL."""
    for place in everywhere:
        if isinstance(place.value, str) and _LOOKS.match(place.value):
            shown = place.value[:MAX_SHOWN]
            pieces = tuple((kind, visible(text, keep="\n\t")) for kind, text in tokens(shown))
            yield Sql(place.path, pieces, len(place.value) - len(shown), tuple(dict.fromkeys(warnings(place.value))))


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """All of the text, in pieces: keyword, text, comment, or nothing special."""
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "rest"
        if match["text"] is not None:
            kind = "text"
        if kind == "word":
            kind = "keyword" if match[0].lower() in _KEYWORDS else "rest"
        yield kind if kind in {"keyword", "text", "comment"} else "rest", match[0]


def warnings(text: str) -> Iterator[str]:
    """What deserves a look, statement by statement."""
    statements = list(_statements(text))
    if len(statements) > 1:
        yield f"{len(statements)} SQL statements in one text."
    for words in statements:
        yield from _whole_table(words)
        if words[0][0] in _DESTROYS:
            yield f"This is {words[0][0].upper()}: it changes the structure or the rights, not rows."


def _statements(text: str) -> Iterator[list[tuple[str, int]]]:
    """The words of each statement, and how deep in parentheses each stands; `1=1` counts as the word `true`."""
    words: list[tuple[str, int]] = []
    depth = 0
    for match in _TOKEN.finditer(text):
        if match["word"]:
            words.append((match[0].lower(), depth))
        elif match["comment"] is None and match[0].strip():
            depth += {"(": 1, ")": -1}.get(match[0], 0)
            if match[0] == ";" and words:
                yield words
                words, depth = [], 0
            elif match[0] not in "();":
                words.append((match[0].lower(), depth))
    if words:
        yield words


def _whole_table(words: list[tuple[str, int]]) -> Iterator[str]:
    heads = [i for i, (word, _) in enumerate(words) if word in {"delete", "update"}]
    if len(heads) > MOST_HEADS or len(words) > MOST_WORDS:
        yield "This statement is too long to look for a missing WHERE."
        return
    for i in heads:
        word, depth = words[i]
        following = [later for later, deep in words[i + 1 :] if deep == depth]
        if (word == "delete" and following[:1] == ["from"]) or (word == "update" and "set" in following):
            if i and words[i - 1][0] in {"on", "for", "do", "key", "then"}:
                continue  # ON DELETE, FOR UPDATE, ON CONFLICT DO UPDATE: parts of something else
            if "where" not in following:
                yield f"{word.upper()} without WHERE: every row of the table."
            elif _is_true(following[following.index("where") + 1 :]):
                yield f"{word.upper()} whose WHERE is always true: every row of the table."


def _is_true(condition: list[str]) -> bool:
    first = condition[:3]
    return condition == ["true"] or (len(condition) == 3 and first[1:2] == ["="] and first[0] == first[2])
