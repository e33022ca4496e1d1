"""Turns at claiming. What is claimed has to start within seconds, so a gate claims no more at once than it can start at
once; what else is approved stays so, and waits here."""

import contextlib
from collections.abc import Callable, Iterator

AT_ONCE = 8
"""Claims on their way, from being sent until the tool starts. Ten milliseconds each are 800 a second."""


class Turn:
    """One call's. `call_up` is called when it has come; then the call takes it, or ends it."""

    def __init__(self, turns: "Turns", call_up: Callable[[], None]) -> None:
        self._turns = turns
        self.call_up = call_up

    def take(self) -> bool:
        """Whether it has come. If not, it is in the queue from now on."""
        return self._turns.take(self)

    @property
    def waits(self) -> bool:
        """Whether it is in the queue."""
        return self._turns.waits(self)

    def end(self) -> None:
        """The tool starts, or this call has nothing to claim (any more): the next one's turn."""
        self._turns.end(self)


class Turns:
    """The turns of one gate process, in the order in which they were asked for. Event loop only."""

    def __init__(self) -> None:
        self._taken: set[Turn] = set()
        self._queue: dict[Turn, None] = {}

    @contextlib.contextmanager
    def turn(self, call_up: Callable[[], None]) -> Iterator[Turn]:
        """A turn that ends with the context, at the latest."""
        turn = Turn(self, call_up)
        try:
            yield turn
        finally:
            turn.end()

    def take(self, turn: Turn) -> bool:
        if turn not in self._taken and (self._queue or len(self._taken) >= AT_ONCE):
            self._queue[turn] = None
            return False
        self._taken.add(turn)
        return True

    def waits(self, turn: Turn) -> bool:
        return turn in self._queue

    def end(self, turn: Turn) -> None:
        self._queue.pop(turn, None)
        self._taken.discard(turn)
        while self._queue and len(self._taken) < AT_ONCE:
            following = next(iter(self._queue))
            del self._queue[following]
            self._taken.add(following)
            following.call_up()
