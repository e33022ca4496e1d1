"""Wakes one waiting coroutine, in one step of the event loop."""

import asyncio


class Bell:
    """Rung while nobody waits, it ends the next wait at once. Event loop only."""

    def __init__(self) -> None:
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        self._rung = True
        self._end(self._waiter)

    async def wait(self, seconds: float) -> bool:
        """Whether it was rung, before or within `seconds`; it is silent again afterwards."""
        if not self._rung:
            loop = asyncio.get_running_loop()
            self._waiter = waiter = loop.create_future()
            timer = loop.call_later(seconds, self._end, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiter = None
        rung, self._rung = self._rung, False
        return rung

    @staticmethod
    def _end(waiter: "asyncio.Future[None] | None") -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
