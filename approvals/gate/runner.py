"""Claiming a permission and using it once: the part of the gate that nothing may interrupt half way."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

from mcp_types import CallToolResult, TextContent
from pydantic_core import PydanticSerializationError

from approvals.clock import boot_clock
from approvals.errors import (
    ApprovalsError,
    Invalid,
    NotPossible,
    Stale,
    Unavailable,
)
from approvals.gate import answers
from approvals.gate.arguments import Effective
from approvals.gate.call import Call
from approvals.gate.client import ServiceClient
from approvals.gate.masking import Mask, Masked
from approvals.gate.preview import looked
from approvals.gate.reporter import Reporter, not_executed, stale
from approvals.gate.running import Lost, NotStarted, running
from approvals.gate.seal import Seal
from approvals.protocol import redaction
from approvals.protocol.canonical import JsonObject
from approvals.protocol.messages import (
    Claim,
    Claimed,
    Outcome,
    RequestStatus,
)
from approvals.protocol.preview_words import changed_words
from approvals.protocol.previews import Preview, differs, preview_hash
from approvals.protocol.states import State

CLAIM_TRIES = 3


class Runner:
    """Claims and runs for one gate process, and has reported what came of it."""

    def __init__(
        self,
        client: ServiceClient,
        seal: Seal,
        session: str,
        pepper: Callable[[], bytes],
        reporter: Reporter,
    ) -> None:
        self._client = client
        self._seal = seal
        self._session = session
        self._pepper = pepper
        self._reporter = reporter
        self._mine: set[str] = set()

    def free(self, request_id: str) -> bool:
        """Whether no other call of this process is already claiming or running it."""
        return request_id not in self._mine

    def busy(self, request_id: str) -> bool:
        """Whether this process runs it, or still has to say what came of it."""
        return request_id in self._mine or self._reporter.owes(request_id)

    async def claim_and_run(
        self,
        status: RequestStatus,
        call: Call,
        stopped: Callable[[], bool],
        starts: Callable[[], None],
        *,
        other: str | None = None,
        edited: Callable[[JsonObject], Call] | None = None,
    ) -> CallToolResult:
        """The tool's own result, or what it raises. `stopped` says at the last moment whether a freeze came; `starts`
        is called then. With `other`, another call was approved that said this: what it made is what runs; `edited`
        reads what people made of it. Raises NotPossible when there is nothing (more) to claim, or its effect is another
        by now."""
        with self._hold(status.id):
            before = boot_clock()
            claim = Claim(
                claim_id=uuid.uuid4().hex,
                session=self._session,
                tool_hash=status.tool_hash,
                digest=status.digest,
                exact=other is not None,
            )
            claimed = await self._claim(status, claim)
            approved = call.read.shown if other is None else self._opened(claimed, other)
            call = replace(call, mask=replace(call.mask, forms=(*call.mask.forms, *filter(None, [approved]))))
            values, why = _values(call.read, approved)
            if edited is not None:
                call, values, why = _edited(call, approved, edited)
            changed, found = "", None
            if claimed.request.digest != status.digest or not _is_shown(claimed, status):
                why = "what would run is not what was approved any more"
            elif not why and claimed.preview is not None:
                found, changed, why = await self._look_again(call, values, claimed.preview, claimed.tolerant)
            if not call.unchanged():
                why = "what would run is not what was approved any more"
            elif stopped():
                why = "writes were frozen at the moment of starting"
            elif boot_clock() - before >= claimed.start_within:
                why = "the permission came too late to start safely"
            starts()
            if why:
                return await self._not_started(status, claim.claim_id, why, call.mask)
            if changed:
                await self._reporter.report(status.id, stale(claim.claim_id, changed, call.mask))
                raise NotPossible(changed)
            with running(status.id, found):
                return await self._run(status, claim.claim_id, claimed.lease_seconds, values, call)

    def stored(self, status: RequestStatus, *, replayed: bool) -> CallToolResult:
        """The result that was sealed when it ran."""
        raw = self._seal.open(status.sealed_result, f"result {status.id}") if status.sealed_result else None
        if raw is None:
            return answers.without_result(status)
        result = CallToolResult.model_validate_json(raw)
        return answers.as_edited(answers.replayed(result, status) if replayed else result, status)

    async def _look_again(
        self, call: Call, values: JsonObject, approved: Preview, tolerant: bool
    ) -> tuple[Preview | None, str, str]:
        """What it would do now; in what that is not what was approved; or why it cannot be known, so nothing runs."""
        now = await looked(call.look, values)
        if now.preview is None:
            return None, "", f"its effect could not be looked up again: {now.why_not or 'it has no preview any more'}"
        found, _ = call.mask.preview(now.preview, self._pepper())
        other = differs(approved, found) if tolerant else preview_hash(approved) != preview_hash(found)
        return now.preview, changed_words(approved, found) if other else "", ""

    async def _not_started(self, status: RequestStatus, claim_id: str, why: str, mask: Mask) -> CallToolResult:
        """Say that nothing ran; the words may be a preview's or an upstream's, which know the arguments."""
        outcome = not_executed(claim_id, why, mask)
        await self._reporter.report(status.id, outcome)
        return answers.not_started(status, outcome.message.error or "")

    def _opened(self, claimed: Claimed, said: str) -> JsonObject | None:
        """What was approved of another call, as its gate sealed it; nothing of a call that said something else."""
        sealed = claimed.sealed_arguments
        exact = self._seal.open(sealed, f"arguments {claimed.request.digest}") if sealed else None
        opened = json.loads(exact) if exact is not None else {}
        return dict(opened["shown"]) if opened.get("said") == said else None

    @contextlib.contextmanager
    def _hold(self, request_id: str) -> Iterator[None]:
        self._mine.add(request_id)
        try:
            yield
        finally:
            self._mine.discard(request_id)

    async def _claim(self, status: RequestStatus, claim: Claim) -> Claimed:
        """The answer to a claim may be lost; the same claim_id gets it again. When it stays lost, say in the background
        that nothing was started."""
        for attempt in range(CLAIM_TRIES):
            try:
                return await self._client.claim(status.id, claim)
            except Unavailable:
                await asyncio.sleep(0.1 * attempt)
        self._reporter.keep_reporting(status.id, not_executed(claim.claim_id, "the claim's answer was lost"))
        raise Unavailable("The approval service went away at the moment of starting.", hint="Nothing was started.")

    async def _run(
        self,
        status: RequestStatus,
        claim_id: str,
        lease_seconds: float,
        values: JsonObject,
        call: Call,
    ) -> CallToolResult:
        lease = asyncio.create_task(self._renew(status.id, claim_id, lease_seconds))
        started = boot_clock()
        try:
            result = await call.run(values)
        except NotStarted as error:
            return await self._not_started(status, claim_id, str(error), call.mask)
        except Lost:
            return answers.of_status(status.model_copy(update={"state": State.UNKNOWN}))  # once its lease has run out
        except Stale as error:
            await self._reporter.report(status.id, stale(claim_id, error.detail, call.mask))
            raise NotPossible(error.detail) from error
        except Exception as error:
            await self._reporter.report(
                status.id, self._outcome(status.id, claim_id, _raised(error), started, call.mask)
            )
            raise
        finally:
            lease.cancel()
        if not isinstance(result, CallToolResult):
            result = _asks_for_more()
        await self._reporter.report(status.id, self._outcome(status.id, claim_id, result, started, call.mask))
        return result

    def _outcome(
        self, request_id: str, claim_id: str, result: CallToolResult, started: float, mask: Mask
    ) -> Masked[Outcome]:
        took = round((boot_clock() - started) * 1000)
        shown = {"error" if result.is_error else "result": _shown(result)}
        return mask.message(
            Outcome,
            claim_id=claim_id,
            outcome="failed" if result.is_error else "succeeded",
            sealed_result=self._sealed(result, request_id),
            duration_ms=took,
            **shown,
        )

    def _sealed(self, result: CallToolResult, request_id: str) -> str | None:
        """The sealed result; None for what JSON cannot carry: the outcome is known all the same."""
        try:
            exact = result.model_dump_json(by_alias=True).encode()
        except (PydanticSerializationError, UnicodeError):
            return None
        return self._seal.seal(exact, f"result {request_id}")

    async def _renew(self, request_id: str, claim_id: str, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            with contextlib.suppress(ApprovalsError):
                seconds = (await self._client.renew(request_id, claim_id)).lease_seconds


def _shown(result: CallToolResult) -> str:
    """What people see of a result: its text, else its structure."""
    words = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    return words or (json.dumps(result.structured_content, ensure_ascii=False) if result.structured_content else "")


def _values(arguments: Effective, approved: JsonObject | None) -> tuple[JsonObject, str]:
    """What runs when this was approved; or why it cannot run."""
    if approved is None:
        return {}, "what was approved is not kept, sealed under another key of this server, or no call that says this"
    try:
        return arguments.as_approved(approved), ""
    except Invalid as error:
        return {}, error.detail


def _edited(
    call: Call, approved: JsonObject | None, edited: Callable[[JsonObject], Call]
) -> tuple[Call, JsonObject, str]:
    """The call as people changed it, and what runs then; or why it cannot run."""
    if approved is None:
        return call, {}, _values(call.read, None)[1]
    try:
        changed = edited(approved)
    except Invalid as error:
        return call, {}, error.detail
    return changed, changed.read.values, ""


def _is_shown(claimed: Claimed, status: RequestStatus) -> bool:
    """Whether the preview is the one that the digest covers."""
    return preview_hash(claimed.preview) == status.preview_hash


def _raised(error: Exception) -> CallToolResult:
    words = redaction.clean(str(error) or type(error).__name__)
    return CallToolResult(content=[TextContent(type="text", text=words)], is_error=True)


def _asks_for_more() -> CallToolResult:
    words = "This tool asked its client for more input after it was approved, which a gated tool cannot do."
    return CallToolResult(content=[TextContent(type="text", text=words)], is_error=True)
