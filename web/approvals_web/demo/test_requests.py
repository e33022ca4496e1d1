"""Test requests: a tool that does nothing asks for approval, so that people see what comes of it. This process plays
the gate, by the service's own rules: nothing is approved, claimed or reported in another way than for a real call."""

import asyncio
import uuid

from approvals.errors import ApprovalsError
from approvals.instant import to_datetime
from approvals.protocol.messages import CallRecords, Claim, Filing, Outcome, RequestStatus
from approvals.protocol.registration import Annotations, Assurance, Registration, ToolDefinition
from approvals.protocol.states import OPEN, State
from approvals.service.identity import servers
from approvals.service.identity.users import Person
from approvals.service.realtime.wakeup import Wakeup
from approvals.service.service import Service
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables import Installation

SERVER, LABEL = "approvals-test", "built-in"
TOOL = ToolDefinition(
    name="greet",
    description="Greets whoever asked for a test request, and does nothing else.",
    input_schema={"type": "object", "properties": {"name": {"type": "string"}, "asked_at": {"type": "string"}}},
    annotations=Annotations(destructive=False),
    summary="Greet {name} (a test: nothing else happens)",
)
LOOK_SECONDS = 15.0


class Rehearsals:
    """The test requests under way in this process. What it leaves behind when it ends, lapses."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, person: Person) -> str:
        """File a test request that this person asked for; its id. Raises as filing does."""
        service, session = self._service, uuid.uuid4().hex
        at = await service.write(lambda tx: self._installation(tx, person))
        registration = Registration(session=session, tools=(TOOL,))
        lease = await service.register(at, registration)
        asked_at = to_datetime(service.database.clock.now()).isoformat(sep=" ", timespec="milliseconds")
        filing = Filing(
            session=session,
            call_id=uuid.uuid4().hex,
            tool=TOOL.name,
            tool_hash=lease.tools[TOOL.name].tool_hash,
            arguments={"name": person.name, "asked_at": asked_at},
            reason="This is what an agent says about its call. Nobody has checked it.",
        )
        filed = await service.file(at, filing)
        task = asyncio.create_task(self._see_through(at, session, filed.request_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return filed.request_id

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _installation(self, tx: Transaction, person: Person) -> Installation:
        known = [row for row in servers.installations(tx) if (row.server, row.label) == (SERVER, LABEL)]
        if not known:
            servers.add_server(tx, person, SERVER, label=LABEL, assurance=Assurance.ENFORCED, trusted=True)
        return servers.installation_named(tx, SERVER, LABEL)

    async def _see_through(self, at: Installation, session: str, request_id: str) -> None:
        """Wait as a gate does, claim what is approved, greet, and report."""
        service, wakeup = self._service, Wakeup()
        listener = lambda _: wakeup.set()  # noqa: E731 — the same object is taken off again
        service.bus.subscribe(listener, [request_id])
        try:
            while not service.stopping.is_set():
                status = await service.read(lambda reader: service.statuses.read(reader, request_id))
                if status.state is State.APPROVED:
                    await self._greet(at, session, status)
                    break
                if status.state not in OPEN:
                    break
                await wakeup.wait(LOOK_SECONDS)
                await service.write(lambda tx: service.expiry.heard(tx, [session]))
        except ApprovalsError:
            pass  # the card says what became of it
        finally:
            service.bus.unsubscribe(listener, [request_id])
        closing = CallRecords(session=session, high_water=0, closed=True)
        await service.write(lambda tx: service.calls.record(tx, at, closing))

    async def _greet(self, at: Installation, session: str, status: RequestStatus) -> None:
        service, claim_id = self._service, uuid.uuid4().hex
        claim = Claim(claim_id=claim_id, session=session, tool_hash=status.tool_hash, digest=status.digest)
        await service.write(lambda tx: service.claims.claim(tx, at, status.id, claim))
        outcome = Outcome(claim_id=claim_id, outcome="succeeded", result="Hello! Nothing else happened.")
        await service.write(lambda tx: service.claims.report(tx, at, status.id, outcome))
