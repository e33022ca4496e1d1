"""A clock that only tests move."""

from approvals.instant import SECOND, Clock, Instant


class HandClock(Clock):
    """A clock that tests move. `wall` may be set back; `ticks` never."""

    def __init__(self) -> None:
        self.at: Instant = 1_800_000_000 * SECOND
        self.ticked: Instant = 0
        super().__init__(lambda: self.at, lambda: self.ticked)

    def forward(self, seconds: float) -> None:
        self.at += round(seconds * SECOND)
        self.ticked += round(seconds * SECOND)

    def set_back(self, seconds: float) -> None:
        self.at -= round(seconds * SECOND)
