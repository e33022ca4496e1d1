"""A person's deliberate act: the same code for every channel."""

import json
from dataclasses import dataclass

from approvals import ids
from approvals.errors import (
    Conflict,
    Invalid,
    NotPossible,
    Stale,
)
from approvals.instant import SECOND
from approvals.policy.eligibility import Act
from approvals.protocol.canonical import JsonObject, canonical
from approvals.protocol.edits import changes
from approvals.protocol.limits import MAX_REASON
from approvals.protocol.messages import Decision
from approvals.protocol.states import Move, State
from approvals.service import grants
from approvals.service.audit.kinds import Kind
from approvals.service.authority import Authority, on_content
from approvals.service.controls import freezes, state
from approvals.service.identity.users import Person
from approvals.service.notifications.notifier import REPLY
from approvals.service.requests.edit_checks import unfit
from approvals.service.requests.permissions import grant_permission
from approvals.service.requests.transitions import Transitions, seen_state
from approvals.service.storage.database import Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.tables import DecisionRow
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.text import says_something
from approvals.service.tools import forms
from approvals.service.tools.registry import Registry


@dataclass(frozen=True)
class Seen:
    """What the person had before them."""

    card_hash: str = ""
    looked_ms: int | None = None


class Decisions:
    """Takes verdicts."""

    def __init__(self, transitions: Transitions, authority: Authority, registry: Registry) -> None:
        self._transitions = transitions
        self._authority = authority
        self._registry = registry

    def decide(
        self,
        tx: Transaction,
        request_id: str,
        person: Person,
        decision: Decision,
        seen: Seen,
        grant: str = "",
        suggested: JsonObject | None = None,
    ) -> RequestRow:
        """Record a verdict and make the move it leads to; the request's row afterwards. With the verdict to approve may
        come the terms of a standing grant (`approvals.policy.grant_terms`), which a quorum has to agree on; with a
        denial the encoded arguments that this person would rather have been asked for.

        Raises Forbidden (may not decide this), Invalid (no reason given), NotPossible (not pending any more), Stale
        (the content is not what the person saw), Conflict (this person has voted on this content), Frozen (to approve).
        """
        state.lock_shared(tx)
        row = self._transitions.lock(tx, request_id)
        self._check(tx, row, person, decision)
        suggestion = self._suggestion(tx, row, decision, suggested)
        if grant:
            grants.check(tx, row, person, decision.verdict, grant, on_content(tx, row))
        self._write(tx, row, person, decision, seen, grant, suggestion)
        if decision.verdict == "deny":
            return self._deny(tx, row, person, decision, suggestion)
        if self._authority.enough(tx, row):
            return self._approve(tx, row, person, decision, grant)
        tx.tell(REPLY, row.id)
        tx.wake(row.id)
        return row

    def _deny(
        self, tx: Transaction, row: RequestRow, person: Person, decision: Decision, suggestion: str
    ) -> RequestRow:
        """One denial denies."""
        return self._transitions.move(
            tx,
            row,
            Move.DENY,
            person.actor,
            because=decision.comment,
            comment=decision.comment,
            decided_at=tx.now,
            decided_by=person.name,
            may_ask_again=decision.may_ask_again,
            suggestion=suggestion,
        )

    def _suggestion(self, tx: Transaction, row: RequestRow, decision: Decision, suggested: JsonObject | None) -> str:
        """What is kept of a suggestion. Raises Invalid for one that does not fit the tool's schema, changes nothing, or
        comes with an approval."""
        if suggested is None:
            return ""
        if decision.verdict != "deny":
            raise Invalid("A suggestion comes with a denial.", hint="To approve something else, change the request.")
        proposed = json.loads(row.proposed or row.arguments)
        if canonical(suggested) == canonical(proposed):
            raise Invalid("The suggestion is what was asked.", hint="Change an argument, or deny without one.")
        if fault := unfit(self._registry, tx, row, proposed, suggested):
            raise Invalid(fault)
        forms.check(self._registry.definition(tx, row.server, row.tool_hash).input_schema, suggested)
        return canonical([change.model_dump() for change in changes(proposed, suggested)]).decode()

    def _check(self, tx: Transaction, row: RequestRow, person: Person, decision: Decision) -> None:
        self._authority.check_may_decide(tx, row, person, Act(decision.verdict))
        current = seen_state(row, tx.now)
        if current is not State.PENDING:
            by = f" by {row.decided_by}" if row.decided_by and current in {State.APPROVED, State.DENIED} else ""
            raise NotPossible(
                f"This request is already {current}{by}.", hint="There is nothing left to decide.", state=current
            )
        if decision.content_version != row.content_version or decision.digest != row.digest:
            raise Stale("What would run has changed since you opened it.", hint="Look again before you decide.")
        if decision.verdict == "deny" and not says_something(decision.comment):
            raise Invalid("A denial needs a reason.", hint="Say what the agent should do instead; it is told.")
        if len(decision.comment) > MAX_REASON:
            raise Invalid(f"The reason has over {MAX_REASON} characters.", hint="Shorten it.")
        if any(vote.user_id == person.id for vote in on_content(tx, row)):
            raise Conflict("You have already decided on this.", hint="Another reviewer has to decide.")
        if decision.verdict == "approve":
            _check_effect_known(row)
            freezes.check(tx, state.load(tx, row.server), row.agent_id)

    def _write(
        self,
        tx: Transaction,
        row: RequestRow,
        person: Person,
        decision: Decision,
        seen: Seen,
        grant: str,
        suggestion: str,
    ) -> None:
        written = tx.insert(
            DecisionRow,
            id=ids.new(tx.now),
            request_id=row.id,
            content_version=row.content_version,
            digest=row.digest,
            user_id=person.id,
            verdict=decision.verdict,
            comment=decision.comment,
            may_ask_again=decision.may_ask_again,
            grant_terms=grant,
            suggestion=suggestion,
            channel=person.channel,
            auth_method=person.method,
            auth_at=person.authenticated_at,
            session_id=person.session_id,
            address=person.address,
            card_hash=seen.card_hash,
            looked_ms=seen.looked_ms,
            decided_at=tx.now,
        )
        tx.record(
            Kind(f"decision.{decision.verdict}"),
            person.actor,
            row.id,
            Touched(DecisionRow, None, written),
            comment=decision.comment,
            version=row.content_version,
            digest=row.digest,
            channel=person.channel,
            method=person.method,
            address=person.address,
            card=seen.card_hash,
            **({"grant": grants.name_of(grant)} if grant else {}),
            **({"suggestion": suggestion} if suggestion else {}),
        )

    def _approve(self, tx: Transaction, row: RequestRow, person: Person, decision: Decision, grant: str) -> RequestRow:
        permission = grant_permission(tx, row, "quorum")
        grants.make(tx, self._authority, row, person, grant)
        return self._transitions.move(
            tx,
            row,
            Move.APPROVE,
            person.actor,
            permission,
            comment=decision.comment or None,
            decided_at=tx.now,
            decided_by=person.name,
            execute_by=min(row.expires_at, tx.now + row.execute_within * SECOND),
        )


def _check_effect_known(row: RequestRow) -> None:
    """Raises NotPossible where the rule lets nobody approve a call whose effect is not known."""
    if row.preview_required and not row.preview:
        why = f": {row.no_preview.rstrip('.')}" if row.no_preview else ""
        raise NotPossible(
            f"Rule {row.rule} asks for a preview, and there is none{why}.",
            hint="Deny it, or let the agent call again once its server can say what it would do.",
            state=row.state,
        )
