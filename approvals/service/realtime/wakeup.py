"""Wakes one waiting coroutine, in one step of the event loop."""

import asyncio


class Wakeup:
    """One that is set while nobody waits ends the next wait at once. Event loop only."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        self._is_set = True
        self._end(self._waiter)

    async def wait(self, seconds: float) -> bool:
        """Wait for it, `seconds` at most; whether it was set, before or meanwhile. It is not set afterwards."""
        if not self._is_set:
            loop = asyncio.get_running_loop()
            self._waiter = waiter = loop.create_future()
            timer = loop.call_later(seconds, self._end, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiter = None
        was_set, self._is_set = self._is_set, False
        return was_set

    @staticmethod
    def _end(waiter: "asyncio.Future[None] | None") -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
