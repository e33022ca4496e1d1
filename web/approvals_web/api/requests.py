"""Filing, reading, waiting and searching."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel

from approvals.errors import NotFound, Unauthenticated
from approvals.protocol.message_fields import Identifier
from approvals.protocol.messages import Filing, RequestStatus, RequestView
from approvals.protocol.request_details import RequestDetails
from approvals.protocol.states import OPEN, State
from approvals.service.history import details, queries
from approvals.service.identity import credentials
from approvals.service.identity.credentials import Principal
from approvals.service.realtime.wakeup import Wakeup
from approvals.service.requests import presence
from approvals.service.service import Service
from approvals.service.storage import tables
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.tables.rows import RequestRow
from approvals_web.api.documented import problems
from approvals_web.http.deps import (
    AnyKey,
    Installation,
    TheService,
    UserToken,
)
from approvals_web.http.routers import ApiRouter
from approvals_web.http.strict_json import READ_AT_ONCE

LONGEST_WAIT = 30.0

router = ApiRouter("requests")


class Page(BaseModel):
    """One page of requests, newest first; `cursor` asks for the next, and is null on the last."""

    requests: list[RequestView]
    cursor: str | None


@router.post(
    "/requests",
    status_code=201,
    responses=problems(409, 426, 429) | {200: {"model": RequestStatus, "description": "Attached, or replayed"}},
)
async def file_request(
    filing: Filing, installation: Installation, service: TheService, request: Request, response: Response
) -> RequestStatus:
    """File a call, or join the request that the same call already has."""
    filed = await service.file(installation, filing, long=len(await request.body()) > READ_AT_ONCE)
    service.gates.follow(filing.session, filed.request_id)
    response.status_code = 201 if filed.created else 200
    status = await service.read(lambda reader: service.statuses.read(reader, filed.request_id, replayed=filed.replayed))
    if status.state not in OPEN:
        service.gates.tell(filing.session, filed.request_id)  # then they have no more to follow
    return status


@router.get("/requests", responses=problems())
async def search_requests(
    user: UserToken,
    service: TheService,
    state: State | None = None,
    server: Annotated[str | None, Query(max_length=63)] = None,
    tool: Annotated[str | None, Query(max_length=128)] = None,
    on_behalf_of: Annotated[str | None, Query(max_length=200)] = None,
    agent_session: Annotated[str | None, Query(max_length=200)] = None,
    trace_id: Annotated[str | None, Query(max_length=200)] = None,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Page:
    """Search, newest first."""
    said = {"on_behalf_of": on_behalf_of, "agent_session": agent_session, "trace_id": trace_id}
    found = await service.read(
        lambda reader: queries.page(reader, state=state, server=server, tool=tool, before=cursor, limit=limit, **said)
    )
    statuses = [service.statuses.of(row, service.database.clock.now()) for row in found]
    return Page(requests=statuses, cursor=found[-1].id if len(found) == limit else None)


@router.get("/requests/{request_id}", responses=problems(404, 429))
async def read_request(
    request_id: Identifier,
    principal: AnyKey,
    service: TheService,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT)] = 0,
    seen: State = State.PENDING,
) -> RequestStatus | RequestDetails | RequestView:
    """One request; a person reads all that the card says of it. With `wait`, answers once its state is not `seen`, or
    the seconds are up."""
    wakeup = Wakeup()

    def listener(_: str) -> None:
        wakeup.set()

    service.bus.subscribe(listener, [request_id])
    try:
        status = await _own(service, principal, request_id)
        if wait and status.state == seen and not service.stopping.is_set():
            del status  # thousands may wait here: hold nothing meanwhile
            places = service.poll_places[principal.kind]
            places.check(principal.id)
            with service.metrics.polls.track_inprogress(), places.held(principal.id):
                await wakeup.wait(wait)
            if not await service.read(lambda reader: credentials.still_counts(reader, principal)):
                raise Unauthenticated("This key was revoked meanwhile.", hint="Ask for a new one.")
            status = await _own(service, principal, request_id)
    finally:
        service.bus.unsubscribe(listener, [request_id])
    return status


@router.delete("/requests/{request_id}/callers/{call_id}", status_code=204, responses=problems(404, 426))
async def caller_left(
    request_id: Identifier, call_id: Identifier, session: Identifier, installation: Installation, service: TheService
) -> None:
    """Note that a caller no longer waits. Changes nothing but what the card shows."""
    _check_filed_by(await service.read(lambda reader: service.transitions.get(reader, request_id)), installation)

    def leave(tx: Transaction) -> None:
        presence.leave(tx, request_id, session, call_id)
        tx.wake(request_id)

    await service.write(leave)


async def _own(service: Service, principal: Principal, request_id: str) -> RequestStatus | RequestDetails | RequestView:
    row = await service.read(lambda reader: service.transitions.get(reader, request_id))
    if principal.kind == "installation":
        _check_filed_by(row, principal.installation)
    elif principal.kind == "agent" and row.agent_id != principal.id:
        raise NotFound("There is no such request.", hint="Check the id.")
    if principal.kind == "user":
        return await service.read(lambda reader: detailed(service, reader, request_id))
    status = await service.read(lambda reader: service.statuses.read(reader, request_id))
    return status if principal.kind == "installation" else status.view()


def detailed(service: Service, reader: Reader, request_id: str) -> RequestDetails:
    """A request as a person reads it."""
    row = service.statuses.row(reader, request_id)
    return details.details(service.authority, reader, row, service.statuses.of(row, reader.now))


def _check_filed_by(row: RequestRow, installation: tables.Installation) -> None:
    if row.installation_id != installation.id:
        raise NotFound("There is no such request.", hint="Check the id.")
