"""A proxy as its configuration file describes it now. What changes there counts without a new start."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from weakref import WeakSet

from approvals.errors import ApprovalsError
from approvals.gate.gate import Gate
from approvals_server.proxy.aggregation.hub import Hub
from approvals_server.proxy.configuration.document import Document, UpstreamPart
from approvals_server.proxy.configuration.opening import opened, rules_of, summary
from approvals_server.proxy.configuration.reading import read
from approvals_server.proxy.upstream import Receive
from approvals_server.proxy.upstreams import Behind, Way

logger = logging.getLogger("approvals.proxy")

LOOKS = 1.0
"""Seconds between two looks at the file."""


class Configured:
    """Before each upstream stands a gate of its own: each is a server of its own for the approval service."""

    def __init__(self, path: Path, open_upstream: Callable[[Document, str], Behind] = opened) -> None:
        """Raises Invalid, and NotConfigured."""
        self._path = path
        self._open_upstream = open_upstream
        self._seen = _stamp(path)
        self.document = read(path)
        self._behind = {name: open_upstream(self.document, name) for name in self.document.upstreams}
        self._hubs: WeakSet[Hub] = WeakSet()
        self._stack = contextlib.AsyncExitStack()

    @property
    def gate(self) -> Gate:
        """The first that can ask the service whose a key is; each call is asked about again, by its own."""
        gates = [one.desk.gate for one in self._behind.values()]
        return next((gate for gate in gates if gate.is_configured), gates[0])

    @property
    def behind(self) -> tuple[Behind, ...]:
        """The upstreams now."""
        return tuple(self._behind.values())

    def open(self, tell: Receive) -> Way:
        """Also a single upstream stands behind a hub: its client hears of changes of the file."""
        hub = Hub(self.behind, tell)
        self._hubs.add(hub)
        return hub

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self._stack:
            for one in self.behind:
                await self._stack.enter_async_context(one.desk.gate.running())
            self._say()
            watching = asyncio.create_task(self._watch())
            try:
                yield
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def look(self) -> None:
        """At the file, if it is another than before. What is wrong with it is said, and changes nothing."""
        stamp = _stamp(self._path)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            await self._change(read(self._path))
        except ApprovalsError as error:
            logger.error("The configuration stays as it was. %s %s", error.detail, error.hint)
        except Exception as error:  # whatever it is, the next change counts again; its words may hold secrets
            logger.error("The configuration stays as it was. It cannot be taken: %s.", type(error).__name__)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOKS)
            await self.look()

    async def _change(self, document: Document) -> None:
        before, kept = self.document, dict[str, Behind]()
        for name, part in document.upstreams.items():
            known = before.upstreams.get(name)
            if known is not None and _is_same(known, part) and _is_same_service(before, document):
                kept[name] = self._behind[name]
        new = [name for name in document.upstreams if name not in kept]
        opening = (asyncio.to_thread(self._open_upstream, document, name) for name in new)  # secrets may take a while
        fresh = dict(zip(new, await asyncio.gather(*opening), strict=True))
        for one in fresh.values():
            await self._stack.enter_async_context(one.desk.gate.running())
        for name, one in kept.items():
            one.desk.rules = rules_of(document.upstreams[name])
        self.document = document
        self._behind = {name: kept.get(name) or fresh[name] for name in document.upstreams}
        self._say()
        await asyncio.gather(*(hub.change(self.behind) for hub in list(self._hubs)), return_exceptions=True)

    def _say(self) -> None:
        for one in self.behind:
            logger.warning("%s", summary(one, self.document.upstreams[one.name]))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


def _is_same(one: UpstreamPart, other: UpstreamPart) -> bool:
    """But for what its owner says of its tools."""
    apart = {"tools", "recipe"}
    return one.model_dump(exclude=apart) == other.model_dump(exclude=apart)


def _is_same_service(one: Document, other: Document) -> bool:
    return (one.service, one.agent_key) == (other.service, other.agent_key)
