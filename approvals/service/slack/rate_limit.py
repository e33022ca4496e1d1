"""How fast messages come into one channel: a few at once, then one a second; what is more comes together."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

AT_ONCE, PER_SECOND = 5.0, 1.0
TOGETHER = 3.0
"""Seconds in which what is too much is collected."""
MOST = 50

T = TypeVar("T")


class RateLimit:
    """A token bucket per channel. `now` in seconds, from any fixed moment."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, channel: str, now: float) -> bool:
        """Whether one more message may be posted there now."""
        left, since = self._left.get(channel, (AT_ONCE, now))
        left = min(AT_ONCE, left + (now - since) * PER_SECOND)
        self._left[channel] = (left - 1 if left >= 1 else left, now)
        return left >= 1


class Gathering(Generic[T]):
    """Collects what belongs to one key for a while, and does it together. Everybody who added something waits for it,
    gets its result, and hears its error."""

    def __init__(self, do: Callable[[str, list[str]], Awaitable[T]], seconds: float) -> None:
        self._do = do
        self._seconds = seconds
        self._open: dict[str, tuple[list[str], asyncio.Task[T]]] = {}

    async def add(self, key: str, what: str) -> T:
        """Returns once it is done."""
        if key not in self._open or len(self._open[key][0]) >= MOST:
            collected: list[str] = []
            self._open[key] = (collected, asyncio.create_task(self._later(key, collected)))
        collected, task = self._open[key]
        if what not in collected:
            collected.append(what)
        return await asyncio.shield(task)

    async def _later(self, key: str, collected: list[str]) -> T:
        await asyncio.sleep(self._seconds)
        if key in self._open and self._open[key][0] is collected:
            del self._open[key]
        return await self._do(key, collected)
