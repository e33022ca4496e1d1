"""How the service is: one word for everybody, and all of it for whoever watches over it."""

import asyncio
import hmac
from dataclasses import dataclass
from ipaddress import ip_address

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from approvals.errors import Unavailable
from approvals.service.service import Service

READY_SECONDS = 3.0
"""A database that has not answered a short read by then is not there."""
_PASSED_ON = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def mount(app: FastAPI, service: Service, token: str) -> None:
    """Add the addresses. With `token`, whoever sends it as a bearer sees everything; who is on this machine does."""
    health = _Health(service, token)
    for path, endpoint in (("/healthz", health.alive), ("/readyz", health.ready), ("/metrics", health.metrics)):
        app.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)


@dataclass(frozen=True)
class _Health:
    service: Service
    token: str

    async def alive(self) -> dict[str, str]:
        return {"status": "alive"}

    async def ready(self, request: Request) -> Response:
        status, word, more = await self._state()
        said = {"status": word} | (more if self._may_see(request) else {})
        return JSONResponse(said, status_code=status)

    async def metrics(self, request: Request) -> Response:
        if not self._may_see(request):
            words = "Ask from the machine that the service runs on, or with the APPROVALS_METRICS_TOKEN as a bearer.\n"
            return PlainTextResponse(words, 401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
        return Response(await self.service.measured(), media_type=CONTENT_TYPE_LATEST)

    async def _state(self) -> tuple[int, str, dict[str, object]]:
        """The HTTP status, the word, and what only some may see."""
        if self.service.stopping.is_set():
            return 503, "stopping", {}
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self.service.read(self.service.known_key)
        except TimeoutError:
            return 503, "unavailable", {"detail": "The database does not answer."}
        except Unavailable as error:
            return 503, "unavailable", {"detail": error.detail}
        if self.service.database.is_full:
            return 503, "full", {"detail": "The database's disk is full: reads go on, nothing can be written."}
        return 200, "ready", {"policy": _policy(self.service), "notifiers": _notifiers(self.service)}

    def _may_see(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.token and hmac.compare_digest(given.encode(), self.token.encode()):
            return True
        return _is_here(request.client.host if request.client else "") and not any(
            name in request.headers for name in _PASSED_ON
        )


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _notifiers(service: Service) -> dict[str, str]:
    """None of them is needed to decide anything, so their trouble takes no replica out."""
    return dict.fromkeys(service.outbox.notifiers, "ok") | service.trouble()


def _policy(service: Service) -> dict[str, str]:
    """No replica is taken out for a broken file: what it judges by is as good as before. But it says so."""
    said = {"in_force": service.policy.hash}
    if service.policy.trouble is not None:
        said["trouble"] = (
            "The policy file cannot be used; the policy from before stays in force. /policy has the report."
        )
    return said
