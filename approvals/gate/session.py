"""A gate's connection to the service, from the first call to the last: verdicts, filing, waiting, claiming."""

import asyncio
import contextlib
import hashlib
import json
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import anyio
from mcp_types import CallToolResult
from pydantic import ValidationError

from approvals.clock import boot_clock
from approvals.errors import (
    ApprovalsError,
    NotInAudience,
    NotPossible,
    OutOfScope,
    Stale,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from approvals.gate import answers
from approvals.gate.agents import KnownAgents
from approvals.gate.call import Answer, Call, Caller
from approvals.gate.client import ServiceClient
from approvals.gate.enrolment import Served, enrol
from approvals.gate.events import EventStream, Waiter
from approvals.gate.masking import NO_SECRETS, Mask
from approvals.gate.recorder import Recorder
from approvals.gate.runner import Runner, running
from approvals.gate.seal import Seal
from approvals.gate.turns import Turn, Turns
from approvals.gate.verifier import Verifier
from approvals.protocol.canonical import canonical, digest, encode, said_hash
from approvals.protocol.limits import MAX_ARGUMENTS
from approvals.protocol.messages import Filing, RequestStatus
from approvals.protocol.registration import (
    HeardFreezes,
    Registered,
    StandingFreeze,
    ToolDefinition,
    ToolVerdict,
    Verdict,
)
from approvals.protocol.states import State

if TYPE_CHECKING:
    from approvals.gate.gate import Gate

logger = logging.getLogger("approvals.gate.gate")

REMEMBERED = 10_000
PRESENCE_SECONDS = 2.0
"""How often a waiting call looks whether its caller is still connected (2025-era HTTP does not cancel it)."""
STOPPED = 1.0
"""Seconds that a waiting call comes back late after which this process was stopped, and its news may be old."""


class Session:
    """One connection to the service, from the first user to the last."""

    def __init__(self, gate: "Gate") -> None:
        self.id = uuid.uuid4().hex
        self._gate = gate
        self._client = ServiceClient(gate.settings)
        self._seal = Seal(gate.settings.server_key)
        self._recorder = Recorder(self._client, self.id)
        self._stream = EventStream(self._client, self.id, self.register, self._renew)
        self._runner = Runner(self._client, self._seal, self.id)
        self._turns = Turns()
        self._verifier = Verifier(
            self._client, self._seal, self.id, lambda: gate.verifiers(), self._runner.busy, self._secret
        )
        self._lease: Registered | None = None
        self._lease_until = 0.0
        self._confirmed: set[str] = set()
        self._confirming: asyncio.Task[None] | None = None
        self._registered: Served | None = None
        self._hashes: Mapping[str, str] = {}
        self._odd: Mapping[str, str] = {}
        """Tools that cannot be gated, with why; all others can."""
        self._declaring: tuple[tuple[ToolDefinition, ...] | None, dict[str, tuple[str, ...]]] = (None, {})
        """Definitions, and the secret leaves in each."""
        self._registering = asyncio.Lock()
        self._agents = KnownAgents(self._client)
        self._filed: OrderedDict[str, str] = OrderedDict()
        """The caller of each of the last REMEMBERED requests filed here."""
        self._tasks = [
            asyncio.create_task(self._stream.follow_forever()),
            asyncio.create_task(self._recorder.report_forever()),
            asyncio.create_task(self._verifier.verify_forever()),
        ]

    async def close(self) -> None:
        tasks = [*self._tasks, *([self._confirming] if self._confirming is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._agents.close()
        await self._verifier.close()
        await self._runner.close()
        await self._recorder.close()
        await self._client.close()

    async def call(self, call: Call) -> Answer:
        started = time.monotonic()
        call = self._masked(call, call.arguments)
        try:
            verdict = await self._verdict(call.tool)  # registers first, so that a refusal can be put on record
            call = self._masked(call)
            await self._admit(call.caller)
            await self._agents.check(call.caller, self._gate.server, call.tool)
            if verdict.verdict is Verdict.REFUSE and call.continues is None:
                self._refused(call.tool, started, verdict.reason, call.caller)
                return answers.refused(verdict.reason)
            call = replace(call, read=call.effective())
            call = self._masked(call, call.read.shown)
            shown, hidden = self._redacted(call)
            asked_before = call.continues is not None  # then its request answers, whatever the verdict has become
            if verdict.verdict is Verdict.RUN and not hidden and not asked_before:  # a credential may be on its way out
                return await self._run_now(call, canonical(shown).decode())
            call.read.settle()
            with anyio.CancelScope(shield=True):  # short; else nobody would know that the caller left meanwhile
                call, status, call_id = await self._file(call, verdict)
        except ApprovalsError as error:
            self._refused(call.tool, started, call.mask.of_error(error), call.caller, call.mask)
            raise
        return await self._see_through(call, status, call_id)

    async def observe(
        self, method: str, target: str, act: Callable[[], Awaitable[Any]], caller: Caller, *, free: bool
    ) -> Any:
        """As `recorded`, for a message that is no call of a tool; unless `free`, only for who may use the server."""
        if not free:
            started = time.monotonic()
            try:
                await self._admit(caller)
            except ApprovalsError as error:
                agent = self._agents.known(caller)
                self._recorder.add(method, target, "refused", started, agent=agent, error=error.detail)
                raise
        return await self.recorded(method, target, act, caller, "")

    async def recorded(
        self,
        method: str,
        target: str,
        act: Callable[[], Awaitable[Any]],
        caller: Caller,
        arguments: str,
        mask: Mask = NO_SECRETS,
    ) -> Any:
        """Run it at once, and keep a record of it."""
        await self._recorder.room()
        started = time.monotonic()
        agent = self._agents.known(caller)
        try:
            result = await act()
        except BaseException as error:
            words = f"{type(error).__name__}: {error}"
            kept = {"agent": agent, "arguments": arguments, "error": words}
            self._recorder.add(method, target, "error", started, **kept, mask=mask)
            raise
        failed = isinstance(result, CallToolResult) and bool(result.is_error)
        outcome: Literal["ok", "error"] = "error" if failed else "ok"
        self._recorder.add(method, target, outcome, started, agent=agent, arguments=arguments, mask=mask)
        return result

    async def register(self) -> None:
        """Tell the service what this process serves; the answer is a verdict lease."""
        async with self._registering:
            served, asked = self._served(), boot_clock()
            gate = self._gate
            enrolled = await enrol(self._client, gate.server, self.id, gate.code_version, served)
            for name, why in enrolled.refused.items():
                logger.error("The tool %r cannot be gated, and is refused: %s.", name, why)
            self._registered, self._hashes, self._odd = served, enrolled.hashes, enrolled.refused
            self._renew(enrolled.lease, asked)
            self._verifier.wake()

    async def agent_of(self, key: str) -> str | None:
        name = await self._agents.name_of(key)
        if name is None and boot_clock() >= self._lease_until:
            await self._check_own_key()
        return name

    async def _check_own_key(self) -> None:
        """Raises Unavailable when it is this server's own key that the service does not know."""
        try:
            await self.register()
        except Unauthenticated as error:
            raise Unavailable(
                "The approval service does not know this MCP server's own key.",
                hint="Tell the person who runs it: it needs a new APPROVALS_SERVER_KEY.",
            ) from error

    async def status(self, request_id: str, seconds: float, caller: Caller) -> RequestStatus | None:
        if self._filed.get(request_id) != self._identity(caller):
            return None
        status = await self._client.read(request_id)
        if status.state is State.PENDING and seconds > 0:
            status = await self._client.read(request_id, wait=min(seconds, 25.0), seen=State.PENDING)
        return status

    def _renew(self, lease: Registered, asked: float | None = None) -> None:
        before, self._lease = self._lease, lease
        self._lease_until = (boot_clock() if asked is None else asked) + lease.lease_seconds

        if before is None or before.audience != lease.audience:
            self._agents.forget()
        heard = {freeze.id for freeze in lease.freezes}
        if before is None or before.freezes != lease.freezes:
            self._stream.nudge()
        if heard - self._confirmed and (self._confirming is None or self._confirming.done()):
            self._confirming = asyncio.create_task(self._confirm(heard))

    async def _confirm(self, heard: set[str]) -> None:
        """Say that nothing they stop is started here. Unheard, it is said again with the next lease."""
        with contextlib.suppress(ApprovalsError):
            await self._client.heard(self.id, HeardFreezes(freezes=tuple(sorted(heard))))
            self._confirmed = heard

    def _freeze(self, caller: Caller, *modes: str) -> StandingFreeze | None:
        """The freeze, as far as this process has heard, that stops a caller's writes."""
        freezes = self._lease.freezes if self._lease is not None else ()
        who = self._agents.id_of(caller)
        meant = [freeze for freeze in freezes if freeze.agent_id in ("", who) and freeze.mode in modes]
        return meant[0] if meant else None

    async def _admit(self, caller: Caller) -> None:
        """Raises NotInAudience for a caller that the server is not for, Unauthenticated for a key that is nobody's,
        Unavailable while nobody can say."""
        if self._lease is None or boot_clock() >= self._lease_until:
            await self.register()
        if caller.agent_key is not None:
            await self._agents.of(caller.agent_key)
        elif self._lease is not None and self._lease.audience:
            raise NotInAudience(
                "This server is for certain agents only, and this caller has no agent's key.",
                hint="Set APPROVALS_AGENT_KEY, or send the agent's key as bearer token.",
            )

    async def _verdict(self, tool: str) -> ToolVerdict:
        if self._lease is None or boot_clock() >= self._lease_until or self._changed():
            await self.register()
        assert self._lease is not None  # noqa: S101 — register() raises otherwise
        if tool in self._odd:
            why = f"It cannot be gated as its author wrote it: {self._odd[tool]}."
            return ToolVerdict(verdict=Verdict.REFUSE, tool_hash="0" * 64, reason=why)
        verdict = self._lease.tools.get(tool)
        if verdict is not None and verdict.tool_hash != self._hashes.get(tool):  # of a registration before this one
            await self.register()
            verdict = self._lease.tools.get(tool)
        if verdict is None:
            raise Stale(f"The service knows no tool {tool!r} of this server.", hint="Restart the MCP server.")
        return verdict

    def _changed(self) -> bool:
        """Whether the server serves other tools than it registered, or by other code."""
        return self._registered != self._served()

    def _served(self) -> Served:
        return Served(self._gate.definitions(), self._gate.code_versions())

    async def _run_now(self, call: Call, shown: str) -> CallToolResult:
        with running(None):
            result: CallToolResult = await self.recorded(
                "tools/call", call.tool, lambda: call.run(call.read.values), call.caller, shown, call.mask
            )
        return result

    def _refused(self, tool: str, started: float, why: str, caller: Caller, mask: Mask = NO_SECRETS) -> None:
        agent = self._agents.known(caller)
        self._recorder.add("tools/call", tool, "refused", started, agent=agent, error=why, mask=mask)

    def _masked(self, call: Call, *forms: dict[str, Any]) -> Call:
        """The call behind a mask over what its tool declares secret as of now, in this form of its arguments, too."""
        return replace(call, mask=Mask(self._secret(call.tool), (*call.mask.forms, *forms), call.spellings))

    def _secret(self, tool: str) -> tuple[str, ...]:
        """The secret leaves of a tool: those that it declares now, and those that the service still holds it to."""
        definitions = self._gate.definitions()
        if definitions is not self._declaring[0]:
            self._declaring = definitions, {definition.name: definition.secret for definition in definitions}
        mine = self._declaring[1].get(tool, ())
        held = self._lease.tools.get(tool) if self._lease is not None else None
        return tuple(dict.fromkeys((*mine, *(held.secret if held is not None else ()))))

    def _redacted(self, call: Call) -> tuple[dict[str, Any], int]:
        pepper, encoded = self._pepper, encode(call.read.shown)
        size = len(canonical(encoded))
        if size > MAX_ARGUMENTS:
            raise TooLarge(f"The arguments are {size:,} bytes; {MAX_ARGUMENTS:,} is the most.", hint="Send less.")
        return call.mask.arguments(encoded, pepper)

    @property
    def _pepper(self) -> bytes:
        assert self._lease is not None  # noqa: S101 — whoever has a verdict has a lease
        return bytes.fromhex(self._lease.pepper)

    async def _file(self, call: Call, verdict: ToolVerdict) -> tuple[Call, RequestStatus, str]:
        """File the call; as filed, its status and the name of this wait. Once more when what this process knew was
        stale."""
        try:
            return call, *await self._file_once(call, verdict)
        except Stale:
            await self.register()
        except Unauthenticated:
            self._agents.forget()  # the service's clock went further than ours
        verdict = await self._verdict(call.tool)
        call = self._masked(call)
        return call, *await self._file_once(call, verdict)

    async def _file_once(self, call: Call, verdict: ToolVerdict) -> tuple[RequestStatus, str]:
        arguments, hidden = self._redacted(call)
        of_call: dict[str, Any] = {"server": self._gate.server, "tool": call.tool, "arguments": arguments}
        of_call["tool_hash"] = verdict.tool_hash
        said = self._said(call)
        exact = json.dumps({"shown": call.read.shown, "said": said}).encode()
        try:
            filing = call.mask.message(
                Filing,
                session=self.id,
                call_id=uuid.uuid4().hex,
                tool=call.tool,
                tool_hash=verdict.tool_hash,
                arguments=arguments,
                said=said,
                hidden=hidden,
                sealed_arguments=self._seal.seal(exact, f"arguments {digest(**of_call)}"),
                assertion=None
                if call.caller.agent_key is None
                else (await self._agents.of(call.caller.agent_key)).assertion,
                subject=call.caller.subject,
                reason=call.reason or None,
                client=call.caller.client,
                on_behalf_of=call.origin.on_behalf_of,
                agent_session=call.origin.agent_session,
                trace_id=call.origin.trace_id,
                repeat_of=call.repeat_of,
                continues=call.continues,
            )
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            raise Unavailable(f"This call cannot be filed: {problem['loc']}: {problem['msg']}.") from error
        status = await self._client.file(filing)
        if status.state not in {State.PENDING, State.APPROVED}:  # it ran, or ended, as the tool was defined then
            of_call["tool_hash"] = status.tool_hash
        if status.tool != call.tool or (status.digest != digest(**of_call) and not call.read.makes):
            raise Unreachable("The service shows other content than this call.", hint="Nothing was run.")
        self._filed[status.id] = self._identity(call.caller)
        self._filed.move_to_end(status.id)
        if len(self._filed) > REMEMBERED:
            self._filed.popitem(last=False)
        return status, filing.message.call_id

    async def _see_through(self, call: Call, status: RequestStatus, call_id: str) -> Answer:
        if status.replayed:
            return self._stored(status, replayed=True)
        try:
            if self._freeze(call.caller, "refuse") is not None:  # yet it was filed: joined, or the freeze is over
                with contextlib.suppress(ApprovalsError):
                    await self.register()
            with self._stream.waiting(status) as waiter, self._turns.turn(waiter.nudge) as turn:
                return await self._until_final(call, waiter, turn)
        finally:
            with anyio.move_on_after(1, shield=True):
                await self._leave(status.id, call_id)

    async def _until_final(self, call: Call, waiter: Waiter, turn: Turn) -> Answer:
        started = boot_clock()
        deadline = started + call.hold(waiter.status)
        beat = started if call.progress is not None and call.budget.beat is not None else deadline
        due = boot_clock()
        while True:
            if boot_clock() > due + STOPPED:
                await self._look_again(waiter)
            status = waiter.status
            if status.state is not State.APPROVED or not self._runner.free(status.id):
                turn.end()  # there is nothing to claim, or another call of this process claims it
            elif turn.take():
                answer = await self._claim_and_run(call, waiter, turn)
                if answer is not None:
                    return answer
                continue
            if status.state not in {State.PENDING, State.APPROVED, State.EXECUTING}:
                return await self._if_still_known(call, status) or self._final(status)
            waits = status.state is State.PENDING
            if waits and (freeze := self._freeze(call.caller, "refuse")) is not None:
                return answers.frozen(status, freeze.words)
            now = boot_clock()
            if now >= deadline or not await call.is_attached():
                held = self._freeze(call.caller, "hold") if waits else None
                return call.next_round(status) or answers.of_status(
                    waiter.now(), held=held.words if held else "", nameless=call.caller.nameless
                )
            if call.progress is not None and call.budget.beat is not None and now >= beat:
                words = f"waiting for a person: {status.headline}. Review: {status.review_url}"
                await call.progress(call.waited_before + now - started, words)
                beat = now + call.budget.beat
            until = min(deadline, beat, now + PRESENCE_SECONDS if call.is_there is not None else deadline)
            due = boot_clock() + until - now
            await self._change(waiter, until - now, turn)

    async def _look_again(self, waiter: Waiter) -> None:
        """What became of the request while this process stood still."""
        with contextlib.suppress(ApprovalsError):
            waiter.tell(await self._client.read(waiter.status.id))

    async def _change(self, waiter: Waiter, seconds: float, turn: Turn) -> None:
        """Until the request moves, by the stream, or by a long-poll while the stream is broken; or until its turn."""
        if self._stream.connected or turn.waits:
            await waiter.change(seconds)
            return
        try:
            seen = waiter.status.state
            waiter.tell(await self._client.read(waiter.status.id, wait=min(seconds, 25.0), seen=seen))
        except Unavailable:
            await waiter.change(min(seconds, 1.0))

    async def _claim_and_run(self, call: Call, waiter: Waiter, turn: Turn) -> CallToolResult | None:
        """The tool's result, an answer why not, or None when somebody else's claim came first."""
        status = waiter.status
        if not await call.is_attached():
            return answers.of_status(waiter.now())
        answer: CallToolResult | None = None
        with anyio.CancelScope(shield=True):
            try:
                if self._changed():
                    await self.register()  # then the claim meets what is served now, and is refused
                if not self._runner.free(status.id):
                    return None  # the same call beside this one went first meanwhile
                stopped = partial(self._stopped, call.caller)
                answer = await self._runner.claim_and_run(
                    status,
                    call.read,
                    call.run,
                    call.unchanged,
                    stopped,
                    turn.end,
                    call.mask,
                    other=None if self._is_own(call, status) else self._said(call),
                )
            except NotPossible as error:
                answer = await self._overtaken(error, waiter)
            except ApprovalsError as error:
                answer = answers.of_error(error, request_id=status.id)
                self._stream.nudge_of(status.id)  # the claim may never have arrived: the next call's turn
        return answer

    def _said(self, call: Call) -> str | None:
        """Names what the caller said, where that is not what is shown."""
        return said_hash(self._pepper, call.read.said) if call.read.makes else None

    def _is_own(self, call: Call, status: RequestStatus) -> bool:
        """Whether what was approved is this very call, and not another one that said the same."""
        arguments, _ = self._redacted(call)
        of_call = {"server": self._gate.server, "tool": call.tool, "tool_hash": status.tool_hash}
        return status.digest == digest(**of_call, arguments=arguments)

    def _stopped(self, caller: Caller) -> bool:
        return self._freeze(caller, "refuse", "hold") is not None

    async def _overtaken(self, error: NotPossible, waiter: Waiter) -> CallToolResult | None:
        try:
            waiter.tell(await self._client.read(waiter.status.id))
        except ApprovalsError as lost:
            return answers.of_error(lost, request_id=waiter.status.id)
        if waiter.status.state is State.APPROVED:
            return answers.of_error(error, request_id=waiter.status.id)
        return None

    async def _if_still_known(self, call: Call, status: RequestStatus) -> CallToolResult | None:
        """What a call is told whose request ended because its agent, or the agent's key, no longer counts: asking again
        would not help."""
        if call.caller.agent_key is None or status.state not in {State.WITHDRAWN, State.REVOKED}:
            return None
        self._agents.forget()
        try:
            await self._agents.check(call.caller, self._gate.server, call.tool)
        except (Unauthenticated, OutOfScope) as error:
            return answers.of_error(error, request_id=status.id)
        except ApprovalsError:
            pass  # the request's own end is answer enough
        return None

    def _final(self, status: RequestStatus) -> CallToolResult:
        if status.state in {State.SUCCEEDED, State.FAILED}:
            return self._stored(status, replayed=False)
        return answers.of_status(status)

    def _stored(self, status: RequestStatus, *, replayed: bool) -> CallToolResult:
        """The result that was sealed when it ran."""
        raw = self._seal.open(status.sealed_result, f"result {status.id}") if status.sealed_result else None
        if raw is None:
            return answers.without_result(status)
        result = CallToolResult.model_validate_json(raw)
        return answers.replayed(result, status) if replayed else result

    async def _leave(self, request_id: str, call_id: str) -> None:
        with contextlib.suppress(ApprovalsError):
            await self._client.left(request_id, self.id, call_id)

    def _identity(self, caller: Caller) -> str:
        return hashlib.sha256(f"{caller.agent_key}\0{caller.subject}".encode()).hexdigest()
