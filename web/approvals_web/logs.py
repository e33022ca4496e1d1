"""Logs on standard error: one JSON object per line, or text where a person looks on.

Words have credentials masked and control characters escaped. Of an exception there is the first line of its
words only: what follows, in a database's errors, are the values that were at hand.
"""

import logging
import sys
import traceback
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from approvals.errors import Invalid
from approvals.protocol import redaction

FORMATS = ("auto", "json", "text")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MOST = 8_000
SHORT = 500

Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configure(form: str, level: str) -> None:
    """Send every logger of this process there; `approvals` at this level, others' warnings. Raises Invalid."""
    if form not in FORMATS or level.upper() not in LEVELS:
        raise Invalid(
            f"APPROVALS_LOG is {form!r:.40} and APPROVALS_LOG_LEVEL {level!r:.40}.",
            hint=f"Use one of {', '.join(FORMATS)}, and one of {', '.join(LEVELS)}.",
        )
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Text() if as_text else Json())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("approvals").setLevel(level.upper())
    logging.captureWarnings(True)


class Json(JsonFormatter):
    """`time`, `level`, `logger`, `message`, `exception` where there is one, and what was given as `extra`: facts of our
    own, never anybody's words."""

    def __init__(self) -> None:
        names = {"levelname": "level", "name": "logger", "exc_info": "exception"}
        super().__init__("{levelname}{name}{message}", style="{", rename_fields=names, timestamp="time")

    def formatException(self, ei: Raised) -> str:
        return _told(ei)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, object]:
        log_data["message"] = redaction.text(log_data["message"], MOST)
        return log_data


class Text(logging.Formatter):
    """One line, and the lines of an exception."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {message}", datefmt="%H:%M:%S", style="{")

    def formatException(self, ei: Raised) -> str:
        return _told(ei)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _visible(redaction.text(super().formatMessage(record), MOST))


def _told(raised: Raised) -> str:
    """The traceback of an exception and of those that led to it, with the first line of each one's words."""
    parts: list[str] = []
    error, seen = raised[1], set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        words = _visible(redaction.text((str(error).splitlines() or [""])[0], SHORT))
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}: {words}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nwhich came of:\n".join(parts)


def _visible(words: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in words)
