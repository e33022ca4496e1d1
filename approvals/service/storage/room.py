"""Whether there is room to write in: what /readyz and /metrics say of it."""

import os
from pathlib import Path

from approvals.instant import SECOND, Clock, Instant

REMEMBERED = 15 * SECOND
"""A write that found no room counts for so long, unless one has succeeded since."""
LEAST = 1 << 20
"""Bytes: with less left the next write fails, or the one after it."""


class Room:
    """Remembers what the last write met."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: Instant | None = None

    def found(self) -> None:
        self._refused = None

    def refused(self) -> None:
        self._refused = self._clock.now()

    @property
    def is_gone(self) -> bool:
        return self._refused is not None and self._clock.now() - self._refused < REMEMBERED


def is_left(folder: Path) -> bool:
    """Whether the disk beneath a folder has some; where nobody can say, it has."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return True
    return disk.f_bavail * disk.f_frsize >= LEAST
