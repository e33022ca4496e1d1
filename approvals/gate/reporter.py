"""Reporting what came of a claimed permission, at once or, while the service is away, in the background."""

import asyncio
from collections.abc import Callable

from approvals.errors import ApprovalsError, NotFound
from approvals.gate.client import ServiceClient
from approvals.gate.masking import NO_SECRETS, Mask, Masked
from approvals.protocol.messages import Outcome, RequestStatus

REPORT_AT_ONCE = 2.0
"""Seconds that an agent waits for its result's report."""
REPORT_PAUSE = 1.0
REPORT_TRIES = 300


class Reporter:
    """Reports for one gate process. `tell` is called with what a request is after a report."""

    def __init__(self, client: ServiceClient, tell: Callable[[RequestStatus], None]) -> None:
        self._client = client
        self._tell = tell
        self._unheard: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def owes(self, request_id: str) -> bool:
        """Whether the service has yet to hear what came of it."""
        return request_id in self._unheard

    async def report(self, request_id: str, outcome: Masked[Outcome]) -> None:
        """Report at once if the service answers; else in the background, while the agent has its result."""
        try:
            async with asyncio.timeout(REPORT_AT_ONCE):
                self._tell(await self._client.report(request_id, outcome))
        except (ApprovalsError, TimeoutError):
            self.keep_reporting(request_id, outcome)

    def keep_reporting(self, request_id: str, outcome: Masked[Outcome]) -> None:
        """Report in the background until it is heard."""
        task = asyncio.create_task(self._until_heard(request_id, outcome))
        self._tasks.add(task)
        self._unheard.add(request_id)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._unheard.discard(request_id))

    async def close(self) -> None:
        """Give unreported outcomes a last moment."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=REPORT_AT_ONCE)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _until_heard(self, request_id: str, outcome: Masked[Outcome]) -> None:
        for _ in range(REPORT_TRIES):
            try:
                self._tell(await self._client.report(request_id, outcome))
            except NotFound:
                return
            except ApprovalsError:
                await asyncio.sleep(REPORT_PAUSE)
            else:
                return


def not_executed(claim_id: str, why: str, mask: Mask = NO_SECRETS) -> Masked[Outcome]:
    """Nothing was started, and why."""
    return mask.message(Outcome, claim_id=claim_id, outcome="not_executed", error=why)


def stale(claim_id: str, changed: str, mask: Mask) -> Masked[Outcome]:
    """Nothing was started, for the effect is another than what was approved."""
    return mask.message(Outcome, claim_id=claim_id, outcome="stale", error=changed)
