"""The gate's HTTP client. Whatever is not a sensible answer is Unreachable: the gate fails closed."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from approvals.errors import PROBLEM, NotConfigured, Unavailable, Unreachable, from_document
from approvals.gate.connection import Answer
from approvals.gate.http_exchange import Exchange
from approvals.gate.masking import Masked
from approvals.gate.settings import GateSettings
from approvals.protocol.messages import (
    WIRE_HEADER,
    WIRE_VERSION,
    CallRecord,
    CallRecords,
    Claim,
    Claimed,
    EditAnswer,
    EditedCall,
    Filing,
    Lease,
    Leased,
    Outcome,
    Recorded,
    RequestStatus,
    UnsettledRequests,
    Verification,
    Waiting,
)
from approvals.protocol.registration import AcknowledgedFreezes, Registered, Registration, VerifiedAgent, VerifyAgent

M = TypeVar("M", bound=BaseModel)
Body = Masked[Any] | Registration | VerifyAgent | Claim | Lease | AcknowledgedFreezes | Waiting
"""What may be sent: words of agents and tools behind a mask, and what the gate says itself."""
WITHIN = 10.0
"""Seconds for one exchange, from the connection to the end of its answer."""
CONNECTIONS, ORDINARY = 200, 150
"""All of them, and those for what can wait: whoever holds a permission finds one free, whatever a crowd is filing."""
SILENCE = 20.0
"""Seconds without a word on the event stream, which leases every 5, before it counts as dead."""
_OPERATOR = "The person who runs this MCP server finds its address in the server's log."
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
"""What OpenSSL's versions say when plain HTTP answers."""


class ServiceClient:
    """One per gate process. Proxies from the environment are not used: keys go straight to APPROVALS_URL."""

    def __init__(self, settings: GateSettings) -> None:
        self.address = settings.url
        headers = {"Authorization": f"Bearer {settings.server_key}", WIRE_HEADER: str(WIRE_VERSION)}
        self._http = Exchange(f"{settings.url}/api/v1", headers, CONNECTIONS)
        self._ordinary = asyncio.Semaphore(ORDINARY)

    async def close(self) -> None:
        await self._http.close()

    async def register(self, server: str, registration: Registration) -> Registered:
        return await self._ask("PUT", f"/servers/{quote(server, safe='')}/tools", registration, Registered)

    async def verify_agent(self, key: str) -> VerifiedAgent:
        return await self._ask("POST", "/agents/verify", VerifyAgent(key=key), VerifiedAgent)

    async def file(self, filing: Masked[Filing]) -> RequestStatus:
        return await self._ask("POST", "/requests", filing, RequestStatus)

    async def read(self, request_id: str, *, wait: float = 0, seen: str = "pending") -> RequestStatus:
        path = f"/requests/{request_id}?wait={wait:.3f}&seen={seen}"
        return await self._ask("GET", path, None, RequestStatus, within=wait + 10)

    async def claim(self, request_id: str, claim: Claim) -> Claimed:
        return await self._ask("PUT", f"/requests/{request_id}/claim", claim, Claimed, urgent=True)

    async def renew(self, request_id: str, claim_id: str) -> Leased:
        return await self._ask("PUT", f"/requests/{request_id}/lease", Lease(claim_id=claim_id), Leased, urgent=True)

    async def report(self, request_id: str, outcome: Masked[Outcome]) -> RequestStatus:
        return await self._ask("PUT", f"/requests/{request_id}/outcome", outcome, RequestStatus, urgent=True)

    async def unsettled(self, session: str, tool: str, after: str) -> UnsettledRequests:
        path = f"/requests/unsettled?session={session}&tool={quote(tool, safe='')}&after={after}"
        return await self._ask("GET", path, None, UnsettledRequests)

    async def verified(self, request_id: str, found: Masked[Verification]) -> RequestStatus:
        return await self._ask("PUT", f"/requests/{request_id}/verification", found, RequestStatus)

    async def edit(self, request_id: str, edit_id: str) -> EditedCall:
        return await self._ask("GET", f"/requests/{request_id}/edits/{edit_id}", None, EditedCall)

    async def answer_edit(self, request_id: str, edit_id: str, answer: Masked[EditAnswer]) -> RequestStatus:
        return await self._ask("PUT", f"/requests/{request_id}/edits/{edit_id}", answer, RequestStatus)

    async def left(self, request_id: str, session: str, call_id: str) -> None:
        await self._send("DELETE", f"/requests/{request_id}/callers/{call_id}?session={session}", None)

    async def acknowledge_freezes(self, session: str, freezes: AcknowledgedFreezes) -> None:
        await self._send("PUT", f"/gates/{session}/freezes", freezes)

    async def record(
        self, session: str, calls: Sequence[Masked[CallRecord]], high_water: int, closed: bool
    ) -> Recorded:
        told = tuple(call.message for call in calls)
        batch = CallRecords(session=session, calls=told, high_water=high_water, closed=closed)
        return await self._ask("POST", "/calls", Masked(batch), Recorded)

    async def events(self, waiting: Waiting) -> AsyncGenerator[tuple[str, str]]:
        """(event, data) pairs, until the stream ends. Raises Unreachable when it breaks or falls silent."""
        try:
            async with self._http.following("/requests/events", _body(waiting), within=WITHIN) as (answer, connection):
                if answer.status_code != 200:
                    async with asyncio.timeout(WITHIN):
                        raise _problem(replace(answer, content=await connection.body()))
                kind = ""
                async with contextlib.aclosing(connection.lines(SILENCE)) as lines:
                    async for line in lines:
                        if line.startswith("event: "):
                            kind = line.removeprefix("event: ")
                        elif line.startswith("data: "):
                            yield kind, line.removeprefix("data: ")
        except OSError as error:
            raise _unreachable(error) from error

    async def _ask(
        self,
        method: str,
        path: str,
        body: Body | None,
        answer: type[M],
        *,
        within: float = WITHIN,
        urgent: bool = False,
    ) -> M:
        response = await self._send(method, path, body, within=within, urgent=urgent)
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            raise Unreachable("The approval service's answer makes no sense.", hint="Is it another service?") from error

    @contextlib.asynccontextmanager
    async def _room(self) -> AsyncIterator[None]:
        """One of the ORDINARY connections. Raises TimeoutError when none gets free."""
        async with asyncio.timeout(WITHIN):
            await self._ordinary.acquire()
        try:
            yield
        finally:
            self._ordinary.release()

    async def _send(
        self,
        method: str,
        path: str,
        body: Body | None,
        *,
        within: float = WITHIN,
        urgent: bool = False,
    ) -> Answer:
        try:
            async with contextlib.nullcontext() if urgent else self._room():
                response = await self._http.ask(method, path, _body(body), within=within)
        except OSError as error:
            raise _unreachable(error) from error
        if response.status_code >= 300:
            raise _problem(response)
        if not response.headers.get(WIRE_HEADER.lower(), "").isdigit():
            raise _stranger(response)
        return response


def _body(body: Body | None) -> bytes:
    message = body.message if isinstance(body, Masked) else body
    return b"" if message is None else message.model_dump_json().encode()


def _problem(response: Answer) -> Exception:
    """What the service says of itself, whatever the status; anybody else's words are not its own."""
    try:
        document = json.loads(response.content)
    except ValueError:
        document = None
    if isinstance(document, Mapping) and str(document.get("type", "")).startswith(PROBLEM):
        return from_document(response.status_code, dict(document))
    return _stranger(response)


def _stranger(response: Answer) -> Unreachable:
    return Unreachable(
        f"What answers in place of the approval service ({response.status_code}) is another, or cannot reach it.",
        hint=_OPERATOR,
    )


def _unreachable(error: OSError) -> Unavailable:
    """Raised for what broke on the way; where it is the address that is wrong, that is said."""
    if not isinstance(error, ssl.SSLError):
        return Unreachable(
            f"The approval service cannot be reached ({type(error).__name__}).", hint="Try again when it is back."
        )
    if error.reason in _NO_TLS:
        return NotConfigured(
            "APPROVALS_URL begins with https://, and what answers there speaks no TLS.", hint=_OPERATOR
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(
            f"The approval service's certificate is not trusted: {error.verify_message}.", hint=_OPERATOR
        )
    return Unreachable(f"The approval service cannot be reached (TLS: {error.reason}).", hint=_OPERATOR)
