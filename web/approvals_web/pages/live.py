"""Server-sent pokes: that something changed, never what."""

from collections.abc import AsyncIterator

from fastapi import Request
from starlette.responses import StreamingResponse

from approvals.service.realtime.bus import EVERYTHING
from approvals.service.realtime.wakeup import Bell
from approvals.service.service import Service
from approvals_web.http.deps import SignedIn, TheService, visitor
from approvals_web.http.routers import PageRouter

PING_SECONDS = 15.0

router = PageRouter()


@router.get("/events")
async def events(request: Request, person: SignedIn, service: TheService) -> StreamingResponse:
    """One stream per browser. It ends with the session, and with the service. Raises TooMany."""
    service.browsers.check(person.session_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _pokes(request, service, person.session_id), media_type="text/event-stream", headers=headers
    )


async def _pokes(request: Request, service: Service, session_id: str) -> AsyncIterator[str]:
    bell = Bell()

    def listener(_: str) -> None:
        bell.ring()

    with service.browsers.held(session_id), service.bus.listening(listener, [EVERYTHING]):
        yield "retry: 1000\n\n"
        while not service.stopping.is_set():
            rung = await bell.wait(PING_SECONDS)
            if await visitor(request, service) is None:
                return
            yield "event: poke\ndata: {}\n\n" if rung else ": still here\n\n"
