"""The reference: a plain FastAPI service that does the least of the same act.

It looks one key up, writes ONE durable row, and pushes one event. No quorum, no policy, no audit: what any approval
service written with these libraries has to pay. `POST /decisions/{id}` and `POST /requests` need a bearer key;
`GET /events` streams what was decided.
"""

import asyncio
import hashlib
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Protocol

import asyncpg
import uvicorn
import uvloop
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

KEY = "reference-key"
TABLES = (
    "CREATE TABLE reference_key (hash TEXT PRIMARY KEY, name TEXT)",
    "CREATE TABLE reference_row (id TEXT PRIMARY KEY, kind TEXT, body TEXT)",
)
LOOK_UP = "SELECT name FROM reference_key WHERE hash = {}"
WRITE = "INSERT INTO reference_row (id, kind, body) VALUES ({}, {}, {})"


class Body(BaseModel):
    """What is decided, or filed."""

    id: str
    verdict: str = ""
    arguments: dict[str, Any] = {}


class Store(Protocol):
    """A database with two statements."""

    async def open(self) -> None: ...
    async def name_of(self, key_hash: str) -> str | None: ...
    async def write(self, row: tuple[str, str, str]) -> None: ...


class Sqlite:
    """Write-ahead log, every commit synced, inline."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)

    async def open(self) -> None:
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", *TABLES):
            self._database.execute(statement)
        self._database.execute("INSERT INTO reference_key VALUES (?, 'ann')", (hashed(KEY),))

    async def name_of(self, key_hash: str) -> str | None:
        row = self._database.execute(LOOK_UP.format("?"), (key_hash,)).fetchone()
        return row[0] if row else None

    async def write(self, row: tuple[str, str, str]) -> None:
        self._database.execute(WRITE.format("?", "?", "?"), row)


class Postgres:
    """A pool of asyncpg, one statement a commit."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(self._url, min_size=1, max_size=16)
        for statement in TABLES:
            await self._pool.execute(statement)
        await self._pool.execute("INSERT INTO reference_key VALUES ($1, 'ann')", hashed(KEY))

    async def name_of(self, key_hash: str) -> str | None:
        name: str | None = await self._pool.fetchval(LOOK_UP.format("$1"), key_hash)
        return name

    async def write(self, row: tuple[str, str, str]) -> None:
        await self._pool.execute(WRITE.format("$1", "$2", "$3"), *row)


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def create_app(store: Store) -> FastAPI:
    """The three routes."""
    streams: set[asyncio.Queue[str]] = set()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await store.open()
        yield

    app = FastAPI(lifespan=lifespan)

    async def caller(authorization: Annotated[str, Header()]) -> str:
        name = await store.name_of(hashed(authorization.removeprefix("Bearer ")))
        if name is None:
            raise HTTPException(401)
        return name

    @app.post("/decisions/{request_id}", status_code=201)
    async def decide(request_id: str, body: Body, name: Annotated[str, Depends(caller)]) -> Body:
        await store.write((body.id, "decision", f"{name} {body.verdict}"))
        for stream in streams:
            stream.put_nowait(f'event: request\ndata: {{"id":"{request_id}","state":"approved"}}\n\n')
        return body

    @app.post("/requests", status_code=201)
    async def file(body: Body, name: Annotated[str, Depends(caller)]) -> Body:
        await store.write((body.id, "request", f"{name} {body.arguments}"))
        return body

    @app.get("/events")
    async def events(name: Annotated[str, Depends(caller)]) -> StreamingResponse:
        stream: asyncio.Queue[str] = asyncio.Queue()
        streams.add(stream)

        async def follow() -> AsyncIterator[str]:
            try:
                yield ": hello\n\n"
                while True:
                    yield await stream.get()
            finally:
                streams.discard(stream)

        return StreamingResponse(follow(), media_type="text/event-stream")

    return app


async def main(url: str) -> None:
    sqlite = url.startswith("sqlite:///")
    store: Store = Sqlite(url.removeprefix("sqlite:///")) if sqlite else Postgres(url)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(create_app(store), log_level="warning", access_log=False, backlog=2048)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
