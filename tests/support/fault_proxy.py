"""TCP proxies that stand where networks fail: they can cut, swallow, and hold one HTTP message or one commit.

Each runs in a thread of its own, so that tests may block.
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[], Awaitable[Streams]]
PATIENCE = 60.0


@dataclass
class Hold:
    """A message that is kept back: before it reached the other side, or after, with its answer kept back."""

    wanted: re.Pattern[bytes]
    after: bool
    _reached: threading.Event = field(default_factory=threading.Event)
    _go: asyncio.Event = field(default_factory=asyncio.Event)
    drop: bool = False

    def wait(self) -> None:
        """Until the message is here."""
        assert self._reached.wait(PATIENCE), f"no {self.wanted.pattern!r} came by"


class Proxy:
    """The first of `targets` that accepts takes a new connection."""

    def __init__(self, *targets: Open) -> None:
        self.targets = list(targets)
        self.accepts = True
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()  # nobody else keeps one that waits
        self._flows = asyncio.Event()
        self._holds: list[Hold] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    # from the test's thread

    def hold(self, wanted: bytes, *, after: bool = False) -> Hold:
        """Keep back the next message that matches."""
        hold = Hold(re.compile(wanted, re.DOTALL), after)
        self._do(lambda: self._holds.append(hold))
        return hold

    def release(self, hold: Hold) -> None:
        self._do(hold._go.set)

    def drop(self, hold: Hold) -> None:
        """Never deliver it: its connection ends."""
        hold.drop = True
        self._do(hold._go.set)

    def cut(self) -> None:
        """Reset every connection."""

        def reset() -> None:
            for writer in self._writers:
                writer.transport.abort()
            for hold in self._holds:
                hold.drop = True
                hold._go.set()
            self._holds.clear()

        self._do(reset)

    def swallow(self) -> None:
        """Nothing comes through from now on, and nobody is told."""
        self._do(self._flows.clear)

    def restore(self) -> None:
        """As in the beginning; what was held back comes through."""

        def again() -> None:
            self.accepts = True
            self._flows.set()
            for hold in self._holds:
                hold._go.set()
            self._holds.clear()

        self._do(again)

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    # in the proxy's own thread

    def _do(self, act: Callable[[], Any]) -> None:
        done = threading.Event()

        def run() -> None:
            act()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(PATIENCE)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._flows.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            if not self.accepts:
                return
            source, upstream = await self._connect()
            self._writers.add(upstream)
            answers, heard = asyncio.Event(), asyncio.Event()
            answers.set()
            tasks = [
                asyncio.create_task(self._there(reader, upstream, answers, heard)),
                asyncio.create_task(self._back(source, writer, answers, heard)),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass
        finally:
            for each in (writer, upstream):
                if each is not None:
                    self._writers.discard(each)
                    each.transport.abort()

    async def _connect(self) -> Streams:
        for target in self.targets:
            with contextlib.suppress(OSError):
                return await target()
        raise OSError("nobody accepts")

    async def _there(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        answers: asyncio.Event,
        heard: asyncio.Event,
    ) -> None:
        raise NotImplementedError

    async def _back(
        self,
        source: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.Event,
        heard: asyncio.Event,
    ) -> None:
        while data := await source.read(65536):
            heard.set()
            await self._flows.wait()
            await answers.wait()
            writer.write(self._answer(data))
            await writer.drain()

    def _answer(self, data: bytes) -> bytes:
        return data

    async def _pass(
        self,
        message: bytes,
        subject: bytes,
        upstream: asyncio.StreamWriter,
        answers: asyncio.Event,
        heard: asyncio.Event,
    ) -> bool:
        """Send a message on, held if it is to be; False when the connection shall end.

        What was held and released arrives though its sender is dead by now: the other side has answered before this
        connection may end. A server may leave a request undone whose connection ended before it was read.
        """
        await self._flows.wait()
        hold = next((hold for hold in self._holds if hold.wanted.search(subject)), None)
        if hold is not None:
            self._holds.remove(hold)
            if hold.after:
                answers.clear()
                upstream.write(message)
                await upstream.drain()
            hold._reached.set()
            await hold._go.wait()
            if hold.drop:
                return False
            answers.set()
            if hold.after:
                return True
        heard.clear()
        upstream.write(message)
        await upstream.drain()
        if hold is not None:
            await heard.wait()
        return True


class HttpProxy(Proxy):
    """Between a gate and the service; `hurried` permissions run out almost at once, as if the gate had been stopped."""

    hurried = False

    async def _there(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        answers: asyncio.Event,
        heard: asyncio.Event,
    ) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            if not await self._pass(head + body, head.partition(b"\r\n")[0] + b"\n" + body, upstream, answers, heard):
                return

    def _answer(self, data: bytes) -> bytes:
        return data.replace(b'"start_within":5.0', b'"start_within":0.0') if self.hurried else data


class SqlProxy(Proxy):
    """Between the service and its database; a hold meets the COMMIT of a transaction that matches."""

    async def _there(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        answers: asyncio.Event,
        heard: asyncio.Event,
    ) -> None:
        transaction = b""
        while data := await reader.read(65536):
            transaction = (transaction + data)[-262_144:]
            committing = b"COMMIT" in data
            if not await self._pass(data, transaction if committing else b"", upstream, answers, heard):
                return
            if committing:
                transaction = b""


def tcp(port: int) -> Open:
    return lambda: asyncio.open_connection("127.0.0.1", port)


def unix(path: str) -> Open:
    return lambda: asyncio.open_unix_connection(path)
