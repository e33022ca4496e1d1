"""A keep-alive HTTP/1.1 connection with little in the way, so that the client does not blur the figures."""

import asyncio
from urllib.parse import urlsplit


class Connection:
    """One connection; `send` and `receive` apart, so that an answer can be waited for elsewhere."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self._reader = reader
        self._writer = writer
        self._head = head

    @classmethod
    async def open(cls, url: str, **headers: str) -> "Connection":
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        return cls(reader, writer, f"Host: {parts.netloc}\r\n{head}")

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {path} HTTP/1.1\r\n{self._head}{more}Content-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)

    async def receive(self) -> tuple[int, bytes]:
        """Status and body of an answer that has a length."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        return int(head[9:12]), await self._reader.readexactly(length) if length else b""

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        self.send(method, path, body, **headers)
        return await self.receive()

    async def head(self) -> None:
        """The head of an answer that streams."""
        await self._reader.readuntil(b"\r\n\r\n")

    async def event(self) -> bytes:
        """The next server-sent event of a chunked stream."""
        while True:
            block = await self._reader.readuntil(b"\n\n")
            if b"data: " in block:
                return block

    def close(self) -> None:
        self._writer.close()
