"""Erasing what was kept long enough (`approvals.service.retention.schedule`), or one request's contents on demand.

A batch a transaction, found by an index or a bookmark: with nothing to do it costs the same however much there is.
"""

import json
from collections.abc import Mapping

from sqlalchemy import bindparam, delete, exists, null, or_, select, update

from approvals.errors import NotPossible
from approvals.service import grants
from approvals.service.audit import log
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.history import fulltext
from approvals.service.identity.admins import Admin, require_admin
from approvals.service.requests.transitions import Transitions
from approvals.service.retention.schedule import Retention
from approvals.service.storage.database import Transaction
from approvals.service.storage.row_changes import Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import (
    AuditEvent,
    AuditPayload,
    DecisionRow,
    Delivery,
    Edit,
    Execution,
    Meta,
    Request,
    SignInLink,
    StandingGrant,
    WebSession,
    table_of,
)
from approvals.service.storage.tables.handles import executions, requests

BATCH = 25
"""Requests, or records of calls, a transaction: others want to write too."""
WALK = 500
"""Events that one look for old records of calls walks over."""
WORDS = ("comment", "because", "note", "suggestion")
"""What an audit payload about a request says in somebody's own words."""

_events = table_of(AuditEvent)
_payloads = table_of(AuditPayload)
_decisions = table_of(DecisionRow)
_edits = table_of(Edit)
_meta = table_of(Meta)
_sessions = table_of(WebSession)
_links = table_of(SignInLink)
_deliveries = table_of(Delivery)
_grants = table_of(StandingGrant)

_UNSEAL = Statement(
    update(executions)
    .where(
        executions.c.id.in_(
            select(executions.c.id).where(executions.c.sealed_until <= bindparam("now")).limit(BATCH * 4)
        )
    )
    .values(sealed_result=null(), sealed_until=null())
)
_is_live = (_grants.c.revoked_at.is_(None), _grants.c.expires_at > bindparam("now"))
_OLD = Statement(
    select(requests)
    .where(requests.c.ended_at <= bindparam("before"), requests.c.ended_at.is_not(None), requests.c.erased_at.is_(None))
    .where(~exists().where(_grants.c.request_id == requests.c.id, *_is_live))
    .order_by(requests.c.ended_at)
    .limit(BATCH),
    Request,
)
_EMPTY = (
    {"arguments": "{}", "facts": "{}"}
    | dict.fromkeys(("preview", "no_preview", "proposed", "edited", "suggestion"), "")
    | {name: null() for name in ("reason", "comment", "ended_because")}
    | dict.fromkeys(("on_behalf_of", "agent_session", "trace_id"), "")
)
_ERASE_REQUEST = Statement(
    update(requests)
    .where(requests.c.id == bindparam("of"), requests.c.ended_at.is_not(None), requests.c.erased_at.is_(None))
    .values(summary=bindparam("words"), erased_at=bindparam("at"), sealed_arguments=null(), **_EMPTY)
)
_NOTHING = {name: null() for name in ("result", "error", "sealed_result", "sealed_until", "settled_note")}
_ERASE_EXECUTION = Statement(
    update(executions).where(executions.c.request_id == bindparam("of")).values(checked_note=null(), **_NOTHING)
)
_ERASE_DECISIONS = Statement(
    update(_decisions)
    .where(_decisions.c.request_id == bindparam("of"))
    .values(comment="", grant_terms="", suggestion="")
)
_ERASE_EDITS = Statement(
    update(_edits).where(_edits.c.request_id == bindparam("of")).values(arguments="{}", reason="", refused=null())
)
_ERASE_TERMS = Statement(update(_grants).where(_grants.c.request_id == bindparam("of")).values(terms="{}"))
_with_payload = select(_events.c.id, _events.c.at, _events.c.kind, _events.c.payload_hash, _payloads.c.body).join_from(
    _events, _payloads, _payloads.c.payload_hash == _events.c.payload_hash, isouter=True
)
_ABOUT = Statement(_with_payload.where(_events.c.subject == bindparam("subject")).order_by(_events.c.id))
_AFTER = Statement(_with_payload.where(_events.c.id > bindparam("after")).order_by(_events.c.id).limit(WALK))
_NEXT = Statement(select(_events.c.at).where(_events.c.id > bindparam("after")).order_by(_events.c.id).limit(1))
_BOOKMARK = Statement(select(_meta).where(_meta.c.name == "calls_erased_to"), Meta)
_MOVE_BOOKMARK = Statement(update(_meta).where(_meta.c.name == "calls_erased_to").values(value=bindparam("to")))
_FORGET = {
    name: Statement(
        delete(table).where(
            table.c.id.in_(
                select(table.c.id)
                .where(or_(table.c.expires_at <= bindparam("before"), ended <= bindparam("before")))
                .limit(BATCH)
            )
        )
    )
    for name, table, ended in (
        ("web_sessions", _sessions, _sessions.c.revoked_at),
        ("sign_in_links", _links, _links.c.spent_at),
    )
}

_FORGET_DELIVERIES = Statement(
    delete(_deliveries).where(
        _deliveries.c.id.in_(
            select(_deliveries.c.id)
            .where(or_(_deliveries.c.done_at <= bindparam("before"), _deliveries.c.dead_at <= bindparam("before")))
            .limit(BATCH * 4)
        )
    )
)


class Erasures:
    """Erases, and says so on record: the audit chain stays whole."""

    def __init__(self, transitions: Transitions, retention: Retention) -> None:
        self._transitions = transitions
        self._retention = retention

    def sweep(self, tx: Transaction) -> int:
        """One batch of each kind; how much there was, so 0 when nothing is due, or another process does it."""
        if not tx.try_lock("retention"):
            return 0
        unsealed = tx.update(_UNSEAL, now=tx.now)
        return (
            unsealed
            + self._sweep_contents(tx)
            + self._sweep_calls(tx)
            + self._sweep_sessions(tx)
            + self._sweep_deliveries(tx)
        )

    def contents(self, tx: Transaction, request_id: str, by: Admin, because: str) -> None:
        """Erase one ended request's contents; the facts stay. Raises NotFound, or NotPossible while it is open, while a
        grant that was made with it lets calls pass, or when it is done already."""
        actor = require_admin(tx, by)
        row = self._transitions.apply_due(tx, self._transitions.lock(tx, request_id))
        if row.ended_at is None:
            raise NotPossible(f"The request is {row.state}: only what has ended can be erased.", state=row.state)
        grant = grants.of_request(tx, row.id)
        if grant is not None and grants.is_live(grant, tx.now):
            raise NotPossible(
                "A grant that was made with it lets calls pass.", hint=f"First: approvals grant revoke {grant.id}"
            )
        if not self._erase(tx, row, actor, because):
            raise NotPossible("Its contents were erased before.", state=row.state)

    def _sweep_contents(self, tx: Transaction) -> int:
        before = self._retention.before("contents", tx.now)
        rows = [] if before is None else tx.all(_OLD, before=before, now=tx.now)
        for row in rows:
            self._erase(tx, row, SYSTEM, "it was kept long enough")
        return len(rows)

    def _erase(self, tx: Transaction, row: Request, actor: str, because: str) -> bool:
        words = f"{row.server}.{row.tool} (contents erased)"
        watches = [Watch(tx, Request, id=row.id)]
        watches += [Watch(tx, model, request_id=row.id) for model in (Execution, DecisionRow, Edit, StandingGrant)]
        if tx.update(_ERASE_REQUEST, of=row.id, at=tx.now, words=words) != 1:
            return False
        tx.execute(_ERASE_EXECUTION, of=row.id)
        tx.execute(_ERASE_DECISIONS, of=row.id)
        tx.execute(_ERASE_EDITS, of=row.id)
        tx.execute(_ERASE_TERMS, of=row.id)
        fulltext.forget(tx, row.id)
        for event in tx.all(_ABOUT, subject=row.id):
            said = json.loads(event.body or "{}")
            if any(said.get(name) for name in WORDS):
                log.erase_payload(tx, event, actor, _without(said, WORDS))
        tx.record(Kind.REQUEST_ERASED, actor, row.id, *watches, because=because)
        tx.wake(row.id)
        return True

    def _sweep_calls(self, tx: Transaction) -> int:
        """Walk on from the bookmark, as far as events are old enough."""
        before = self._retention.before("calls", tx.now)
        if before is None:
            return 0
        bookmark, erased, last = tx.one(_BOOKMARK), 0, None
        after = int(bookmark.value) if bookmark else 0
        following = tx.one(_NEXT, after=after)
        if following is None or following.at > before:
            return 0
        for event in tx.all(_AFTER, after=after):
            if event.at > before or erased == BATCH:
                break
            if event.kind == "calls.recorded" and event.body is not None:
                log.erase_payload(tx, event, SYSTEM, _without(json.loads(event.body), ("calls",)))
                erased += 1
            last = event.id
        if bookmark is None:
            tx.insert(Meta, name="calls_erased_to", value=str(last))
        else:
            tx.execute(_MOVE_BOOKMARK, to=str(last))
        return 1

    def _sweep_sessions(self, tx: Transaction) -> int:
        before = self._retention.before("sessions", tx.now)
        if before is None:
            return 0
        deleted = {name: tx.update(statement, before=before) for name, statement in _FORGET.items()}
        if any(deleted.values()):
            tx.record(Kind.SESSIONS_DELETED, SYSTEM, "retention", **deleted)
        return sum(deleted.values())

    def _sweep_deliveries(self, tx: Transaction) -> int:
        before = self._retention.before("deliveries", tx.now)
        return 0 if before is None else tx.update(_FORGET_DELIVERIES, before=before)


def _without(payload: Mapping[str, object], names: tuple[str, ...]) -> dict[str, object]:
    return {name: value for name, value in payload.items() if name not in names}
