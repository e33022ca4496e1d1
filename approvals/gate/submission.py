"""Filing a call: its secrets replaced, its exact arguments sealed, and what the service shows of it compared."""

import json
import uuid
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import ValidationError

from approvals.errors import (
    ApprovalsError,
    Invalid,
    NotPossible,
    Stale,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from approvals.gate.agents import KnownAgents
from approvals.gate.argument_names import spelled
from approvals.gate.call import Call, Caller
from approvals.gate.client import ServiceClient
from approvals.gate.kept_calls import KeptCalls
from approvals.gate.lease import VerdictLease
from approvals.gate.masking import NO_SECRETS, Mask, Masked
from approvals.gate.seal import Seal
from approvals.protocol.canonical import JsonObject, canonical, decode, digest, encode, said_hash
from approvals.protocol.edits import merged
from approvals.protocol.limits import MAX_ARGUMENTS, MAX_REASON
from approvals.protocol.messages import EditAnswer, EditedCall, Filing, RequestStatus
from approvals.protocol.previews import preview_hash
from approvals.protocol.registration import ToolVerdict
from approvals.protocol.secret_edits import touched
from approvals.protocol.states import State

REMEMBERED = 10_000
T = TypeVar("T")


@dataclass(frozen=True)
class Submitted:
    """A call as it was filed."""

    call: Call
    status: RequestStatus
    call_id: str
    """Names this caller's wait."""


class Submissions:
    """The requests that one gate process files."""

    def __init__(
        self, server: str, session: str, client: ServiceClient, seal: Seal, lease: VerdictLease, agents: KnownAgents
    ) -> None:
        self._server = server
        self._session = session
        self._client = client
        self._seal = seal
        self._lease = lease
        self._agents = agents
        self._callers: OrderedDict[str, str] = OrderedDict()
        """The caller of each of the last REMEMBERED requests filed here."""
        self._kept = KeptCalls()

    def masked(self, call: Call, *forms: JsonObject) -> Call:
        """The call behind a mask over what its tool declares secret as of now, in this form of its arguments, too."""
        return replace(call, mask=Mask(self._lease.secret(call.tool), (*call.mask.forms, *forms), call.spellings))

    def redacted(self, call: Call) -> tuple[JsonObject, int]:
        """The encoded arguments with stand-ins, and how many characters are hidden by pattern. Raises TooLarge."""
        encoded = encode(call.read.shown)
        size = len(canonical(encoded))
        if size > MAX_ARGUMENTS:
            raise TooLarge(f"The arguments are {size:,} bytes; {MAX_ARGUMENTS:,} is the most.", hint="Send less.")
        return call.mask.arguments(encoded, self._lease.pepper)

    async def submit(self, call: Call, verdict: ToolVerdict, *, anew: bool = False) -> Submitted:
        """File the call; once more when what this process knew was stale. What is asked `anew` goes on with no request
        that it waited for before."""
        call = replace(call, round=replace(call.round, continues=None)) if anew and call.round is not None else call
        try:
            return await self._file(call, verdict)
        except Stale:
            await self._lease.register()
        except Unauthenticated:
            self._agents.forget()  # the service's clock went further than ours
        verdict = await self._lease.verdict(call.tool)
        return await self._file(self.masked(call), verdict)

    async def look_again(self, request_id: str) -> None:
        """What a call that was filed here would do now, for a person who asks. Raises ApprovalsError."""
        call = self._kept.get(request_id)
        if call is None:
            return
        call = self.masked(await call.foreseen())
        verdict = await self._lease.verdict(call.tool)
        filing = await self._filing(call, verdict.tool_hash, *self.redacted(call), refreshes=request_id)
        await self._client.file(filing)

    async def edit(self, request_id: str, edit_id: str) -> None:
        """Say what a call that was filed here is as a person changed it. Raises ApprovalsError."""
        asked = await self._client.edit(request_id, edit_id)
        call = self._kept.get(request_id)
        mask = NO_SECRETS if call is None else self.masked(call).mask
        try:
            if call is None:
                raise NotPossible("This process of the server does not hold the call any more.")
            answer = await self._edited(call, asked)
        except ApprovalsError as error:
            refused = f"{mask.of_error(error)} {error.hint}".strip()[:MAX_REASON]
            answer = mask.message(EditAnswer, session=self._session, refused=refused)
        await self._client.answer_edit(request_id, edit_id, answer)

    def as_edited(self, call: Call, approved: JsonObject, status: RequestStatus) -> Call:
        """The call as people changed and approved it. Raises Invalid unless it is read as the very content that they
        approved."""
        read = call.read.edited(approved)
        edited = self.masked(replace(call, read=read), read.shown)
        if canonical(encode(read.shown)) != canonical(encode(approved)) or not self.is_own(edited, status):
            raise Invalid("What would run is not what was approved.")
        return edited

    async def leave(self, submitted: Submitted) -> None:
        """Say that this caller waits no longer."""
        await self._client.left(submitted.status.id, self._session, submitted.call_id)

    def said(self, call: Call) -> str | None:
        """A name for what the caller said, where that is not what is shown."""
        return said_hash(self._lease.pepper, call.read.said) if call.read.says_more else None

    def name(self, call: Call) -> str:
        """A name for what the caller said, of any call."""
        return said_hash(self._lease.pepper, call.read.said)

    def is_own(self, call: Call, status: RequestStatus) -> bool:
        """Whether what was approved is this very call, and not another one that said the same."""
        return status.digest == self._digest(call, self.redacted(call)[0], status.tool_hash, status.preview_hash)

    def is_callers(self, request_id: str, caller: Caller) -> bool:
        """Whether this caller's call was filed as this request here."""
        return self._callers.get(request_id) == caller.identity

    async def _edited(self, call: Call, asked: EditedCall) -> Masked[EditAnswer]:
        """The changed call as its tool reads it, with what it would do now."""
        shown, name = self.redacted(call)[0], self.name(call)
        if place := touched(shown, asked.arguments, spelled(self._lease.secret(call.tool), call.spellings)):
            raise Invalid(f"{place} is secret, or has a secret in it.", hint="Hidden arguments stay as they are.")
        wanted = merged(asked.arguments, shown, encode(call.read.shown))
        read = call.read.edited(decode(wanted))
        read.settle()
        await read.check()
        verdict = await self._lease.verdict(call.tool)
        call = await self.masked(replace(call, read=read), read.shown).foreseen()
        arguments, hidden = self.redacted(call)
        if place := touched(shown, arguments):
            raise Invalid(
                f"What is hidden would be something else: {place}.", hint="Hidden arguments stay as they are."
            )
        preview, more = None, 0
        if call.looked.preview is not None:
            preview, more = call.mask.preview(call.looked.preview, self._lease.pepper)
        content = self._digest(call, arguments, verdict.tool_hash, preview_hash(preview))
        exact = json.dumps({"shown": call.read.shown, "said": name}).encode()
        sealed = self._seal.seal(exact, f"arguments {content}")
        if sealed is None:
            raise TooLarge("The changed call is too large to be kept until it runs.", hint="Send less.")
        return call.mask.message(
            EditAnswer,
            session=self._session,
            tool_hash=verdict.tool_hash,
            arguments=arguments,
            hidden=hidden + more,
            sealed_arguments=sealed,
            preview=preview,
            no_preview=call.looked.why_not,
        )

    async def _file(self, call: Call, verdict: ToolVerdict) -> Submitted:
        arguments, hidden = self.redacted(call)
        filing = await self._filing(call, verdict.tool_hash, arguments, hidden)
        status = await self._client.file(filing)
        ended = status.state not in {State.PENDING, State.APPROVED}  # so it did as the tool was defined then
        tool_hash = status.tool_hash if ended else verdict.tool_hash
        expected = self._digest(call, arguments, tool_hash, status.preview_hash)
        other = status.edited is not None or call.read.makes  # then it is compared before it runs
        if status.tool != call.tool or (status.digest != expected and not other):
            raise Unreachable("The service shows other content than this call.", hint="Nothing was run.")
        self._remember(status.id, call)
        return Submitted(call, status, filing.message.call_id)

    async def _filing(
        self, call: Call, tool_hash: str, arguments: JsonObject, hidden: int, refreshes: str | None = None
    ) -> Masked[Filing]:
        said = self.said(call)
        preview, more = None, 0
        if call.looked.preview is not None:
            preview, more = call.mask.preview(call.looked.preview, self._lease.pepper)
        content = self._digest(call, arguments, tool_hash, preview_hash(preview))
        exact = json.dumps({"shown": call.read.shown, "said": said}).encode()
        try:
            return call.mask.message(
                Filing,
                session=self._session,
                call_id=uuid.uuid4().hex,
                tool=call.tool,
                tool_hash=tool_hash,
                arguments=arguments,
                said=said,
                hidden=hidden + more,
                sealed_arguments=self._seal.seal(exact, f"arguments {content}"),
                preview=preview,
                no_preview=call.looked.why_not,
                assertion=await self._assertion(call.caller),
                subject=call.caller.subject,
                reason=call.reason or None,
                client=call.caller.client,
                on_behalf_of=call.origin.on_behalf_of,
                agent_session=call.origin.agent_session,
                trace_id=call.origin.trace_id,
                repeat_of=call.repeat_of,
                refreshes=refreshes,
                continues=call.continues,
            )
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            raise Unavailable(f"This call cannot be filed: {problem['loc']}: {problem['msg']}.") from error

    async def _assertion(self, caller: Caller) -> str | None:
        return None if caller.agent_key is None else (await self._agents.of(caller.agent_key)).assertion

    def _digest(self, call: Call, arguments: JsonObject, tool_hash: str, preview: str | None) -> str:
        return digest(server=self._server, tool=call.tool, tool_hash=tool_hash, arguments=arguments, preview=preview)

    def _remember(self, request_id: str, call: Call) -> None:
        _put(self._callers, request_id, call.caller.identity, REMEMBERED)
        self._kept.put(request_id, call)


def _put(kept: OrderedDict[str, T], name: str, value: T, most: int) -> None:
    kept[name] = value
    kept.move_to_end(name)
    if len(kept) > most:
        kept.popitem(last=False)
