"""Stopping all writes, one server's or one agent's: what is frozen, which gates have heard, what still runs."""

from collections import Counter
from typing import Annotated

from fastapi import Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from approvals.errors import Invalid
from approvals.service.controls import freezes
from approvals.service.history import queries
from approvals.service.identity import servers
from approvals.service.storage.database import Reader
from approvals_web.http.deps import Admin, SignedIn, TheService
from approvals_web.http.rendering import fragment, page
from approvals_web.http.routers import PageRouter

router = PageRouter()

Scope = Annotated[str, Form(max_length=10)]
Of = Annotated[str, Form(max_length=100)]
Confirmed = Annotated[str, Form(alias="confirm", max_length=3)]


@router.get("/freeze")
async def frozen(request: Request, person: SignedIn, service: TheService) -> Response:
    """What is frozen, and the form to freeze more."""
    return page(request, "freeze.html", await service.read(_shown) | {"person": person})


@router.get("/freeze/banner")
async def banner(request: Request, person: SignedIn, service: TheService) -> Response:
    """The red line on every page."""
    shown = fragment("_frozen.html", freezes=request.state.freezes, nonce=request.state.nonce)
    return HTMLResponse(shown, headers={"Vary": "HX-Request"})


@router.post("/freeze")
async def freeze(
    admin: Admin,
    service: TheService,
    over: Annotated[str, Form(max_length=110)],
    mode: Annotated[str, Form(max_length=10)],
    confirm: Confirmed = "",
    reason: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Stop writes over `all`, `server:NAME` or `agent:ID`, from this moment on."""
    _check(confirm)
    scope, _, of = over.partition(":")
    await service.write(lambda tx: service.freezes.make(tx, admin, scope, of, mode, reason.strip()))
    await service.apply_controls()
    return RedirectResponse("/freeze", status_code=303)


@router.post("/freeze/lift")
async def lift(admin: Admin, service: TheService, scope: Scope, of: Of = "", confirm: Confirmed = "") -> Response:
    """Lift one freeze; others stay."""
    _check(confirm)
    await service.write(lambda tx: service.freezes.lift(tx, admin, scope, of))
    await service.apply_controls()
    return RedirectResponse("/freeze", status_code=303)


def _check(confirm: str) -> None:
    if confirm != "yes":
        raise Invalid("This was not confirmed.", hint="Tick the box that says so.")


def _shown(reader: Reader) -> dict[str, object]:
    return {
        "standing": [
            {"row": row, "words": freezes.sentence(reader, row), "gates": freezes.gates(reader, row)}
            for row in freezes.in_force(reader)
        ],
        "running": freezes.running(reader),
        "ended": [
            {
                "row": row,
                "what": freezes.what(reader, row).rpartition(" ")[0],
                "by": freezes.by(reader, row.made_by),
                "lifted_by": freezes.by(reader, row.lifted_by),
            }
            for row in freezes.lifted(reader)
        ],
        "open": Counter(row.state for row in queries.queue(reader)),
        "servers": sorted({row.server for row in servers.installations(reader)}),
        "agents": [row for row in servers.agents(reader) if row.disabled_at is None],
    }
