"""What this process has seen and not yet written down: keys in use, people browsing. In memory; written every 20 s."""

from approvals.instant import SECOND, Instant

REPORT_SECONDS = 20.0


class ActivityBuffer:
    """Event loop only, but for `used` and `browsing`."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._browsing: set[str] = set()
        self._reported_at: Instant = 0

    def used(self, credential_id: str) -> None:
        """A key was used."""
        self._used.add(credential_id)

    def browsing(self, web_session: str) -> None:
        """A person opened a page, or sent a form."""
        self._browsing.add(web_session)

    def take(self) -> tuple[set[str], set[str]]:
        """The keys used, and the web sessions whose people did something, since last asked."""
        taken = self._used, self._browsing
        self._used, self._browsing = set(), set()
        return taken

    def due(self, now: Instant) -> bool:
        """Whether it is time to write them down."""
        if now < self._reported_at + REPORT_SECONDS * SECOND:
            return False
        self._reported_at = now
        return True
