"""The policy file: what it says now."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

MOST = 1_048_576
"""Bytes; a longer file is refused."""


@dataclass(frozen=True)
class Content:
    """What a look at the file found: its text, or why there is none."""

    text: str = ""
    trouble: str = ""


class PolicyFile:
    """One file, looked at again and again. Thread-safe: it keeps nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def look(self) -> Content:
        """Read the file's content. Contents are compared, not times: a file may change twice within one tick of a
        clock, and a mounted one may keep its time."""
        try:
            # a pipe or a device would keep the reader waiting
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    return Content(trouble="it is no regular file")
                raw = file.read(MOST + 1)
        except OSError as error:
            return Content(trouble=f"it cannot be read: {error.strerror}")
        if len(raw) > MOST:
            return Content(trouble=f"it is longer than {MOST:,} bytes")
        try:
            return Content(raw.decode())
        except UnicodeDecodeError as error:
            return Content(trouble=f"byte {error.start} is no UTF-8")
