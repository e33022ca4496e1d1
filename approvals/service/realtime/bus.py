"""Wakes whoever waits for a request, in this process. Event loop only.

A waiter subscribes first and then reads the row, so no wake-up is lost.
"""

import contextlib
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator

Listener = Callable[[str], None]
EVERYTHING = "*"


class Bus:
    """Listeners by request id; `EVERYTHING` hears of all."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(4)
        self._woken = 0
        self._listeners: dict[str, set[Listener]] = defaultdict(set)

    @property
    def mark(self) -> str:
        """Differs from one taken before if anybody was woken since, or this is another process."""
        return f"{self._name}-{self._woken}"

    def subscribe(self, listener: Listener, request_ids: Iterable[str]) -> None:
        for request_id in request_ids:
            self._listeners[request_id].add(listener)

    def unsubscribe(self, listener: Listener, request_ids: Iterable[str]) -> None:
        for request_id in request_ids:
            listeners = self._listeners.get(request_id)
            if listeners is not None:
                listeners.discard(listener)
                if not listeners:
                    del self._listeners[request_id]

    @contextlib.contextmanager
    def listening(self, listener: Listener, request_ids: Collection[str]) -> Iterator[None]:
        """Subscribed for as long as the context lasts."""
        self.subscribe(listener, request_ids)
        try:
            yield
        finally:
            self.unsubscribe(listener, request_ids)

    def wake(self, request_id: str) -> None:
        """Tell every listener of this request; the waiting gate first, the pages after."""
        self._woken += 1
        for key in (request_id, EVERYTHING):
            for listener in tuple(self._listeners.get(key, ())):
                listener(request_id)

    def wake_all(self) -> None:
        """Tell every listener: the service is stopping."""
        for request_id in tuple(self._listeners):
            for listener in tuple(self._listeners.get(request_id, ())):
                listener(request_id)
