"""What psycopg says went wrong: with a statement, with a connection, or because somebody else was at the same thing."""

import psycopg

from approvals.errors import Unavailable

CROSSED = {"23505", "40001", "40P01"}
"""Somebody else was at the same thing: unique violation, serialization failure, deadlock. Another look decides."""


def is_broken(error: psycopg.Error) -> bool:
    """Whether the connection, rather than the statement, failed: it ended, the server is going down, or is by now a
    copy that only reads (25006)."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(("08", "57P")) or error.sqlstate in {"25P03", "25P04", "25006"}


def is_full(error: BaseException | None) -> bool:
    """Whether the database had no room to write in."""
    return isinstance(error, psycopg.Error) and error.sqlstate == "53100"


def unavailable(error: psycopg.Error) -> Unavailable:
    if is_full(error):
        return Unavailable(
            "The database's disk is full, and nothing was written.",
            hint="Make room on it, then try again: nothing has to be restarted.",
        )
    return Unavailable(f"The database cannot be used: {words(error)}.", hint="Try again when it is back.")


def words(error: BaseException) -> str:
    """What happened, without where: connection errors name hosts and users."""
    return f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
