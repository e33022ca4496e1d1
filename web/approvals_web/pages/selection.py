"""Several requests decided together: each is shown as on its card, decided by the same code, and on record alone."""

import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Form, Query, Request, Response

from approvals.errors import (
    ApprovalsError,
    Forbidden,
    Invalid,
    NotPossible,
    Stale,
)
from approvals.protocol.messages import Decision
from approvals.protocol.states import State
from approvals.service.identity.users import Person
from approvals.service.requests.decisions import Seen
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals.service.storage.tables.rows import RequestRow, RequestRun
from approvals_web.http.deps import SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.card.view import What, seen_token, what

MOST = 20

router = PageRouter()

Ids = Annotated[list[str], Query(alias="id", max_length=MOST)]
Lines = Annotated[list[str], Form(alias="shown", min_length=1, max_length=MOST)]


@router.get("/selection")
def selected(request: Request, person: SignedIn, service: TheService, ids: Ids = []) -> Response:  # noqa: B006
    """What would be decided, request by request. Raises Invalid for what is not decided together."""
    shown = service.read_now(lambda reader: _together(service, reader, person, ids))
    return page(request, "selection.html", {"person": person, "shown": shown, "first": shown[0].what.row})


@router.post("/selection")
async def decide(
    request: Request,
    person: SignedIn,
    service: TheService,
    shown: Lines,
    verdict: Annotated[Literal["approve", "deny"], Form()],
    comment: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """Each in a transaction of its own: what is stale or ended meanwhile is reported, and keeps no other back."""
    posted = [_Posted.parse(line) for line in shown]
    rows = await service.read(lambda reader: [service.statuses.row(reader, one.request_id) for one in posted])
    check_together(rows, ended=True)
    told = [await _one(service, person, one, row, verdict, comment) for one, row in zip(posted, rows, strict=True)]
    barred = [one["barred"] for one in told]
    if all(barred):
        raise barred[0]
    return page(request, "selection_done.html", {"person": person, "told": told, "verdict": verdict})


def check_together(rows: Iterable[RequestRow], *, ended: bool = False) -> None:
    """Raises Invalid unless one look can be enough: one rule, one tool, nothing critical."""
    found = list(rows)
    if not found:
        raise Invalid("Nothing is selected.", hint="Select requests in the queue.")
    if len({(row.server, row.tool, row.rule) for row in found}) > 1:
        raise Invalid("These are not of one tool and one rule.", hint="Decide them one by one, or select fewer.")
    if any(row.risk == "critical" for row in found):
        raise Invalid("What is critical is decided alone.", hint="Open its card.")
    if not ended and any(row.state != State.PENDING for row in found):
        raise NotPossible("Some of these do not wait any more.", hint="Select again.")


@dataclass(frozen=True)
class _Shown:
    """One of those selected, as the page shows it; and the line by which its form says so."""

    what: What
    line: str


def _together(service: Service, reader: Reader, person: Person, ids: Ids) -> list[_Shown]:
    rows = [service.statuses.row(reader, request_id) for request_id in dict.fromkeys(ids)]
    check_together(rows)
    return [_shown(service, reader, person, row, number) for number, row in enumerate(rows, 1)]


class _Posted:
    """One line of the form: a request as it was shown."""

    def __init__(self, request_id: str, version: int, digest: str, card_hash: str, seen: str) -> None:
        self.request_id, self.version, self.digest = request_id, version, digest
        self.card_hash, self.seen = card_hash, seen

    @classmethod
    def parse(cls, text: str) -> "_Posted":
        """Raises Invalid."""
        try:
            request_id, version, *said = json.loads(text)
            digest, card_hash, seen = map(str, said)
            f"{request_id}{digest}{card_hash}{seen}".encode()  # half a surrogate pair is no text
            return cls(str(request_id), int(version), digest, card_hash, seen)
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise Invalid("This form cannot be read.", hint="Select again.") from None


def _shown(service: Service, reader: Reader, person: Person, row: RequestRow, number: int) -> _Shown:
    content = what(service, reader, row, of=f"-{number}")
    seen = seen_token(service, person, row.id, row.content_version, row.digest, content.card_hash)
    return _Shown(content, json.dumps([row.id, row.content_version, row.digest, content.card_hash, seen]))


async def _one(
    service: Service,
    person: Person,
    posted: _Posted,
    row: RequestRun,
    verdict: Literal["approve", "deny"],
    comment: str,
) -> dict[str, Any]:
    expected = seen_token(service, person, posted.request_id, posted.version, posted.digest, posted.card_hash)
    try:
        if not hmac.compare_digest(posted.seen.encode(), expected.encode()):
            raise Stale("This form is not of what you were shown.", hint="Select again.")
        if len(comment) > 2000:
            raise Invalid("The reason has over 2000 characters.", hint="Shorten it.")
        decision = Decision(verdict=verdict, comment=comment, content_version=posted.version, digest=posted.digest)
        seen = Seen(posted.card_hash)
        after = await service.write(lambda tx: service.decisions.decide(tx, posted.request_id, person, decision, seen))
    except ApprovalsError as error:
        barred = error if isinstance(error, Forbidden) else None
        return {"row": row, "said": f"{error.detail} {error.hint}".strip(), "ok": False, "barred": barred}
    return {
        "row": row,
        "said": "recorded; more people have to approve" if after.state == State.PENDING else after.state,
        "ok": True,
        "barred": None,
    }
