"""A person's deliberate act: the same code for every channel."""

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from approvals import freezes, identifier, levers, people
from approvals.database import Reader, Row, Statement, Transaction
from approvals.errors import Conflict, Forbidden, Invalid, NotPossible, Stale
from approvals.filing import grant_permission
from approvals.instant import SECOND
from approvals.models import DecisionRow
from approvals.people import Person
from approvals.state import Move, Vote, resolve
from approvals.transition import Transitions, seen_state
from approvals.wire import MAX_REASON, Decision, State

_decisions = DecisionRow.__table__  # type: ignore[attr-defined]

_OF_CONTENT = Statement(
    select(_decisions)
    .where(_decisions.c.request_id == bindparam("request_id"), _decisions.c.content_version == bindparam("version"))
    .order_by(_decisions.c.decided_at, _decisions.c.id)
)


@dataclass(frozen=True)
class Seen:
    """What the person had before them."""

    card_hash: str = ""
    looked_ms: int | None = None


class Decisions:
    """Takes verdicts."""

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions

    def decide(self, tx: Transaction, request_id: str, person: Person, decision: Decision, seen: Seen) -> Row:
        """Record a verdict and make the move it leads to; the request's row afterwards.

        Raises Forbidden (not a reviewer), Invalid (no reason given), NotPossible (not pending any more), Stale (the
        content is not what the person saw), Conflict (this person has voted on this content), Frozen (to approve).
        """
        levers.keep(tx)
        row = self._transitions.take(tx, request_id)
        before = on_content(tx, row)
        self._check(tx, row, person, decision, before)
        self._write(tx, row, person, decision, seen)
        votes = [Vote(vote.user_id, vote.verdict == "approve") for vote in before]
        move = resolve([*votes, Vote(person.id, decision.verdict == "approve")], row.quorum)
        if move is None:
            self._transitions.woken(tx, row.id)
            return row
        if move is Move.APPROVE:
            return self._approve(tx, row, person, decision)
        return self._transitions.move(
            tx,
            row,
            move,
            person.actor,
            because=decision.comment,
            comment=decision.comment,
            decided_at=tx.now,
            decided_by=person.name,
            may_ask_again=decision.may_ask_again,
        )

    def _check(self, tx: Transaction, row: Row, person: Person, decision: Decision, before: list[Row]) -> None:
        check_may_decide(tx, row, person)
        state = seen_state(row, tx.now)
        if state is not State.PENDING:
            by = f" by {row.decided_by}" if row.decided_by else ""
            raise NotPossible(
                f"This request is already {state}{by}.", hint="There is nothing left to decide.", state=state
            )
        if decision.content_version != row.content_version or decision.digest != row.digest:
            raise Stale("What would run has changed since you opened it.", hint="Look again before you decide.")
        if decision.verdict == "deny" and not decision.comment.strip():
            raise Invalid("A denial needs a reason.", hint="Say what the agent should do instead; it is told.")
        if len(decision.comment) > MAX_REASON:
            raise Invalid(f"The reason has over {MAX_REASON} characters.", hint="Shorten it.")
        if any(vote.user_id == person.id for vote in before):
            raise Conflict("You have already decided on this.", hint="Another reviewer has to decide.")
        if decision.verdict == "approve":
            freezes.check(tx, levers.standing(tx, row.server), row.agent_id)

    def _write(self, tx: Transaction, row: Row, person: Person, decision: Decision, seen: Seen) -> None:
        tx.insert(
            DecisionRow,
            id=identifier.new(tx.now),
            request_id=row.id,
            content_version=row.content_version,
            digest=row.digest,
            user_id=person.id,
            verdict=decision.verdict,
            comment=decision.comment,
            may_ask_again=decision.may_ask_again,
            channel=person.channel,
            auth_method=person.method,
            auth_at=person.authenticated_at,
            session_id=person.session_id,
            address=person.address,
            card_hash=seen.card_hash,
            looked_ms=seen.looked_ms,
            decided_at=tx.now,
        )
        self._transitions.log.append(
            tx,
            f"decision.{decision.verdict}",
            person.actor,
            row.id,
            comment=decision.comment,
            version=row.content_version,
            digest=row.digest,
            channel=person.channel,
            method=person.method,
            address=person.address,
            card=seen.card_hash,
        )

    def _approve(self, tx: Transaction, row: Row, person: Person, decision: Decision) -> Row:
        grant_permission(tx, row, "quorum")
        return self._transitions.move(
            tx,
            row,
            Move.APPROVE,
            person.actor,
            comment=decision.comment or None,
            decided_at=tx.now,
            decided_by=person.name,
            execute_by=min(row.expires_at, tx.now + row.execute_within * SECOND),
        )


def on_content(reader: Reader, row: Row) -> list[Row]:
    """The decisions on a request's present content, oldest first."""
    return reader.all(_OF_CONTENT, request_id=row.id, version=row.content_version)


def check_may_decide(reader: Reader, row: Row, person: Person) -> None:
    """Raises Forbidden unless this person may decide this request. The one place that says who may."""
    if person.channel == "api":
        raise Forbidden("Its rule does not allow decisions through the API.", hint="Decide in the web app.")
    if not people.may_review(people.find(reader, person.id)):
        raise Forbidden("Only reviewers decide.", hint="Ask an admin for the role 'reviewer'.")
