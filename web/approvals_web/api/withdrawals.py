"""An agent takes its own request back."""

from approvals.protocol.message_fields import Identifier
from approvals.protocol.messages import RequestView, Withdrawal
from approvals_web.api.documented import problems
from approvals_web.http.deps import Agent, TheService
from approvals_web.http.routers import ApiRouter

router = ApiRouter("requests")


@router.post("/requests/{request_id}/withdrawal", responses=problems(404, 409))
async def withdraw(request_id: Identifier, body: Withdrawal, agent: Agent, service: TheService) -> RequestView:
    """Withdraw a pending request, or an approved one that nobody has claimed."""
    await service.write(lambda tx: service.withdrawals.by_agent(tx, request_id, agent, body.comment))
    return await service.read(lambda reader: service.statuses.read(reader, request_id))
