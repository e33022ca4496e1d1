"""Instants: whole microseconds since 1970-01-01 UTC, as stored; aware datetimes where people look."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Instant = int
SECOND = 1_000_000
STEP = SECOND
"""A clock that differs by more was set; by less, it only drifts."""


def after(instant: Instant, span: timedelta | float) -> Instant:
    """The instant `span` (a timedelta, or seconds) later."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    return instant + round(seconds * SECOND)


def seconds_until(instant: Instant, now: Instant) -> float:
    """Seconds from `now` until `instant`, never below 0."""
    return max(0, instant - now) / SECOND


def to_datetime(instant: Instant) -> datetime:
    """The aware UTC datetime."""
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=instant)


def wall() -> Instant:
    """What the operating system says."""
    return time.time_ns() // 1000


def ticks() -> Instant:
    """A clock that only ever runs forward, of unknown origin."""
    return time.monotonic_ns() // 1000


class Clock:
    """The service's clock: the wall clock, but never below the highest instant it has shown or was told of.

    A wall clock that is set back does not stop it: it goes on at the pace of the monotonic clock, so that what should
    expire still does.
    """

    def __init__(self, wall: Callable[[], Instant] = wall, ticks: Callable[[], Instant] = ticks) -> None:
        self._wall = wall
        self._ticks = ticks
        self._lock = threading.Lock()
        self._highest = 0
        self._seen_at = ticks()

    def now(self) -> Instant:
        """The present instant. Thread-safe."""
        with self._lock:
            ticks = self._ticks()
            self._highest = max(self._wall(), self._highest + max(0, ticks - self._seen_at))
            self._seen_at = ticks
            return self._highest

    def not_below(self, instant: Instant) -> None:
        """Never again show an instant below this one (the highest recorded)."""
        with self._lock:
            self._highest = max(self._highest, instant)

    def asked(self) -> Instant:
        """When a database is asked for its time: for `told`, with the answer."""
        return self._ticks()

    def told(self, instant: Instant, asked: Instant) -> Instant:
        """The present instant, given what the database's own clock says: this clock keeps its own."""
        return self.now()


class DatabaseClock(Clock):
    """A clock that follows the one of a database that several processes share.

    Between two looks it goes on at the pace of the monotonic clock. A database whose clock is set back does not stop
    it: the step is added from then on.
    """

    def __init__(self, ticks: Callable[[], Instant] = ticks) -> None:
        super().__init__(lambda: 0, ticks)
        self._behind = 0

    def now(self) -> Instant:
        with self._lock:
            return self._highest + max(0, self._ticks() - self._seen_at)

    def told(self, instant: Instant, asked: Instant) -> Instant:
        """As above, following the database. An answer that took long (a process that was stopped, a wait for a lock) is
        old, so it does not tell that the database's clock was set back."""
        with self._lock:
            ticks = self._ticks()
            present = self._highest + max(0, ticks - self._seen_at)
            slow = ticks - asked > STEP
            if slow and instant + self._behind <= present:
                return present
            then = self._highest + asked - self._seen_at
            if not slow and instant + self._behind < then - STEP:
                self._behind = then - instant
            self._highest = max(self._highest, instant + self._behind)
            self._seen_at = ticks
            return self._highest
