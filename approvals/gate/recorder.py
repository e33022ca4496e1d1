"""Every call that needed no approval, on record: numbered, batched, reported within a second."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from mcp_types import CallToolResult

from approvals.errors import ApprovalsError, Conflict, Unavailable
from approvals.gate.client import ServiceClient
from approvals.gate.masking import NO_SECRETS, Mask, Masked
from approvals.protocol.limits import MAX_BODY, MAX_UNREPORTED
from approvals.protocol.messages import CallRecord

logger = logging.getLogger("approvals.gate.gate")

FLUSH_SECONDS = 0.5
RETRY_SECONDS = 2.0
T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """A call, as it is kept until it is reported."""

    number: int
    started: float
    method: str
    target: str
    agent: str
    arguments: str
    outcome: Literal["ok", "error", "refused"]
    error: str
    duration_ms: int
    mask: Mask

    def on_the_wire(self) -> Masked[CallRecord]:
        return self.mask.message(
            CallRecord,
            number=self.number,
            ago=max(0.0, time.monotonic() - self.started),
            method=self.method,
            target=self.target,
            agent=self.agent,
            arguments=self.arguments,
            outcome=self.outcome,
            error=self.error,
            duration_ms=self.duration_ms,
        )


class Recorder:
    """The unreported calls of one session."""

    def __init__(self, client: ServiceClient, session: str) -> None:
        self._client = client
        self._session = session
        self._records: deque[Record] = deque()
        self._high_water = 0
        self._something = asyncio.Event()
        self._reporting = asyncio.Lock()

    @property
    def is_full(self) -> bool:
        """Whether as many calls are unreported as may be."""
        return len(self._records) >= MAX_UNREPORTED

    async def room(self) -> None:
        """Make sure that one more call can be kept. Raises Unavailable when too many are unreported (P8)."""
        if not self.is_full:
            return
        try:
            await self.flush()
        except ApprovalsError as error:
            raise Unavailable(
                f"{MAX_UNREPORTED} calls could not be recorded yet, so no more may run.", hint=error.hint
            ) from error

    def add(
        self,
        method: str,
        target: str,
        outcome: Literal["ok", "error", "refused"],
        started: float,
        *,
        agent: str = "",
        arguments: str = "",
        error: str = "",
        mask: Mask = NO_SECRETS,
    ) -> None:
        """Keep one call. What ran nothing is dropped when there is no room: it was refused, and says so."""
        if outcome == "refused" and self.is_full:
            return
        self._high_water += 1
        took = round((time.monotonic() - started) * 1000)
        self._records.append(
            Record(self._high_water, started, method, target, agent, arguments, outcome, error, took, mask)
        )
        self._something.set()

    async def run(
        self,
        method: str,
        target: str,
        act: Callable[[], Awaitable[T]],
        *,
        agent: str,
        arguments: str = "",
        mask: Mask = NO_SECRETS,
    ) -> T:
        """Run what needs no approval at once, and keep a record of it."""
        await self.room()
        started = time.monotonic()
        try:
            result = await act()
        except BaseException as error:
            words = f"{type(error).__name__}: {error}"
            self.add(method, target, "error", started, agent=agent, arguments=arguments, error=words, mask=mask)
            raise
        failed = isinstance(result, CallToolResult) and bool(result.is_error)
        outcome: Literal["ok", "error"] = "error" if failed else "ok"
        self.add(method, target, outcome, started, agent=agent, arguments=arguments, mask=mask)
        return result

    async def report_forever(self) -> None:
        """Report what there is, again and again."""
        while True:
            await self._something.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception as error:
                logger.warning("calls cannot be reported yet: %s", error)
                self._something.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def flush(self, *, closed: bool = False) -> None:
        """Report everything that there is now; what comes meanwhile waits for the next time. Raises what the client
        raises."""
        async with self._reporting:
            self._something.clear()
            last = self._high_water
            while (self._records and self._records[0].number <= last) or closed:
                batch = self._batch()
                expected = await self._send(batch, closed and len(batch) == len(self._records))
                while self._records and self._records[0].number < expected:
                    self._records.popleft()
                if closed and not self._records:
                    return

    def _batch(self) -> list[Masked[CallRecord]]:
        """The oldest records, as many as half a body holds."""
        batch: list[Masked[CallRecord]] = []
        size = 0
        for record in self._records:
            call = record.on_the_wire()
            size += len(call.message.model_dump_json().encode())
            if batch and size > MAX_BODY // 2:
                break
            batch.append(call)
        return batch

    async def _send(self, batch: list[Masked[CallRecord]], closed: bool) -> int:
        try:
            return (await self._client.record(self._session, batch, self._high_water, closed)).next_number
        except Conflict as conflict:
            expected = int(conflict.extra.get("next_number", 0))
            if not batch or expected <= batch[0].message.number:
                raise  # it wants what is not here any more: asking at once again would not help
            return expected

    async def close(self) -> None:
        """The last report, within two seconds; what it could not say the service finds out by itself."""
        with contextlib.suppress(ApprovalsError, TimeoutError):
            async with asyncio.timeout(2):
                await self.flush(closed=True)
