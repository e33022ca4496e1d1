"""One event stream for all of a gate's waiting calls and its verdict lease."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, format_sse_event

from approvals.errors import NotFound
from approvals.protocol.messages import EditAsked, LookAgain, RequestStatus, Waiting
from approvals.protocol.states import OPEN
from approvals.service.identity import credentials
from approvals.service.identity.credentials import Principal
from approvals.service.realtime.gate_streams import GateStream
from approvals.service.requests import presence
from approvals.service.service import Service
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.tables import Installation
from approvals.service.storage.tables.handles import SESSION
from approvals_web.api.documented import problems
from approvals_web.http.deps import GateKey, TheService
from approvals_web.http.routers import ApiRouter

RENEW_SECONDS = 5.0
"""Between two verdict leases, a third of their length."""

router = ApiRouter("requests")

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events `request`, `lease`, `look`, `edit` and `bye`", "content": {"text/event-stream": {}}}
}


@router.post("/requests/events", response_class=StreamingResponse, responses=problems(404, 426, 429) | _STREAM)
async def follow(body: Waiting, gate: GateKey, service: TheService) -> EventSourceResponse:
    """Subscribe first, then send the present state of each request named. The events are handed to the response, not
    yielded here (so the route's `response_class` is not FastAPI's own): who is refused is told so by a status."""
    await _check_session(service, gate.installation, body.session)
    service.gate_places.check(gate.id)
    stream = GateStream(body.session, gate.id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventSourceResponse(_events(service, gate, stream, body), headers=headers)


async def _events(service: Service, gate: Principal, stream: GateStream, body: Waiting) -> AsyncIterator[bytes]:
    with service.gate_places.held(gate.id), service.gates.open(stream):
        awaited = await service.write(lambda tx: _opened(tx, stream))
        for request_id in {*body.waiting, *awaited}:
            service.gates.follow(stream.session, request_id)
            stream.poke(request_id)
        yield await _lease(service, gate.installation, stream.session)
        now = asyncio.get_running_loop().time
        renew_at = now() + RENEW_SECONDS
        while not (service.stopping.is_set() or stream.ended):
            changed = stream.changed()
            news = await service.read(lambda reader: _news(reader, service, gate, changed))  # noqa: B023 — at once
            if news is None:
                break  # revoked meanwhile: it learns nothing more
            for status in news:
                yield format_sse_event(event="request", data_str=status.model_dump_json())
                if status.state not in OPEN:
                    service.gates.forget(stream, status.id)
            for request_id in stream.looks():
                yield format_sse_event(event="look", data_str=LookAgain(id=request_id).model_dump_json())
            for request_id, edit_id in stream.edits():
                asked = EditAsked(id=request_id, edit=edit_id)
                yield format_sse_event(event="edit", data_str=asked.model_dump_json())
            await stream.wait(max(0.0, renew_at - now()))
            if (stream.renewal() or now() >= renew_at) and await service.read(
                lambda r: credentials.still_counts(r, gate)
            ):
                renew_at = now() + RENEW_SECONDS
                yield await _lease(service, gate.installation, stream.session)
    yield format_sse_event(event="bye", data_str="{}")


def _opened(tx: Transaction, stream: GateStream) -> list[str]:
    """Note the stream: its calls may have been filed by another process, or while it connected."""
    presence.stream_opened(tx, stream.session, stream.id)
    return presence.awaited(tx, stream.session)


async def _lease(service: Service, installation: Installation, session: str) -> bytes:
    lease = await service.leased(installation, session)
    return format_sse_event(event="lease", data_str=lease.model_dump_json())


def _news(reader: Reader, service: Service, gate: Principal, changed: list[str]) -> list[RequestStatus] | None:
    """What the gate's own requests are now; None when its key counts no longer.

    The key is looked at last: on PostgreSQL these reads are not of one instant, and nothing may be told that was
    committed with or after its revocation.
    """
    rows = [row for row in (service.statuses.find(reader, request_id) for request_id in changed) if row is not None]
    if not credentials.still_counts(reader, gate):
        return None
    return [service.statuses.of(row, reader.now) for row in rows if row.installation_id == gate.id]


async def _check_session(service: Service, installation: Installation, session: str) -> None:
    row = await service.read(lambda reader: reader.one(SESSION, id=session))
    if row is None or row.installation_id != installation.id:
        raise NotFound("This gate process is not registered.", hint="Register the tools first.")
