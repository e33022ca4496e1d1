"""How many streams one caller may hold open: each costs memory and a look at every change. Event loop only."""

import contextlib
from collections import Counter
from collections.abc import Iterator

from approvals.errors import TooMany

RETRY_SECONDS = 5


class Places:
    """At most `most` for each key; `words` says of what."""

    def __init__(self, most: int, words: str) -> None:
        self._most = most
        self._words = words
        self._taken: Counter[str] = Counter()

    def check(self, key: str) -> None:
        """Raises TooMany when none is left."""
        if self._taken[key] >= self._most:
            raise TooMany(
                f"There are {self._most:,} {self._words} already.",
                hint="Close one of them.",
                retry_after_seconds=RETRY_SECONDS,
            )

    @contextlib.contextmanager
    def held(self, key: str) -> Iterator[None]:
        """One more, for as long as the context lasts."""
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
