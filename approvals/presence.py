"""Who is there right now: waiting callers, open streams, keys in use. In memory; nothing depends on it."""

from collections import Counter, defaultdict

from approvals.instant import SECOND, Instant

REPORT_SECONDS = 20.0
"""How often open streams are written down."""


class Presence:
    """Waiting callers by request, and open streams by gate session."""

    def __init__(self) -> None:
        self._callers: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._streams: Counter[str] = Counter()
        self._used: set[str] = set()
        self._browsing: set[str] = set()
        self._reported_at: Instant = 0

    def arrive(self, request_id: str, session: str, call_id: str) -> None:
        self._callers[request_id].add((session, call_id))

    def leave(self, request_id: str, session: str, call_id: str) -> None:
        callers = self._callers.get(request_id)
        if callers is not None:
            callers.discard((session, call_id))
            if not callers:
                del self._callers[request_id]

    def waiting(self, request_id: str) -> int:
        """How many callers are known to wait for this request."""
        return len(self._callers.get(request_id, ()))

    def stream_opened(self, session: str) -> None:
        self._streams[session] += 1

    def stream_closed(self, session: str) -> None:
        """The callers of a gate process that is gone no longer wait."""
        self._streams[session] -= 1
        if self._streams[session] <= 0:
            del self._streams[session]
            for request_id in [key for key, callers in self._callers.items() if any(s == session for s, _ in callers)]:
                for caller in [caller for caller in self._callers[request_id] if caller[0] == session]:
                    self.leave(request_id, *caller)

    def streaming(self) -> list[str]:
        """The gate sessions with an open stream."""
        return list(self._streams)

    def used(self, credential_id: str) -> None:
        """A key was used."""
        self._used.add(credential_id)

    def take_used(self) -> set[str]:
        """The keys used since last asked."""
        used, self._used = self._used, set()
        return used

    def browsing(self, web_session: str) -> None:
        """A person opened a page, or sent a form."""
        self._browsing.add(web_session)

    def take_browsing(self) -> set[str]:
        """The web sessions whose people did something since last asked."""
        browsing, self._browsing = self._browsing, set()
        return browsing

    def due(self, now: Instant) -> bool:
        """Whether it is time to write down who is there."""
        if now < self._reported_at + REPORT_SECONDS * SECOND:
            return False
        self._reported_at = now
        return True
