"""Whose key is this?"""

from approvals.protocol.registration import VerifiedAgent, VerifyAgent
from approvals.service.requests.callers import assert_agent
from approvals_web.api.documented import problems
from approvals_web.http.deps import Installation, TheService
from approvals_web.http.routers import ApiRouter

router = ApiRouter("agents")


@router.post("/agents/verify", responses=problems(426))
async def verify_agent(body: VerifyAgent, installation: Installation, service: TheService) -> VerifiedAgent:
    """A short-lived assertion that this agent calls through this installation; 401 unless the key is a live agent's."""
    verified = await service.read(lambda reader: assert_agent(reader, service.keyring, installation, body.key))
    service.activity.used(body.key.split("_")[1])
    return verified
