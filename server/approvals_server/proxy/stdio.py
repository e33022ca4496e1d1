"""A client that started this process: one message a line, on standard input and output."""

import asyncio
import os
import sys
import uuid
from collections.abc import Awaitable

from approvals_server.proxy import frames
from approvals_server.proxy.client_facts import Sender
from approvals_server.proxy.frames import Frame, RequestId
from approvals_server.proxy.upstream import Receive
from approvals_server.proxy.upstreams import Before, Way


async def serve(before: Before) -> None:
    """Until the client closes standard input."""
    reader, writer = await _streams()

    async def tell(frame: Frame, about: RequestId | None) -> None:
        writer.write(frame.raw + b"\n")
        await writer.drain()

    key = before.gate.settings.agent_key if before.gate.is_configured else None
    sender = Sender(agent_key=key, subject=uuid.uuid4().hex)
    way = before.open(tell)
    async with before.running():
        tasks: set[asyncio.Future[None]] = set()
        try:
            while line := await reader.readline():
                if line.strip():
                    task = asyncio.ensure_future(taken(line, way, sender, tell))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        finally:
            await way.close()


def taken(line: bytes, way: Way, sender: Sender, tell: Receive) -> Awaitable[None]:
    """One line of the client's: answered, or passed on."""
    try:
        return way.take(frames.read(line), sender)
    except frames.Unreadable as error:
        return tell(frames.error(error.of, error.code, str(error)), error.of)


async def _streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The client's; whatever else writes to standard output meanwhile goes to standard error."""
    loop = asyncio.get_running_loop()
    own_input, own_output = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    reader = asyncio.StreamReader(limit=frames.MAX_MESSAGE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), own_input)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, own_output)
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)
