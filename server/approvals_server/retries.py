"""Reads that are tried again when the system behind a server was away for a moment. Writes never are."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSES = (0.1, 0.5)
"""Seconds before the second and the third attempt."""


class Away(Exception):
    """The system could not be reached, or broke off: trying again may help. Says no address and no credential."""


async def read(attempt: Callable[[], Awaitable[T]], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> T:
    """What the attempt gives, the first time it is not away. Raises Away when it stays so."""
    for pause in PAUSES:
        try:
            return await attempt()
        except Away:
            await sleep(pause)
    return await attempt()
