"""The database's errors in words for agents: what it said, and what to do. Never where it is or who asked."""

import psycopg

LONGEST = 500
_NEXT = {
    "08P01": "Write the values into the statement: parameters such as $1 have none.",
    "25006": "This is a read-only transaction: writes go through execute_write.",
    "42501": "This server's role may not do that.",
    "55P03": "Somebody else holds a lock on it: try again later.",
    "57014": "It took longer than {seconds:g} seconds: ask for less, or by an index.",
    "40001": "It met another transaction: try again.",
    "40P01": "It met another transaction: try again.",
}


class Refused(Exception):
    """The database said no, in words for the agent; `code` is its SQLSTATE."""

    def __init__(self, words: str, code: str = "") -> None:
        super().__init__(words)
        self.code = code


def worded(error: psycopg.Error, seconds: float) -> str:
    """What the database said, and what to do."""
    said = error.diag.message_primary or str(error)
    code = error.sqlstate or ""
    hints = [_NEXT.get(code, "").format(seconds=seconds), error.diag.message_hint or ""]
    words = " ".join(filter(None, [f"{said[:LONGEST]}.", *hints]))
    return f"{words[: 2 * LONGEST]} (SQLSTATE {code})" if code else words[: 2 * LONGEST]
