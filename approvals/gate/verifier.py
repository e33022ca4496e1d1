"""The gate's part in settling `unknown`: run the tools' own checks, and report what they find.

A check that raises, hangs or makes no sense settles nothing; the reviewer reads why.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping

from approvals.errors import ApprovalsError
from approvals.gate.argument_names import Spellings
from approvals.gate.client import ServiceClient
from approvals.gate.masking import Mask, Masked
from approvals.gate.seal import Seal
from approvals.gate.tools import Verify
from approvals.protocol.canonical import JsonObject
from approvals.protocol.messages import Unsettled, Verification

logger = logging.getLogger("approvals.gate.gate")

EVERY_SECONDS = 15.0
PATIENCE_SECONDS = 10.0
"""For one check."""
REMEMBERED = 1000
_OUTCOMES = {"succeeded", "failed", "not_executed"}


class Verifier:
    """The checks of one gate process. `busy` says whether this process itself still runs or reports a request."""

    def __init__(
        self,
        client: ServiceClient,
        seal: Seal,
        session: str,
        verifiers: Callable[[], Mapping[str, Verify]],
        busy: Callable[[str], bool],
        secret: Callable[[str], tuple[str, ...]],
        spellings: Callable[[str], Spellings],
    ) -> None:
        self._client = client
        self._seal = seal
        self._session = session
        self._verifiers = verifiers
        self._busy = busy
        self._secret = secret
        self._spellings = spellings
        self._woken = asyncio.Event()
        self._said: dict[str, Verification] = {}
        """What was last said of requests that could not be told."""
        self._checks: dict[str, asyncio.Task[object]] = {}

    def wake(self) -> None:
        """The service is there again: ask now."""
        self._woken.set()

    async def verify_forever(self) -> None:
        """Ask what is unsettled: when woken, and every so often while any tool has a check."""
        await self._woken.wait()
        while True:
            self._woken.clear()
            try:
                await self._look()
            except ApprovalsError as error:
                logger.info("what is unsettled cannot be asked: %s", error.detail)
            except Exception:
                logger.exception("verifying stumbled; it goes on")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_SECONDS if self._verifiers() else None):
                    await self._woken.wait()

    async def close(self) -> None:
        """Let go of the checks that still run."""
        checks = list(self._checks.values())
        for check in checks:
            check.cancel()
        if checks:
            await asyncio.wait(checks, timeout=1)

    async def _look(self) -> None:
        for tool, verify in self._verifiers().items():
            after = ""
            while page := (await self._client.unsettled(self._session, tool, after)).requests:
                for request in page:
                    if not self._busy(request.id) and request.id not in self._checks:
                        await self._settle(tool, request, verify)
                after = page[-1].id

    async def _settle(self, tool: str, request: Unsettled, verify: Verify) -> None:
        exact = self._exact(request)
        outcome, note = await self._check(request.id, exact, verify)
        mask = Mask(self._secret(tool), (exact or {},), self._spellings(tool))
        found = mask.message(Verification, session=self._session, outcome=outcome, note=note)
        if self._busy(request.id) or self._said.get(request.id) == found.message:
            return
        await self._report(request.id, found)

    async def _report(self, request_id: str, told: Masked[Verification]) -> None:
        found = told.message
        try:
            await self._client.verified(request_id, told)
        except ApprovalsError as error:
            logger.info("what came of %s is not taken: %s", request_id, error.detail)
            if error.status >= 500:
                raise
            return
        if found.outcome == "unclear":
            self._said[request_id] = found
            while len(self._said) > REMEMBERED:
                del self._said[next(iter(self._said))]
        else:
            self._said.pop(request_id, None)
            logger.warning("request %s had no known outcome; its tool's check found: %s", request_id, found.outcome)

    def _exact(self, request: Unsettled) -> JsonObject | None:
        """The tool's arguments, as they were sealed; None when they are not kept, or under another key."""
        sealed = request.sealed_arguments
        raw = self._seal.open(sealed, f"arguments {request.digest}") if sealed else None
        return None if raw is None else dict(json.loads(raw)["shown"])

    async def _check(self, request_id: str, exact: JsonObject | None, verify: Verify) -> tuple[str, str]:
        """What the check says, in the service's words. Never raises."""
        if exact is None:
            return "unclear", "its exact arguments are not kept, or were sealed under another key"
        check = asyncio.create_task(_called(verify, request_id, exact))
        self._checks[request_id] = check
        check.add_done_callback(lambda _: self._checks.pop(request_id, None))
        await asyncio.wait([check], timeout=PATIENCE_SECONDS)
        if not check.done():
            check.cancel()  # and if it does not mind, it is not started again
            return "unclear", f"the check took longer than {PATIENCE_SECONDS:.0f} seconds"
        if check.cancelled():
            return "unclear", "the check was cancelled"
        if (error := check.exception()) is not None:
            return "unclear", f"the check raised {type(error).__name__}: {error}"
        return _understood(check.result())


async def _called(verify: Verify, request_id: str, arguments: dict[str, object]) -> object:
    return await verify(request_id, arguments)


def _understood(answer: object) -> tuple[str, str]:
    """An outcome and a note; whatever is not clearly one is unclear."""
    outcome, note = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, "")
    if not isinstance(note, str) or not (outcome is None or (isinstance(outcome, str) and outcome in _OUTCOMES)):
        return "unclear", f"the check's answer is none of {', '.join(sorted(_OUTCOMES))}: {answer!r}"
    return outcome or "unclear", note
