"""The open event streams of gates: which requests each follows, and which of those changed. Event loop only."""

import contextlib
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator

from approvals.service.realtime.bus import Bus
from approvals.service.realtime.wakeup import Wakeup

MOST = 4
"""Streams of one gate process."""


class GateStream:
    """One gate process's stream."""

    def __init__(self, session: str, installation_id: str) -> None:
        self.id = uuid.uuid4().hex
        self.session = session
        self.installation_id = installation_id
        self.follows: set[str] = set()
        self.ended = False
        """Told to end: its process opened newer ones."""
        self._changed: dict[str, None] = {}
        self._looks: dict[str, None] = {}
        self._edits: dict[tuple[str, str], None] = {}
        self._renewal = False
        self._wakeup = Wakeup()

    def poke(self, request_id: str) -> None:
        """Note that a request changed."""
        self._changed[request_id] = None
        self._wakeup.set()

    def changed(self) -> list[str]:
        """What changed since last asked, in order."""
        changed, self._changed = list(self._changed), {}
        return changed

    def look(self, request_id: str) -> None:
        """Have the gate look up again what this request would do."""
        self._looks[request_id] = None
        self._wakeup.set()

    def looks(self) -> list[str]:
        """What is to be looked up again since last asked."""
        looks, self._looks = list(self._looks), {}
        return looks

    def edit(self, request_id: str, edit_id: str) -> None:
        """Have the gate read what a person made of this request."""
        self._edits[request_id, edit_id] = None
        self._wakeup.set()

    def edits(self) -> list[tuple[str, str]]:
        """The requests, and the edits of them, that are to be read since last asked."""
        edits, self._edits = list(self._edits), {}
        return edits

    def renew(self) -> None:
        """Have a lease sent at once: the gate's verdicts may have changed."""
        self._renewal = True
        self._wakeup.set()

    def renewal(self) -> bool:
        """Whether a lease became due since last asked."""
        due, self._renewal = self._renewal, False
        return due

    async def wait(self, seconds: float) -> bool:
        """Whether something happened within `seconds`; the end of the service counts."""
        return await self._wakeup.wait(seconds)

    def end(self) -> None:
        """Wake it, so that it ends."""
        self.ended = True
        self._wakeup.set()

    def stop(self) -> None:
        """Wake it, so that it sees the service stopping."""
        self._wakeup.set()


class GateStreams:
    """The streams by gate session."""

    def __init__(self, bus: Bus, ended: Callable[[GateStream], None]) -> None:
        self._bus = bus
        self._ended = ended
        self._streams: dict[str, dict[GateStream, None]] = defaultdict(dict)
        """In the order they came."""

    @contextlib.contextmanager
    def open(self, stream: GateStream) -> Iterator[None]:
        """Registered for as long as the context lasts. A process needs one; that of a connection which broke may linger
        unseen, so the oldest of too many end."""
        streams = self._streams[stream.session]
        streams[stream] = None
        for oldest in list(streams)[:-MOST]:
            oldest.end()
        try:
            yield
        finally:
            self._bus.unsubscribe(stream.poke, stream.follows)
            self._streams[stream.session].pop(stream, None)
            if not self._streams[stream.session]:
                del self._streams[stream.session]
            self._ended(stream)

    def follow(self, session: str, request_id: str) -> bool:
        """From now on, tell this session's streams of this request; whether that was new to any."""
        new = [stream for stream in self._streams.get(session, ()) if request_id not in stream.follows]
        for stream in new:
            stream.follows.add(request_id)
            self._bus.subscribe(stream.poke, [request_id])
        return bool(new)

    def tell(self, session: str, request_id: str) -> None:
        """Have a session's streams say how it stands with a request, though no change was heard of."""
        for stream in self._streams.get(session, ()):
            stream.poke(request_id)

    def look(self, session: str, request_id: str) -> None:
        """Have a session's newest stream ask its gate to look up a request's effect again."""
        for stream in list(self._streams.get(session, ()))[-1:]:
            stream.look(request_id)

    def edit(self, session: str, request_id: str, edit_id: str) -> None:
        """Have a session's newest stream make its gate read what a person made of a request."""
        for stream in list(self._streams.get(session, ()))[-1:]:
            stream.edit(request_id, edit_id)

    def forget(self, stream: GateStream, request_id: str) -> None:
        """Note that a stream has told how the request ended. Nobody else may say so for it: what ends a request can be
        read before it has woken the streams, and a stream that was made to forget it would sleep on."""
        stream.follows.discard(request_id)
        self._bus.unsubscribe(stream.poke, [request_id])

    def sessions(self) -> list[str]:
        """The gate processes with an open stream here."""
        return list(self._streams)

    def number(self) -> int:
        """How many streams are open here."""
        return sum(map(len, self._streams.values()))

    def renew(self) -> None:
        """Every gate with a stream here learns its verdicts anew."""
        for streams in self._streams.values():
            for stream in streams:
                stream.renew()

    def stop(self) -> None:
        for streams in self._streams.values():
            for stream in streams:
                stream.stop()
