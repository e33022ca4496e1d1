"""Changing what was asked before approving it, or suggesting it with a denial: a form made from the tool's schema."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from approvals.errors import ApprovalsError, Conflict, Invalid, Stale
from approvals.policy.edits import EditLimits
from approvals.policy.eligibility import Act
from approvals.protocol.canonical import JsonObject
from approvals.protocol.message_fields import Identifier
from approvals.protocol.messages import Decision
from approvals.protocol.states import State
from approvals.service import gate_answers
from approvals.service.identity.users import Person
from approvals.service.requests import edits, presence
from approvals.service.requests.decisions import Seen
from approvals.service.requests.edits import Wanted
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.tools import forms
from approvals_web.http.app_parts import slack_of
from approvals_web.http.deps import SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.card.view import What, seen_token, what
from approvals_web.pages.queue.filter import QueueFilter
from approvals_web.pages.queue.inbox import Inbox, inbox

MAX_FIELDS = 10 + forms.MOST

router = PageRouter()


@dataclass(frozen=True)
class EditPage:
    """What `edit.html` needs."""

    person: Person
    row: RequestRow
    what: What
    seen: str
    """Binds a denial to what this person was shown."""
    fields: list[forms.Field]
    inbox: Inbox
    fixed: str
    """Why this person cannot change what would run; then they can only suggest it."""
    denies: bool
    before: str = ""
    """What an earlier request of the same call was changed to, which the form begins with."""
    reason: str = ""
    notice: str = ""
    done: None = None
    open_id: str = ""


@router.get("/requests/{request_id}/edit")
async def form(request_id: Identifier, request: Request, person: SignedIn, service: TheService) -> Response:
    """The call's arguments, to be changed."""
    return await _page(request, service, person, request_id, {})


@router.post("/requests/{request_id}/edits")
async def change(request_id: Identifier, request: Request, person: SignedIn, service: TheService) -> Response:
    """Have its gate read the changed call, which then waits on the card; or deny the call, and suggest that one."""
    given = await _fields(request)
    try:
        version = int(given.get("content_version", "0") or 0)
        digest, reason = given.get("digest", ""), given.get("reason", "")
        changed = await run_in_threadpool(service.read_now, lambda reader: _changed(service, reader, request_id, given))
        if given.get("act") == "suggest":
            card_hash = given.get("card_hash", "")
            expected = seen_token(service, person, request_id, version, digest, card_hash)
            if not hmac.compare_digest(given.get("seen", "").encode(), expected.encode()):
                raise Stale("This form is not of the card you were shown.", hint="Look again before you decide.")
            decision = Decision(verdict="deny", comment=reason, content_version=version, digest=digest)
            looked = Seen(card_hash)
            await service.write(
                lambda tx: service.decisions.decide(tx, request_id, person, decision, looked, suggested=changed)
            )
        else:
            await gate_answers.edit(service, request_id, person, Wanted(changed, reason, version, digest))
    except (Conflict, Invalid) as error:
        return await _page(request, service, person, request_id, given, error)
    except ValueError as error:
        raise Invalid("This form cannot be read.", hint="Open the card again.") from error
    return RedirectResponse(f"/requests/{request_id}", status_code=303)


async def _fields(request: Request) -> dict[str, str]:
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise Invalid("This form cannot be read.", hint="Open the card again.") from error


async def _page(
    request: Request,
    service: Service,
    person: Person,
    request_id: str,
    given: Mapping[str, str],
    error: ApprovalsError | None = None,
) -> Response:
    made = await run_in_threadpool(
        service.read_now, lambda reader: _form(service, reader, person, request_id, given, request)
    )
    if error is None:
        return page(request, "edit.html", made)
    shown = replace(made, notice=f"{error.detail} {error.hint}".strip())
    return page(request, "edit.html", shown, status=error.status)


def _form(
    service: Service, reader: Reader, person: Person, request_id: str, given: Mapping[str, str], request: Request
) -> EditPage:
    """Raises NotFound, Forbidden for whoever can neither approve nor deny it, Conflict for what waits no more."""
    row = service.statuses.row(reader, request_id)
    service.authority.check_may_decide(reader, row, person, Act.DENY)
    state = service.statuses.of(row, reader.now).state
    if state is not State.PENDING:
        raise Conflict(f"This request is already {state}.", hint="Look at the card again.")
    arguments = json.loads(row.arguments)
    made, content = _made(service, reader, row), what(service, reader, row)
    earlier = edits.earlier(reader, row)
    if given:
        made = [replace(field, text=given.get(field.name, field.text)) for field in made]
    elif earlier is not None:
        made = _beginning_with(made, _over(service, reader, row, earlier.arguments, EditLimits()))
    return EditPage(
        person,
        row,
        content,
        seen_token(service, person, row.id, row.content_version, row.digest, content.card_hash),
        made,
        inbox(service, reader, person, QueueFilter(), slack=slack_of(request) is not None),
        fixed=_why_fixed(service, reader, row, person),
        denies=service.authority.fault(reader, row, person, Act.DENY) is None,
        before=earlier.by if earlier is not None and not given and arguments != earlier.arguments else "",
        reason=given.get("reason", ""),
        open_id=row.id,
    )


def _why_fixed(service: Service, reader: Reader, row: RequestRow, person: Person) -> str:
    if fault := service.authority.fault(reader, row, person, Act.APPROVE):
        return fault
    if not EditLimits.parse(row.edits).allowed:
        return "Its rule lets nobody change what was asked."
    if presence.asked_of(reader, row.id, row.session_id) is None:
        return f"No process of {row.server} that could read a change is connected now."
    return ""


def _beginning_with(made: list[forms.Field], earlier: list[forms.Field]) -> list[forms.Field]:
    texts = {field.path: field.text for field in earlier}
    return [
        field if field.kind == "fixed" else replace(field, text=texts.get(field.path, field.text)) for field in made
    ]


def _changed(service: Service, reader: Reader, request_id: str, given: Mapping[str, str]) -> JsonObject:
    row = service.statuses.row(reader, request_id)
    if (given.get("content_version"), given.get("digest")) != (str(row.content_version), row.digest):
        raise Conflict("What would run has changed since you opened it.", hint="Look again before you change it.")
    return forms.read(_made(service, reader, row), json.loads(row.arguments), given)


def _made(service: Service, reader: Reader, row: RequestRow) -> list[forms.Field]:
    return _over(service, reader, row, json.loads(row.arguments), EditLimits.parse(row.edits))


def _over(
    service: Service, reader: Reader, row: RequestRow, arguments: JsonObject, limits: EditLimits
) -> list[forms.Field]:
    schema = service.registry.definition(reader, row.server, row.tool_hash).input_schema
    return forms.fields(schema, arguments, limits, service.registry.kept_secret(reader, row))
