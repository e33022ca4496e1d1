"""Server-sent pokes: that something changed, never what."""

from collections.abc import AsyncIterator

from fastapi import Request
from fastapi.sse import EventSourceResponse, format_sse_event

from approvals.service.realtime.bus import EVERYTHING
from approvals.service.realtime.wakeup import Wakeup
from approvals.service.service import Service
from approvals_web.http.deps import Authenticated, TheService, visitor
from approvals_web.http.routers import PageRouter

PING_SECONDS = 15.0

router = PageRouter()


@router.get("/events")
async def events(request: Request, person: Authenticated, service: TheService) -> EventSourceResponse:
    """One stream per browser, until its session or the service ends. It begins with a mark, by which a page knows
    whether it is still true. Raises TooMany."""
    service.browsers.check(person.session_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventSourceResponse(_pokes(request, service, person.session_id), headers=headers)


async def _pokes(request: Request, service: Service, session_id: str) -> AsyncIterator[bytes]:
    wakeup = Wakeup()

    def listener(_: str) -> None:
        wakeup.set()

    with service.browsers.held(session_id), service.bus.listening(listener, [EVERYTHING]):
        yield format_sse_event(event="hello", data_str=service.bus.mark, retry=1000)
        while not service.stopping.is_set():
            rung = await wakeup.wait(PING_SECONDS)
            if await visitor(request, service) is None:
                return
            yield format_sse_event(event="poke", data_str="{}") if rung else format_sse_event(comment="still here")
