"""What a tool's own check found of an outcome that was lost."""

from typing import Annotated

from fastapi import Query

from approvals.protocol.message_fields import Identifier, ToolName
from approvals.protocol.messages import RequestStatus, UnsettledRequests, Verification
from approvals_web.api.documented import problems
from approvals_web.http.deps import Installation, TheService
from approvals_web.http.routers import ApiRouter

router = ApiRouter("executions")


@router.get("/requests/unsettled", responses=problems(426))
async def unsettled_requests(
    session: Identifier,
    tool: ToolName,
    installation: Installation,
    service: TheService,
    after: Annotated[str, Query(max_length=64)] = "",
) -> UnsettledRequests:
    """Unknown outcomes of one tool that this gate process may verify, a page at a time."""
    found = await service.read(
        lambda reader: service.verifications.unsettled(reader, installation, session, tool, after)
    )
    return UnsettledRequests.model_construct(requests=found)


@router.put("/requests/{request_id}/verification", responses=problems(404, 409, 426))
async def verify_request(
    request_id: Identifier, body: Verification, installation: Installation, service: TheService
) -> RequestStatus:
    """Settle an unknown outcome by what the tool found; saying the same again changes nothing."""
    await service.write(lambda tx: service.verifications.verify(tx, installation, request_id, body))
    return await service.read(lambda reader: service.statuses.read(reader, request_id))
