"""What a card shows, gathered from the record."""

import hashlib
import json
from typing import Any

from sqlalchemy import bindparam, select

from approvals import credentials, grants, ownership, people, policy_text, policy_versions, presence
from approvals.argument_tree import lines
from approvals.authority import on_content
from approvals.claim import EXECUTION
from approvals.database import Reader, Row, Statement
from approvals.grant_terms import parse, sentence
from approvals.instant import SECOND
from approvals.models import AuditEvent, AuditPayload
from approvals.people import Person
from approvals.service import Service
from approvals.settlement import MARGIN_SECONDS
from approvals.wire import State
from approvals_web import doubts, evidence
from approvals_web.deciding import deciding
from approvals_web.rendering import fragment
from approvals_web.shapes import views

MAX_RAW = 12_000
"""Characters of raw arguments on the card itself; beyond, they have a page of their own."""

_events = AuditEvent.__table__  # type: ignore[attr-defined]
_payloads = AuditPayload.__table__  # type: ignore[attr-defined]
_TIMELINE = Statement(
    select(_events, _payloads.c.body)
    .join_from(_events, _payloads, _payloads.c.payload_hash == _events.c.payload_hash, isouter=True)
    .where(_events.c.subject == bindparam("subject"))
    .order_by(_events.c.id)
    .limit(100)
)


async def context(service: Service, request_id: str, person: Person) -> dict[str, Any]:
    """Everything the card's templates need. Raises NotFound."""
    return await service.read(lambda reader: _context(service, reader, request_id, person))


def seen_token(
    service: Service,
    person: Person,
    request_id: str,
    content_version: int,
    digest: str,
    card_hash: str,
    grant: str = "",
) -> str:
    """Binds a form to the person, the session and the content it was rendered for, and to the grant it shows."""
    shown = (request_id, str(content_version), digest, card_hash, *((grants.name_of(grant),) if grant else ()))
    return service.keyring.seen(person.session_id, person.id, *shown)


def what(row: Row) -> dict[str, Any]:
    """What `_what.html` needs, and the hash of what it shows."""
    arguments = json.loads(row.arguments)
    found, more_views = views(arguments)
    shown, more = lines(arguments, {path for view in found for path in view.covers})
    content = {"row": row, "views": found, "more_views": more_views, "lines": shown, "more": more, "max_raw": MAX_RAW}
    return content | {"card_hash": hashlib.sha256(fragment("_what.html", **content).encode()).hexdigest()}


def _context(service: Service, reader: Reader, request_id: str, person: Person) -> dict[str, Any]:
    row = service.statuses.row(reader, request_id)
    status = service.statuses.of(row, reader.now)
    content = what(row)
    card_hash, arguments = content["card_hash"], json.loads(row.arguments)
    votes = on_content(reader, row)
    agent = credentials.principal(reader, "agent", row.agent_id) if row.agent_id else None
    execution = reader.one(EXECUTION, request_id=row.id)
    return content | {
        "person": person,
        "title": f"{status.state}: {row.headline} · Approvals",
        "status": status,
        "warnings": [
            *doubts.of_request(row, status.state, execution),
            *doubts.of_arguments(arguments, content["views"]),
        ],
        "agent": agent,
        "owners": ownership.owners(reader, row.agent_id) if row.agent_id else [],
        "installation": credentials.principal(reader, "installation", row.installation_id),
        "client": json.loads(row.client),
        "facts": json.loads(row.facts),
        "passage": _passage(reader, row),
        "waiting": presence.waiting(reader, row.id),
        "deciding": deciding(service, reader, row, person),
        "further": further(service, reader, row, person, votes, agent, card_hash),
        "granted_by": grants.behind(reader, row.id),
        "granted": grants.of_request(reader, row.id),
        "events": [_event(reader, event) for event in reader.all(_TIMELINE, subject=row.id)],
        "execution": execution,
        "evidence": evidence.lines(reader, execution) if execution else [],
        "settle_from": execution.lease_until + round(MARGIN_SECONDS * SECOND) if execution else None,
        "seen": seen_token(service, person, row.id, row.content_version, row.digest, card_hash),
        "notice": "",
        "draft": "",
    }


def further(
    service: Service, reader: Reader, row: Row, person: Person, votes: list[Row], agent: Row | None, card_hash: str
) -> dict[str, str]:
    """What this card offers beside the approval of its call alone: further calls to allow (`offered`), those that
    others want to allow (`sentence`, `terms`, `names`, `seen`), or why none can be (`why_not`)."""
    if row.state != State.PENDING or not grants.limits_of(row):
        return {}
    if why := grants.why_not(reader, row):
        return {"why_not": why}
    if not votes:
        return {"offered": "yes"}
    terms = {vote.grant_terms for vote in votes}
    users = [people.find(reader, vote.user_id) for vote in votes]
    names = ", ".join(user.name for user in users if user is not None)
    if len(terms) > 1 or "" in terms or agent is None:
        return {"why_not": f"{names} approved this call alone"}
    (text,) = terms
    words = sentence(parse(text), agent.name, row.server, row.tool)
    seen = seen_token(service, person, row.id, row.content_version, row.digest, card_hash, text)
    return {"sentence": words, "terms": text, "names": names, "seen": seen}


def _passage(reader: Reader, row: Row) -> policy_text.Passage | None:
    """The rule as it stood in the version that judged this request; None where no rule of the file did."""
    version = policy_versions.version(reader, row.policy_hash)
    return policy_text.passages(version.text).get(row.rule) if version is not None else None


def _event(reader: Reader, event: Row) -> dict[str, Any]:
    payload = json.loads(event.body or "{}")
    said = "(words erased)" if event.body is None else payload.get("comment") or payload.get("because") or ""
    return {"id": event.id, "at": event.at, "kind": event.kind, "who": _who(reader, event.actor), "said": said}


def _who(reader: Reader, actor: str) -> str:
    """A name for an actor, where there is one."""
    kind, _, name = actor.partition(":")
    if kind == "user":
        row = people.find(reader, name)
    elif kind in {"agent", "installation"}:
        row = credentials.principal(reader, kind, name)
    else:
        return actor
    return actor if row is None else f"{kind} {row.get('name') or row.get('server')}"
