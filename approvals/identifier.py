"""Identifiers: UUIDv7 (RFC 9562), so that they sort by the time they were made."""

import secrets
import uuid

from approvals.instant import Instant


def earliest(at: Instant) -> str:
    """Not above any identifier made at that instant or later."""
    return str(uuid.UUID(int=(at // 1000 & (2**48 - 1)) << 80))


def new(now: Instant) -> str:
    """A UUIDv7 for `now`: 48 bits of milliseconds, 12 of their fraction, the rest random."""
    milliseconds, micro = divmod(now, 1000)
    fraction = micro * 4096 // 1000
    value = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62
    return str(uuid.UUID(int=value | secrets.randbits(62)))
