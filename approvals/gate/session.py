"""A gate's connection to the service, from the first call to the last."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import anyio
from mcp_types import CallToolResult

from approvals.errors import ApprovalsError, Unauthenticated
from approvals.gate import answers
from approvals.gate.agents import KnownAgents, own_key_is_dead
from approvals.gate.call import Answer, Call, Caller
from approvals.gate.claim_queue import Turns
from approvals.gate.client import ServiceClient
from approvals.gate.events import EventStream
from approvals.gate.lease import VerdictLease
from approvals.gate.masking import NO_SECRETS, Mask
from approvals.gate.recorder import Recorder
from approvals.gate.reporter import Reporter
from approvals.gate.runner import Runner
from approvals.gate.running import running
from approvals.gate.seal import Seal
from approvals.gate.submission import Submissions, Submitted
from approvals.gate.verifier import Verifier
from approvals.gate.wait import LONG_POLL_SECONDS, Waits
from approvals.protocol.canonical import canonical
from approvals.protocol.messages import RequestStatus
from approvals.protocol.registration import ToolVerdict, Verdict
from approvals.protocol.states import State

if TYPE_CHECKING:
    from approvals.gate.gate import Gate

T = TypeVar("T")
logger = logging.getLogger("approvals.gate.gate")


class Session:
    """One connection to the service, from the first user to the last."""

    def __init__(self, gate: "Gate") -> None:
        self.id = uuid.uuid4().hex
        self._server = gate.server
        self._client = ServiceClient(gate.settings)
        self._agents = KnownAgents(self._client)
        self._recorder = Recorder(self._client, self.id)
        self._lease = VerdictLease(
            gate, self._client, self.id, self._agents, on_registered=self._registered, on_freezes=self._freezes_changed
        )
        self._stream = EventStream(self._client, self.id, self._lease, self._look_again, self._edit)
        seal = Seal(gate.settings.server_key)
        self._reporter = Reporter(self._client, self._stream.tell)
        self._runner = Runner(self._client, seal, self.id, lambda: self._lease.pepper, self._reporter)
        self._verifier = Verifier(
            self._client,
            seal,
            self.id,
            lambda: gate.verifiers(),
            self._runner.busy,
            self._lease.secret,
            lambda tool: gate.spellings(tool),
        )
        self._submissions = Submissions(gate.server, self.id, self._client, seal, self._lease, self._agents)
        self._turns = Turns()
        self._waits = Waits(
            gate.server,
            self._client,
            self._stream,
            self._lease,
            self._agents,
            self._submissions,
            self._runner,
            self._turns,
        )
        self._looks: set[asyncio.Task[None]] = set()
        self._tasks = [
            asyncio.create_task(self._stream.follow_forever()),
            asyncio.create_task(self._recorder.report_forever()),
            asyncio.create_task(self._verifier.verify_forever()),
        ]

    async def close(self) -> None:
        """End the connection; what is not reported yet gets a last moment."""
        tasks = [*self._tasks, *self._looks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._lease.close()
        await self._agents.close()
        await self._verifier.close()
        await self._reporter.close()
        await self._recorder.close()
        await self._client.close()

    async def call(self, call: Call) -> Answer:
        """Run a tool's call now, or when a person approves; or answer why not. Raises what keeps it from being filed,
        and what the tool raises."""
        started = time.monotonic()
        call = self._submissions.masked(call, call.arguments)
        try:
            verdict = await self._lease.verdict(call.tool)  # registers first, so that a refusal can be put on record
            call = self._submissions.masked(call)
            await self._lease.admit(call.caller)
            await self._agents.check(call.caller, self._server, call.tool)
            if verdict.verdict is Verdict.REFUSE and call.continues is None:
                self._record_refusal("tools/call", call.tool, started, call.caller, verdict.reason)
                return answers.refused(verdict.reason)
            call = replace(call, read=call.effective())
            call = self._submissions.masked(call, call.read.shown)
            shown, hidden = self._submissions.redacted(call)
            asked_before = call.continues is not None  # then its request answers, whatever the verdict has become
            if verdict.verdict is Verdict.RUN and not hidden and not asked_before:  # a credential may be on its way out
                return await self._run_now(call, canonical(shown).decode())
            call.read.settle()
            await call.read.check()
            call = await call.foreseen()
            if call.looked.refused is not None:
                raise call.looked.refused
            submitted: Submitted
            with anyio.CancelScope(shield=True):  # short; else nobody would know that the caller left meanwhile
                submitted = await self._submissions.submit(call, verdict)
        except ApprovalsError as error:
            self._record_refusal("tools/call", call.tool, started, call.caller, call.mask.of_error(error), call.mask)
            raise
        return await self._waits.wait_and_run(submitted)

    def lets_read(self, tool: str, agent_key: str | None) -> str | None:
        """The caller's name, maybe empty, when it is known by now that its call runs at once; None when that is for
        `call` to find out."""
        if not self._lease.runs(tool) or self._recorder.is_full:
            return None
        if agent_key is None:
            return None if self._lease.audience else ""
        return self._agents.name_for(agent_key, tool)

    async def read(self, tool: str, act: Callable[[], Awaitable[T]], agent: str, arguments: str) -> T:
        """Run what `lets_read`, on record."""
        return await self._recorder.run("tools/call", tool, act, agent=agent, arguments=arguments)

    async def observe(
        self, method: str, target: str, act: Callable[[], Awaitable[T]], caller: Caller, *, free: bool
    ) -> T:
        """Let a message that is no call of a tool through, on record: for anybody if `free`, else for the audience."""
        if not free:
            started = time.monotonic()
            try:
                await self._lease.admit(caller)
            except ApprovalsError as error:
                self._record_refusal(method, target, started, caller, error.detail)
                raise
        return await self._recorder.run(method, target, act, agent=self._agents.known(caller))

    def note_unknown(self, tool: str, caller: Caller) -> None:
        """Put on record that a tool was called that there is not."""
        self._record_refusal("tools/call", tool, time.monotonic(), caller, "There is no such tool.")

    async def register(self) -> None:
        """Tell the service what this process serves."""
        await self._lease.register()

    @property
    def pepper(self) -> bytes:
        """With which what may hold secrets is named. There is one once anything was judged."""
        return self._lease.pepper

    async def verdict(self, tool: str) -> ToolVerdict:
        """What the service says of a tool as it is served now."""
        return await self._lease.verdict(tool)

    async def agent_of(self, key: str) -> str | None:
        """The name of the agent whose key this is; None when it is nobody's. Raises Unavailable."""
        name = await self._agents.name_of(key)
        if name is None and not self._lease.is_live:
            await self._check_own_key()
        return name

    async def status(self, request_id: str, seconds: float, caller: Caller) -> RequestStatus | None:
        """One of the caller's own requests, waited for while it is pending; None for anybody else's."""
        if not self._submissions.is_callers(request_id, caller):
            return None
        status = await self._client.read(request_id)
        if status.state is State.PENDING and seconds > 0:
            status = await self._client.read(request_id, wait=min(seconds, LONG_POLL_SECONDS), seen=State.PENDING)
        return status

    async def _check_own_key(self) -> None:
        """Raises Unavailable when it is this server's own key that the service does not know."""
        try:
            await self._lease.register()
        except Unauthenticated as error:
            raise own_key_is_dead() from error

    async def _run_now(self, call: Call, shown: str) -> CallToolResult:
        agent = self._agents.known(call.caller)
        with running(None):
            return await self._recorder.run(
                "tools/call",
                call.tool,
                lambda: call.run(call.read.values),
                agent=agent,
                arguments=shown,
                mask=call.mask,
            )

    def _record_refusal(
        self, method: str, target: str, started: float, caller: Caller, why: str, mask: Mask = NO_SECRETS
    ) -> None:
        agent = self._agents.known(caller)
        self._recorder.add(method, target, "refused", started, agent=agent, error=why, mask=mask)

    def _look_again(self, request_id: str) -> None:
        """Beside the stream: a look may take seconds."""
        task = asyncio.create_task(self._looked_again(request_id))
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _looked_again(self, request_id: str) -> None:
        try:
            await self._submissions.look_again(request_id)
        except ApprovalsError as error:
            logger.info("what request %s would do is not looked up again: %s", request_id, error.detail)

    def _edit(self, request_id: str, edit_id: str) -> None:
        """Beside the stream, as a look."""
        task = asyncio.create_task(self._edited(request_id, edit_id))
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _edited(self, request_id: str, edit_id: str) -> None:
        try:
            await self._submissions.edit(request_id, edit_id)
        except ApprovalsError as error:
            logger.info("what a person changed of request %s is not taken: %s", request_id, error.detail)

    def _registered(self) -> None:
        self._verifier.wake()

    def _freezes_changed(self) -> None:
        self._stream.wake()
