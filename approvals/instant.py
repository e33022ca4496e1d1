"""Instants: whole microseconds since 1970-01-01 UTC, as stored; aware datetimes where people look."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
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


def written(instant: Instant | None) -> str:
    """An instant as ISO 8601, to the second; nothing for none."""
    return "" if instant is None else to_datetime(instant).isoformat(timespec="seconds")


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


@dataclass(frozen=True)
class Course:
    """Where a clock is that follows another one: at `at` when the ticks were `ticked`, and on at their pace. `ahead`:
    of the other one, since that was set back."""

    at: Instant
    ticked: Instant
    ahead: int = 0

    def on(self, ticks: Instant) -> Instant:
        """Where it is when the ticks are `ticks`."""
        return self.at + ticks - self.ticked


@dataclass(frozen=True)
class Reading:
    """What the other clock said, somewhere between the ticks `asked` and `heard`."""

    said: Instant
    asked: Instant
    heard: Instant


def followed(course: Course, reading: Reading) -> Course:
    """The course after a look at the other clock. One that was set back is not followed: time goes on from where it
    was, ahead of that clock by as much; less by what it is set forward again, and not at all once it is right.

    Never ahead by more than that: a course is moved forward by what a clock says, not by what is added to it. What is
    less than a STEP is drift, or the way of the answer. An answer that took longer is old: it cannot tell of a step.
    """
    present = course.on(reading.heard)
    if reading.heard - reading.asked > STEP:
        return replace(course, at=max(present, reading.said), ticked=reading.heard)
    ahead = course.on(reading.asked) - reading.said
    if ahead <= STEP:
        return Course(reading.said, reading.heard)
    ahead = course.ahead if abs(ahead - course.ahead) <= STEP else ahead
    return Course(min(present, reading.said + ahead), reading.heard, ahead)


class DatabaseClock(Clock):
    """A clock that follows the one of a database that several processes share, and never runs backwards."""

    def __init__(self, ticks: Callable[[], Instant] = ticks) -> None:
        super().__init__(lambda: 0, ticks)
        self._course = Course(0, ticks())

    def now(self) -> Instant:
        with self._lock:
            return self._show(self._ticks())

    def not_below(self, instant: Instant) -> None:
        """As above, and on from there: another process was as far."""
        with self._lock:
            ticks = self._ticks()
            if instant > self._course.on(ticks):
                self._course = replace(self._course, at=instant, ticked=ticks)
            self._show(ticks)

    def told(self, instant: Instant, asked: Instant) -> Instant:
        """As above, following the database."""
        with self._lock:
            ticks = self._ticks()
            self._course = followed(self._course, Reading(instant, asked, ticks))
            return self._show(ticks)

    def _show(self, ticks: Instant) -> Instant:
        self._highest = max(self._highest, self._course.on(ticks))
        return self._highest
