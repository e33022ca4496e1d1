"""Server-sent pokes: that something changed, never what."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from approvals.bus import EVERYTHING
from approvals.service import Service
from approvals_web.deps import SignedIn, TheService, visitor

PING_SECONDS = 15.0

router = APIRouter()


@router.get("/events")
async def events(request: Request, person: SignedIn, service: TheService) -> StreamingResponse:
    """One stream per browser. It ends with the session, and with the service."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_pokes(request, service), media_type="text/event-stream", headers=headers)


async def _pokes(request: Request, service: Service) -> AsyncIterator[str]:
    changed = asyncio.Event()

    def listener(_: str) -> None:
        changed.set()

    service.bus.subscribe(listener, [EVERYTHING])
    try:
        yield "retry: 1000\n\n"
        while not service.stopping.is_set():
            try:
                await asyncio.wait_for(_either(changed, service.stopping), PING_SECONDS)
            except TimeoutError:
                if visitor(request, service) is None:
                    return
                yield ": still here\n\n"
                continue
            changed.clear()
            yield "event: poke\ndata: {}\n\n"
    finally:
        service.bus.unsubscribe(listener, [EVERYTHING])


async def _either(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
