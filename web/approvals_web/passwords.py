"""Passwords: argon2id (pwdlib's recommendation, 64 MiB each), in a thread, few at a time."""

import asyncio
import contextlib
import threading
from functools import cache

from pwdlib import PasswordHash

from approvals.errors import Invalid, TooMany, Unauthenticated
from approvals.instant import SECOND, Instant
from approvals.people import MINIMUM_PASSWORD

AT_ONCE = threading.Semaphore(2)
TRIES = 10
WINDOW = 15 * 60 * SECOND


async def hashed(password: str) -> str:
    """Raises Invalid when it is too short to be one."""
    if len(password) < MINIMUM_PASSWORD or len(password) > 1000:
        raise Invalid(f"A password has at least {MINIMUM_PASSWORD} characters.", hint="A few words are good.")
    return await asyncio.to_thread(_hash, password)


async def check(password: str, known: str | None) -> None:
    """Raises Unauthenticated. Takes as long when nobody has that name."""
    if not await asyncio.to_thread(_verify, password, known or _nobody()) or known is None:
        raise Unauthenticated("The name or the password is wrong.", hint="Try again, or ask an admin for a new link.")


class Attempts:
    """Counts failed sign-ins by name and address, in this process."""

    def __init__(self) -> None:
        self._failed: dict[tuple[str, str], list[Instant]] = {}

    def take(self, name: str, address: str, now: Instant) -> None:
        """Count one, before it is known whether it fails. Raises TooMany, which is not counted."""
        keys = ((name, ""), ("", address))
        self._failed = {
            key: recent for key, times in self._failed.items() if (recent := [at for at in times if at > now - WINDOW])
        }
        if any(len(self._failed.get(key, [])) >= TRIES for key in keys):
            raise TooMany("Too many failed sign-ins.", hint="Wait a quarter of an hour, or use a sign-in link.")
        for key in keys:
            self._failed.setdefault(key, []).append(now)

    def succeeded(self, name: str, address: str, now: Instant) -> None:
        """That one was right: it does not count."""
        for key in ((name, ""), ("", address)):
            with contextlib.suppress(KeyError, ValueError):
                self._failed[key].remove(now)


def _hash(password: str) -> str:
    with AT_ONCE:
        return PasswordHash.recommended().hash(password)


def _verify(password: str, known: str) -> bool:
    with AT_ONCE:
        return PasswordHash.recommended().verify(password, known)


@cache
def _nobody() -> str:
    return PasswordHash.recommended().hash("nobody has this password")
