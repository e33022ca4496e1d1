"""How far gates are rolled out, what `observe` would have asked, and which agents a server is for."""

from typing import Annotated

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from approvals.protocol.message_fields import ServerName
from approvals.service.controls import audiences, freezes, rollouts
from approvals.service.identity import servers
from approvals.service.storage.database import Reader
from approvals_web.http.deps import Admin, SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter

router = PageRouter()

Server = Annotated[ServerName, Form()]
Tool = Annotated[str, Form(max_length=128)]
Entry = Annotated[str, Field(max_length=10_000)]
Whom = Annotated[str, Form(max_length=80)]


@router.get("/rollout")
async def rollout(request: Request, person: SignedIn, service: TheService) -> Response:
    """Everything that is set."""
    return page(request, "rollout.html", await service.read(_shown) | {"person": person})


@router.post("/rollout")
async def set_rollout(
    admin: Admin,
    service: TheService,
    server: Server,
    mode: Annotated[str, Form(max_length=10)],
    tool: Tool = "",
    whom: Whom = "",
) -> Response:
    """Set one; it counts from the next call on."""
    await service.write(lambda tx: rollouts.set_rollout(tx, admin, server, tool.strip(), whom.strip(), mode))
    return RedirectResponse(f"/servers/{server}#enforcement", status_code=303)


@router.post("/rollout/clear")
async def clear_rollout(
    admin: Admin, service: TheService, server: Server, tool: Tool = "", whom: Whom = ""
) -> Response:
    """Forget one; what is less specific counts again."""
    await service.write(lambda tx: rollouts.clear_rollout(tx, admin, server, tool, whom))
    return RedirectResponse(f"/servers/{server}#enforcement", status_code=303)


@router.post("/rollout/audience")
async def set_audience(
    admin: Admin,
    service: TheService,
    server: Server,
    entries: Annotated[list[Entry], Form()] = [],  # noqa: B006
) -> Response:
    """Say which agents a server is for; none named, every one."""
    await service.write(lambda tx: audiences.set_audience(tx, admin, server, " ".join(entries).split()))
    return RedirectResponse(f"/servers/{server}#enforcement", status_code=303)


def _shown(reader: Reader) -> dict[str, object]:
    names = sorted({row.server for row in servers.installations(reader)})
    return {
        "rows": [{"row": row, "by": freezes.by(reader, row.set_by)} for row in rollouts.listed(reader)],
        "servers": [
            {
                "name": name,
                "audience": audiences.known_server(reader, name).audience,
                "observed": rollouts.observed(reader, name),
            }
            for name in names
        ],
        "modes": rollouts.MODES,
    }
