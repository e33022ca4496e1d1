"""Tool registration."""

from approvals.errors import Forbidden
from approvals.protocol.message_fields import ServerName
from approvals.protocol.registration import Registered, Registration
from approvals_web.api.documented import problems
from approvals_web.http.deps import Installation, TheService
from approvals_web.http.routers import ApiRouter

router = ApiRouter("servers")


@router.put("/servers/{name}/tools", responses=problems(409, 426))
async def register_tools(
    name: ServerName, registration: Registration, installation: Installation, service: TheService
) -> Registered:
    """Register what this gate process serves; the answer is a verdict lease."""
    if name != installation.server:
        raise Forbidden(f"This key is for the server {installation.server!r}.", hint="Use the server's own key.")
    return await service.register(installation, registration)
