"""Instants as people read them: how long ago, with the exact moment on hover; the script says it in local time."""

from datetime import timedelta

from markupsafe import Markup

from approvals.instant import SECOND, Instant, to_datetime

MINUTE, HOUR, DAY = 60, 3600, 86_400
A_WEEK = 7 * DAY


def exact(at: Instant | None) -> str:
    """To the second, in UTC; for records that are compared."""
    return "" if at is None else to_datetime(at).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(at: Instant | None, now: Instant) -> Markup:
    """A time element; nothing for no instant."""
    if at is None:
        return Markup()
    machine = to_datetime(at).strftime("%Y-%m-%dT%H:%M:%SZ")
    words = Markup('<time datetime="{}" title="{}">{}</time>')
    return words.format(machine, to_datetime(at).strftime("%-d %b %Y, %H:%M:%S UTC"), relative(at, now))


def at(at: Instant | None) -> Markup:
    """The same for parts that are hashed, which say the same at any time; the script tells how long ago it was."""
    return Markup() if at is None else ago(at, at + 8 * DAY * SECOND)


def relative(at: Instant, now: Instant) -> str:
    """“9 min ago”, “in 2 h”; a date beyond a week."""
    seconds = round((now - at) / SECOND)
    if abs(seconds) >= A_WEEK:
        return to_datetime(at).strftime("%-d %b %Y")
    if abs(seconds) < MINUTE:
        return "just now" if seconds >= 0 else "in a moment"
    words = _rough(abs(seconds))
    return f"{words} ago" if seconds > 0 else f"in {words}"


def span(seconds: float) -> str:
    """How long: seconds below two minutes, then minutes, hours and days."""
    left = int(timedelta(seconds=round(seconds)).total_seconds())
    if left < 2 * MINUTE:
        return f"{left} s"
    if left < HOUR:
        return f"{left // MINUTE} min"
    big, unit, small, rest = (DAY, "d", HOUR, "h") if left >= DAY else (HOUR, "h", MINUTE, "min")
    whole, part = left // big, left % big // small
    return f"{whole} {unit} {part} {rest}" if part else f"{whole} {unit}"


def _rough(seconds: int) -> str:
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < DAY:
        return f"{seconds // HOUR} h"
    days = seconds // DAY
    return f"{days} {'day' if days == 1 else 'days'}"
