"""Records of calls that needed no approval."""

from approvals.protocol.messages import CallRecords, Recorded
from approvals_web.api.documented import problems
from approvals_web.http.deps import Installation, TheService
from approvals_web.http.routers import ApiRouter

router = ApiRouter("calls")


@router.post("/calls", responses=problems(404, 409, 426))
async def record_calls(batch: CallRecords, installation: Installation, service: TheService) -> Recorded:
    """Keep a batch; numbers are consecutive, and a batch may come twice."""
    return await service.write(lambda tx: service.calls.record(tx, installation, batch))
