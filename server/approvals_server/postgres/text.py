"""The words of a statement, without its strings and comments. The database decides what it is; this only names it."""

import re

_PIECE = re.compile(
    r"""
    (?P<comment> --[^\n]* )
    | (?P<open> /\* )
    | (?P<string> [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
    | (?P<space> \s+ )
    | (?P<word> [^\W\d]\w* )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_EDGE = re.compile(r"/\*|\*/")


def pieces(sql: str) -> list[tuple[str, int]]:
    """Its pieces, lower-case, each with where it ends; strings are "'", and spaces and comments are left out."""
    found: list[tuple[str, int]] = []
    at = 0
    while match := _PIECE.match(sql, at):
        start, at = at, _after_comment(sql, at) if match["open"] else match.end()
        if match["open"] and not at:
            return [*found, (sql[start:], len(sql))]
        if match["string"]:
            found.append(("'", at))
        elif match["word"] or match["other"]:
            found.append((match[0].lower(), at))
    return found


def single(sql: str) -> str:
    """The text without what may follow one statement: semicolons, spaces and comments."""
    told = pieces(sql)
    while told and told[-1][0] == ";":
        told.pop()
    return sql[: told[-1][1]].strip() if told else ""


def _after_comment(sql: str, at: int) -> int:
    """Comments hold comments. 0 for one that never ends, which the database refuses."""
    depth = 0
    for edge in _EDGE.finditer(sql, at):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return 0
