"""Files that are nobody else's: made with mode 0600, and refused once others can open or replace them."""

import os
import stat
from pathlib import Path
from typing import TextIO

from approvals.errors import Unavailable

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def create(path: Path, text: str) -> None:
    """Make one, durably. Raises FileExistsError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> str:
    """The text of one that holds keys. Raises FileNotFoundError, and Unavailable when others can open it."""
    try:
        with path.open(encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            _check_owner(path, found)
            if found.st_mode & OTHERS:
                raise Unavailable(
                    f"{path} holds keys, and others can open it (mode {stat.S_IMODE(found.st_mode):04o}).",
                    hint=f"Close it: chmod 600 '{path}'. Whoever may have read it has its keys.",
                )
            return file.read()
    except (PermissionError, UnicodeDecodeError) as error:
        raise Unavailable(f"{path} cannot be read: {type(error).__name__}.", hint="Run this as its owner.") from error


def opened(path: Path) -> TextIO:
    """One without secrets, made when it is not there and closed to others: what they cannot open, they cannot lock.
    Raises Unavailable."""
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{path} cannot be opened: {error.strerror}.", hint="Run this as its owner.") from error
    try:
        found = os.fstat(file.fileno())
        _check_owner(path, found)
        if found.st_mode & OTHERS:
            os.fchmod(file.fileno(), 0o600)
    except BaseException:
        file.close()
        raise
    return file


def _check_owner(path: Path, found: os.stat_result) -> None:
    """The superuser may use anybody's."""
    if os.getuid() not in {found.st_uid, 0}:
        raise Unavailable(f"{path} belongs to another user.", hint="Run this as its owner, or make it yours: chown.")
