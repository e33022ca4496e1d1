"""Passwords: argon2id (pwdlib's recommendation, 64 MiB each), in a thread, few at a time."""

import asyncio
import threading
from functools import cache

from pwdlib import PasswordHash

from approvals.errors import Invalid, Unauthenticated
from approvals.service.identity.passwords import MINIMUM_PASSWORD

AT_ONCE = threading.Semaphore(2)
HASHER = PasswordHash.recommended()


async def hashed(password: str) -> str:
    """Raises Invalid when it is too short to be one."""
    if len(password) < MINIMUM_PASSWORD or len(password) > 1000:
        raise Invalid(f"A password has at least {MINIMUM_PASSWORD} characters.", hint="A few words are good.")
    return await asyncio.to_thread(_hash, password)


async def check(password: str, known: str | None) -> None:
    """Raises Unauthenticated. Takes as long when nobody has that name."""
    nobody = await asyncio.to_thread(_nobody)
    if not await asyncio.to_thread(_verify, password, known or nobody) or known is None:
        raise Unauthenticated("The name or the password is wrong.", hint="Try again, or ask an admin for a new link.")


def _hash(password: str) -> str:
    with AT_ONCE:
        return HASHER.hash(password)


def _verify(password: str, known: str) -> bool:
    with AT_ONCE:
        return HASHER.verify(password, known)


@cache
def _nobody() -> str:
    return HASHER.hash("nobody has this password")
