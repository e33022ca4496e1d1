"""What a gate process says of itself."""

from approvals.protocol.message_fields import Identifier
from approvals.protocol.registration import AcknowledgedFreezes
from approvals.service.storage.channels import CONTROLS_CHANGED
from approvals_web.api.documented import problems
from approvals_web.http.deps import Installation, TheService
from approvals_web.http.routers import ApiRouter

router = ApiRouter("gates")


@router.put("/gates/{session}/freezes", status_code=204, responses=problems(404, 426))
async def heard_freezes(
    session: Identifier, body: AcknowledgedFreezes, installation: Installation, service: TheService
) -> None:
    """Confirm that a gate has heard of these freezes, and starts nothing that they stop."""
    await service.write(lambda tx: service.freezes.confirm(tx, installation, session, body.freezes))
    service.bus.wake(CONTROLS_CHANGED)  # pages show who confirmed
