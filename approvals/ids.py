"""Identifiers: UUIDv7 (RFC 9562), so that they sort by the time they were made."""

import secrets
import uuid

from approvals.instant import Instant


def new(now: Instant) -> str:
    """A UUIDv7 for `now`: 48 bits of milliseconds, 12 of their fraction, the rest random."""
    milliseconds, micro = divmod(now, 1000)
    fraction = micro * 4096 // 1000
    value = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62
    return str(uuid.UUID(int=value | secrets.randbits(62)))


def parsed(text: str) -> str | None:
    """An identifier as it is written here; None for what is none."""
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError:
        return None


def first(at: Instant) -> str:
    """The lowest that can be made at this instant: where a search by time begins."""
    milliseconds, micro = divmod(at, 1000)
    value = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | (micro * 4096 // 1000) << 64 | 0b10 << 62
    return str(uuid.UUID(int=value))


def instant(made: str) -> Instant:
    """When it was made, to the millisecond."""
    return (uuid.UUID(made).int >> 80) * 1000
