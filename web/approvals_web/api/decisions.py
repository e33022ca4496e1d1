"""A person decides through the API, where the rule allows that channel."""

from fastapi import Request

from approvals.protocol.message_fields import Identifier
from approvals.protocol.messages import Decision, RequestView
from approvals.service.identity.credentials import Principal
from approvals.service.identity.users import Person
from approvals.service.requests.decisions import Seen
from approvals.service.requests.edits import replaced
from approvals.service.storage.database import Transaction
from approvals_web.api.documented import problems
from approvals_web.http.deps import TheService, UserToken
from approvals_web.http.routers import ApiRouter

router = ApiRouter("decisions")


@router.post("/requests/{request_id}/decisions", responses=problems(404, 409))
async def decide(
    request_id: Identifier, body: Decision, user: UserToken, request: Request, service: TheService
) -> RequestView:
    """Approve or deny, bound to the content_version and digest that the person saw. The token needs the scope `decide`
    and a life of 24 hours at most; the request a risk below high, and a rule that opens the `api` channel."""
    person = person_of(user, request)

    def decided(tx: Transaction) -> None:
        row = service.transitions.get(tx, request_id)
        suggested = None if body.suggestion is None else replaced(row, body.suggestion)
        service.decisions.decide(tx, request_id, person, body, Seen(), suggested=suggested)

    await service.write(decided)
    return await service.read(lambda reader: service.statuses.read(reader, request_id))


def person_of(user: Principal, request: Request) -> Person:
    """Whoever's token it is; whether it decides is for `Authority` to say."""
    return Person(
        id=user.id,
        name=user.user.name,
        roles=frozenset(user.user.roles.split()),
        channel="api",
        method="token",
        authenticated_at=user.credential.created_at,
        session_id=user.credential.id,
        address=request.client.host if request.client else "",
    )
