"""A load balancer of a few lines: TCP, round robin, past those that do not answer. It runs in a thread of its own."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Iterator

TRIES = 4


@contextlib.contextmanager
def balanced(*ports: int) -> Iterator[str]:
    """The URL that stands for all of these ports."""
    started: list[str] = []
    loop = asyncio.new_event_loop()
    over = asyncio.Event()
    ready = threading.Event()

    async def run() -> None:
        turns = itertools.cycle(ports)
        server = await asyncio.start_server(lambda r, w: _serve(r, w, turns), "127.0.0.1", 0)
        started.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        ready.set()
        await over.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    ready.wait(10)
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, turns: Iterator[int]) -> None:
    with contextlib.closing(writer):
        for _ in range(TRIES):
            with contextlib.suppress(OSError):
                there = await asyncio.open_connection("127.0.0.1", next(turns))
                break
        else:
            return
        with contextlib.closing(there[1]):
            ways = [asyncio.ensure_future(_pump(*way)) for way in ((reader, there[1]), (there[0], writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
