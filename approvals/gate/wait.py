"""A call's wait for its request: until a person has decided, its turn to run has come, or its caller's time is up."""

import contextlib
from dataclasses import dataclass
from functools import partial

import anyio
from mcp_types import CallToolResult

from approvals.clock import boot_clock
from approvals.errors import ApprovalsError, NotPossible, OutOfScope, Unauthenticated, Unavailable
from approvals.gate import answers
from approvals.gate.agents import KnownAgents
from approvals.gate.call import Answer, Call
from approvals.gate.claim_queue import Turn, Turns
from approvals.gate.client import ServiceClient
from approvals.gate.events import EventStream, Waiter
from approvals.gate.lease import VerdictLease
from approvals.gate.runner import Runner
from approvals.gate.submission import Submissions, Submitted
from approvals.protocol.messages import RequestStatus
from approvals.protocol.registration import Verdict
from approvals.protocol.states import OPEN, State

PRESENCE_SECONDS = 2.0
"""How often a waiting call looks whether its caller is still connected (2025-era HTTP does not cancel it)."""
LOOKS = 100
"""So many such looks a second are enough for a whole process: each costs a tenth of a millisecond, and whoever claims
looks anyway."""
STOPPED = 1.0
"""Seconds that a waiting call comes back late after which this process was stopped, and its news may be old."""
LONG_POLL_SECONDS = 25.0
MOST_ASKED_ANEW = 3
"""Times that one call is asked again because its effect became another; then its caller is told."""


def between_looks(waiting: int) -> float:
    """Seconds after which each of so many calls looks again whether its caller is there."""
    return max(PRESENCE_SECONDS, waiting / LOOKS)


@dataclass(frozen=True)
class Waits:
    """All that the calls of one gate process wait by."""

    server: str
    client: ServiceClient
    stream: EventStream
    lease: VerdictLease
    agents: KnownAgents
    submissions: Submissions
    runner: Runner
    turns: Turns

    async def wait_and_run(self, submitted: Submitted) -> Answer:
        """The answer to a call that was filed: its result, or where it stands when its time is up. One whose effect
        became another is asked anew, and waits on."""
        started, asked_anew = boot_clock(), 0
        while (answer := await self._wait(submitted, started)) is None:
            if asked_anew == MOST_ASKED_ANEW:
                return answers.of_status(submitted.status.model_copy(update={"state": State.STALE, "expires_in": None}))
            asked_anew += 1
            verdict = await self.lease.verdict(submitted.call.tool)
            if verdict.verdict is Verdict.REFUSE:
                return answers.refused(verdict.reason)
            call = await submitted.call.foreseen()
            with anyio.CancelScope(shield=True):
                submitted = await self.submissions.submit(call, verdict, anew=True)
        return answer

    async def _wait(self, submitted: Submitted, started: float) -> Answer | None:
        call, status = submitted.call, submitted.status
        if status.replayed:
            return self.runner.stored(status, replayed=True)
        try:
            if self.lease.freeze(call.caller, "refuse") is not None:  # yet it was filed: joined, or the freeze is over
                with contextlib.suppress(ApprovalsError):
                    await self.lease.register()
            with self.stream.waiting(status) as waiter, self.turns.turn(waiter.wake) as turn:
                try:
                    return await _Wait(self, call, waiter, turn, started).wait()
                finally:
                    status = waiter.status
        finally:
            if status.state in OPEN:  # for what has ended nobody waits
                with anyio.move_on_after(1, shield=True), contextlib.suppress(ApprovalsError):
                    await self.submissions.leave(submitted)


class _Wait:
    """One call's wait."""

    def __init__(self, by: Waits, call: Call, waiter: Waiter, turn: Turn, started: float) -> None:
        self._by = by
        self._call = call
        self._waiter = waiter
        self._turn = turn
        self._started = started
        self._deadline = self._started + call.hold(waiter.status)
        self._beat = self._deadline if self._beat_seconds is None else boot_clock()
        """When the client hears next that it waits."""

    @property
    def _beat_seconds(self) -> float | None:
        return self._call.budget.beat if self._call.progress is not None else None

    async def wait(self) -> Answer | None:
        """The answer to the call, whatever comes first; None where its effect became another."""
        due = boot_clock()
        while True:
            if boot_clock() > due + STOPPED:
                await self._look_again()
            status = self._waiter.status
            if status.state is not State.APPROVED or not self._by.runner.free(status.id):
                self._turn.end()  # there is nothing to claim, or another call of this process claims it
            elif self._turn.take():
                if (answer := await self._claim_and_run()) is not None:
                    return answer
                continue
            if status.state is State.STALE:
                return None
            if (ended := await self._ended(status)) is not None:
                return ended
            now = boot_clock()
            if now >= self._deadline or not await self._call.is_attached():
                return self._still_waiting(status)
            await self._report_progress(status, now)
            until = min(self._deadline, self._beat)
            if self._call.is_there is not None:
                until = min(until, now + between_looks(self._by.stream.waited_for))
            due = boot_clock() + until - now
            await self._change(until - now)

    async def _ended(self, status: RequestStatus) -> CallToolResult | None:
        """The answer, if there is nothing to wait for."""
        if status.state not in {State.PENDING, State.APPROVED, State.EXECUTING}:
            return await self._if_agent_is_gone(status) or self._final(status)
        freeze = self._by.lease.freeze(self._call.caller, "refuse")
        return answers.frozen(status, freeze.words) if status.state is State.PENDING and freeze is not None else None

    def _final(self, status: RequestStatus) -> CallToolResult:
        if status.state in {State.SUCCEEDED, State.FAILED}:
            return self._by.runner.stored(status, replayed=False)
        return answers.of_status(status)

    def _still_waiting(self, status: RequestStatus) -> Answer:
        held = self._by.lease.freeze(self._call.caller, "hold") if status.state is State.PENDING else None
        return self._call.next_round(status) or answers.of_status(
            self._waiter.now(), held=held.words if held else "", nameless=self._call.caller.nameless
        )

    async def _report_progress(self, status: RequestStatus, now: float) -> None:
        if self._call.progress is None or self._beat_seconds is None or now < self._beat:
            return
        words = f"waiting for a person: {status.summary}. Review: {status.review_url}"
        await self._call.progress(self._call.waited_before + now - self._started, words)
        self._beat = now + self._beat_seconds

    async def _look_again(self) -> None:
        """Ask what became of the request while this process stood still."""
        with contextlib.suppress(ApprovalsError):
            self._waiter.tell(await self._by.client.read(self._waiter.status.id))

    async def _change(self, seconds: float) -> None:
        """Wait until the request moves (by the stream, or a long-poll while that is broken), or until its turn."""
        if self._by.stream.connected or self._turn.waits:
            await self._waiter.change(seconds)
            return
        status = self._waiter.status
        try:
            wait = min(seconds, LONG_POLL_SECONDS)
            self._waiter.tell(await self._by.client.read(status.id, wait=wait, seen=status.state))
        except Unavailable:
            await self._waiter.change(min(seconds, 1.0))

    async def _claim_and_run(self) -> CallToolResult | None:
        """The tool's result, an answer why not, or None when somebody else's claim came first."""
        status = self._waiter.status
        if not await self._call.is_attached():
            return answers.of_status(self._waiter.now())
        answer: CallToolResult | None = None
        with anyio.CancelScope(shield=True):
            try:
                if self._by.lease.tools_changed:
                    await self._by.lease.register()  # then the claim meets what is served now, and is refused
                if not self._by.runner.free(status.id):
                    return None  # the same call beside this one went first meanwhile
                answer = await self._run(status)
            except NotPossible as error:
                answer = await self._overtaken(error)
            except ApprovalsError as error:
                answer = answers.of_error(error, request_id=status.id)
                self._by.stream.wake_waiters(status.id)  # the claim may never have arrived: the next call's turn
        return answer

    async def _run(self, status: RequestStatus) -> CallToolResult:
        call, submissions = self._call, self._by.submissions
        edited = partial(submissions.as_edited, call, status=status) if status.edited is not None else None
        own = edited is None and submissions.is_own(call, status)
        result = await self._by.runner.claim_and_run(
            status,
            call,
            lambda: self._by.lease.freeze(call.caller, "refuse", "hold") is not None,
            self._turn.end,
            other=None if own else submissions.name(call) if edited is not None else submissions.said(call),
            edited=edited,
        )
        return answers.as_edited(result, status)

    async def _overtaken(self, error: NotPossible) -> CallToolResult | None:
        """The answer to a claim that came too late; None when the request's own state is the answer."""
        request_id = self._waiter.status.id
        try:
            self._waiter.tell(await self._by.client.read(request_id))
        except ApprovalsError as lost:
            return answers.of_error(lost, request_id=request_id)
        return answers.of_error(error, request_id=request_id) if self._waiter.status.state is State.APPROVED else None

    async def _if_agent_is_gone(self, status: RequestStatus) -> CallToolResult | None:
        """The answer to a call whose request ended because its agent, or the agent's key, no longer counts: asking
        again would not help."""
        if self._call.caller.agent_key is None or status.state not in {State.WITHDRAWN, State.REVOKED}:
            return None
        self._by.agents.forget()
        try:
            await self._by.agents.check(self._call.caller, self._by.server, self._call.tool)
        except (Unauthenticated, OutOfScope) as error:
            return answers.of_error(error, request_id=status.id)
        except ApprovalsError:
            pass  # the request's own end is answer enough
        return None
