"""What a person changes of a pending call: a gate reads it, and says what it makes of it."""

import asyncio

from fastapi import Request

from approvals.errors import TooLarge
from approvals.protocol.canonical import canonical, check_encoded
from approvals.protocol.limits import MAX_ARGUMENTS
from approvals.protocol.message_fields import Identifier
from approvals.protocol.messages import EditAnswer, EditedCall, EditWanted, RequestStatus
from approvals.protocol.request_details import RequestDetails
from approvals.service import gate_answers
from approvals.service.requests.edits import Wanted, replaced
from approvals_web.api.decisions import person_of
from approvals_web.api.documented import problems
from approvals_web.api.requests import detailed
from approvals_web.http.deps import Installation, TheService, UserToken
from approvals_web.http.routers import ApiRouter

router = ApiRouter("edits")


@router.post("/requests/{request_id}/edits", responses=problems(404, 409))
async def edit(
    request_id: Identifier, body: EditWanted, user: UserToken, request: Request, service: TheService
) -> RequestDetails:
    """Change a pending call, as a person who could approve it: its gate reads the change and looks up what it would do.
    The answer has the content_version and the digest of what is to be decided from now on; earlier votes are void."""
    person = person_of(user, request)
    row = await service.read(lambda reader: service.transitions.get(reader, request_id))
    wanted = Wanted(replaced(row, body.arguments), body.reason, body.content_version, body.digest)
    await gate_answers.edit(service, request_id, person, wanted)
    return await service.read(lambda reader: detailed(service, reader, request_id))


@router.get("/requests/{request_id}/edits/{edit_id}", responses=problems(404, 426))
async def read_edit(
    request_id: Identifier, edit_id: Identifier, installation: Installation, service: TheService
) -> EditedCall:
    """The call as a person wants it; redacted arguments as the gate filed them."""
    return await service.read(lambda reader: service.edits.read(reader, installation, request_id, edit_id))


@router.put("/requests/{request_id}/edits/{edit_id}", responses=problems(404, 409, 426))
async def answer_edit(
    request_id: Identifier, edit_id: Identifier, body: EditAnswer, installation: Installation, service: TheService
) -> RequestStatus:
    """The changed call as its tool reads it, with what it would do: what people vote on from now on. Or why nothing can
    be made of it. Saying the same again changes nothing."""
    await asyncio.to_thread(_check, body)
    await service.write(lambda tx: service.edit_answers.answer(tx, installation, request_id, edit_id, body))
    return await service.read(lambda reader: service.statuses.read(reader, request_id))


def _check(body: EditAnswer) -> None:
    """Raises Invalid for arguments that no gate would send, and TooLarge."""
    check_encoded(body.arguments)
    if (size := len(canonical(body.arguments))) > MAX_ARGUMENTS:
        raise TooLarge(f"The arguments are {size:,} bytes; {MAX_ARGUMENTS:,} is the most.", hint="Send less.")
