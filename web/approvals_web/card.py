"""What a card shows, gathered from the record."""

import hashlib
import json
from typing import Any

from sqlalchemy import bindparam, select

from approvals import credentials, people, policy_text, policy_versions, presence
from approvals.claim import EXECUTION
from approvals.database import Reader, Row, Statement
from approvals.decision import on_content
from approvals.instant import SECOND
from approvals.models import AuditEvent, AuditPayload
from approvals.people import Person
from approvals.service import Service
from approvals.settlement import MARGIN_SECONDS
from approvals.wire import State
from approvals_web import evidence
from approvals_web.argument_tree import Line, lines
from approvals_web.rendering import fragment

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
    service: Service, person: Person, request_id: str, content_version: int, digest: str, card_hash: str
) -> str:
    """Binds a form to the person, the session and the content it was rendered for."""
    return service.keyring.seen(person.session_id, person.id, request_id, str(content_version), digest, card_hash)


def _context(service: Service, reader: Reader, request_id: str, person: Person) -> dict[str, Any]:
    row = service.statuses.row(reader, request_id)
    status = service.statuses.of(row, reader.now)
    shown, more = lines(json.loads(row.arguments))
    card_hash = hashlib.sha256(fragment("_what.html", row=row, lines=shown, more=more).encode()).hexdigest()
    execution = reader.one(EXECUTION, request_id=row.id)
    return {
        "person": person,
        "title": f"{status.state}: {row.headline} · Approvals",
        "row": row,
        "status": status,
        "lines": shown,
        "more": more,
        "warnings": _warnings(row, status.state, shown, execution),
        "agent": credentials.principal(reader, "agent", row.agent_id) if row.agent_id else None,
        "installation": credentials.principal(reader, "installation", row.installation_id),
        "client": json.loads(row.client),
        "facts": json.loads(row.facts),
        "passage": _passage(reader, row),
        "waiting": presence.waiting(reader, row.id),
        "votes": on_content(reader, row),
        "events": [_event(reader, event) for event in reader.all(_TIMELINE, subject=row.id)],
        "execution": execution,
        "evidence": evidence.lines(reader, execution) if execution else [],
        "settle_from": execution.lease_until + round(MARGIN_SECONDS * SECOND) if execution else None,
        "card_hash": card_hash,
        "seen": seen_token(service, person, row.id, row.content_version, row.digest, card_hash),
        "notice": "",
        "draft": "",
    }


def _passage(reader: Reader, row: Row) -> policy_text.Passage | None:
    """The rule as it stood in the version that judged this request; None where no rule of the file did."""
    version = policy_versions.version(reader, row.policy_hash)
    return policy_text.passages(version.text).get(row.rule) if version is not None else None


def _warnings(row: Row, state: State, shown: list[Line], execution: Row | None) -> list[str]:
    """What deserves a second look."""
    said = {
        "The gate sits beside the agent (cooperative): a hostile agent could go round it.": row.assurance
        == "cooperative",
        "Nobody has reviewed how this tool describes itself; read the arguments, not the headline.": not row.reviewed,
        f"{row.hidden} characters are hidden because they look like a credential.": row.hidden > 0,
        "Some text has hidden, reordering or look-alike characters; they are made visible below.": any(
            line.odd for line in shown
        ),
        "The content changed since it was first asked; earlier votes do not count.": row.content_version > 1,
        f"The same call was asked before and came to nothing (request {row.replaces}).": row.replaces is not None,
        "Whether it took effect is unknown.": state is State.UNKNOWN,
        "This is what a late report contradicts; see how it ran.": bool(execution and execution.contradiction),
    }
    return [words for words, true in said.items() if true]


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
