"""What SQLite, or the system beneath it, has against a file, and what to do about it."""

import sqlite3
from pathlib import Path

from approvals.errors import Unavailable

NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC}
"""The disk is full, or takes nothing any more: SQLite meets either, by where it is when it happens."""


def is_full(error: BaseException) -> bool:
    """Whether there was no room to write in."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode in NO_ROOM


def full(path: Path) -> Unavailable:
    return Unavailable(
        f"The disk of the database {path.absolute()} is full, and nothing was written.",
        hint="Make room on it, then try again: nothing has to be restarted.",
    )


def unusable(path: Path, words: str) -> Unavailable:
    return Unavailable(
        f"The database {path.absolute()} cannot be used: {words}.",
        hint="Is it the right file? It and its folder have to be there, and yours to write.",
    )
