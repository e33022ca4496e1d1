"""Taking the permission, once; holding the lease; reporting the outcome."""

import json
import logging
from functools import partial

from sqlalchemy import bindparam, select, update

from approvals import ids
from approvals.errors import (
    ApprovalsError,
    NotFound,
    NotInAudience,
    NotPossible,
    OutOfScope,
    Stale,
    Unauthenticated,
)
from approvals.instant import SECOND
from approvals.policy.model import Action, CallFacts, Policy
from approvals.protocol import scopes
from approvals.protocol.canonical import encode
from approvals.protocol.messages import Claim, Outcome
from approvals.protocol.previews import known_facts, stored
from approvals.protocol.states import OUTCOMES, Move, State
from approvals.service import grants
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.authority import Authority
from approvals.service.controls import audiences, freezes, rollouts, state
from approvals.service.identity import credentials, users
from approvals.service.requests import callers
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Row, Statement, changed
from approvals.service.storage.tables import Execution, Installation, Permission, table_of
from approvals.service.storage.tables.handles import EXECUTION, executions
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.tools.registry import CHANGED_DEFINITION, Registry, facts_of

logger = logging.getLogger("approvals")

START_WITHIN = 5.0
LEASE_SECONDS = 30.0

NOTHING_RAN = {"not_executed", "stale"}
_permissions = table_of(Permission)

_PERMISSION = Statement(select(_permissions).where(_permissions.c.request_id == bindparam("request_id")), Permission)
_RENEW = Statement(
    update(executions).where(executions.c.id == bindparam("of")).values(lease_until=bindparam("lease_until"))
)
_RESULT = ("result", "error", "sealed_result", "sealed_until", "duration_ms")
_FINISH = Statement(
    update(executions)
    .where(executions.c.id == bindparam("of"))
    .values({name: bindparam(name) for name in ("finished_at", "outcome", *_RESULT)})
)
_CONTRADICT = Statement(
    update(executions)
    .where(executions.c.id == bindparam("of"))
    .values({name: bindparam(name) for name in ("contradiction", "contradiction_seen_at", "contradiction_seen_by")})
)


def decided_by_people(reader: Reader, request_id: str) -> bool:
    """Whether a quorum approved it, and no rule, grant or rollout in its place."""
    permission = reader.one(_PERMISSION, request_id=request_id)
    return permission is not None and permission.source == "quorum"


class Claims:
    """Executions, from the claim to the outcome."""

    def __init__(self, transitions: Transitions, registry: Registry, policy: Policy, authority: Authority) -> None:
        self._transitions = transitions
        self._registry = registry
        self._policy = policy
        self._authority = authority

    def claim(
        self, tx: Transaction, installation: Installation, request_id: str, claim: Claim
    ) -> ApprovalsError | None:
        """Consume the permission for `claim.claim_id`; the same claim_id again changes nothing.

        What no longer holds is *returned*, because refusing it also revokes the approval, and that must be kept.
        Raises NotFound (not this installation's), NotPossible (nothing to claim), Stale (another content).
        """
        state.lock_shared(tx)
        row = self._own(tx, installation, request_id)
        _keep(tx, row)
        execution = tx.one(EXECUTION, request_id=row.id)
        if execution is not None and execution.claim_id == claim.claim_id:
            return None
        row = self._transitions.apply_due(tx, row)
        if row.state != State.APPROVED:
            return NotPossible(f"There is nothing to claim: the request is {row.state}.", state=row.state)
        if claim.digest != row.digest:
            raise Stale("This is not the content that was approved.", hint="Call again with the approved arguments.")
        try:
            permission = self._check_again(tx, installation, row, claim)
        except (Stale, Unauthenticated, NotInAudience, OutOfScope, NotPossible) as error:
            self._transitions.move(tx, row, Move.REVOKE, SYSTEM, because=error.detail)
            return error
        self._start(tx, installation, row, permission, claim)
        return None

    def renew(self, tx: Transaction, installation: Installation, request_id: str, claim_id: str) -> None:
        """Hold the lease for LEASE_SECONDS more. Raises NotPossible once it has run out."""
        row, execution = self._held(tx, installation, request_id, claim_id)
        if self._transitions.apply_due(tx, row).state != State.EXECUTING:
            raise NotPossible(f"The lease is over: the request is {row.state}.", state=row.state)
        tx.execute(_RENEW, of=execution.id, lease_until=tx.now + round(LEASE_SECONDS * SECOND))

    def report(self, tx: Transaction, installation: Installation, request_id: str, outcome: Outcome) -> None:
        """Keep what came of it. The same outcome again changes nothing; one that contradicts a settlement is an
        incident. Raises NotFound for a claim_id that does not hold this request."""
        row, execution = self._held(tx, installation, request_id, outcome.claim_id)
        row = self._transitions.apply_due(tx, row)
        if execution.finished_at is None:
            self._finish(tx, installation, row, execution, outcome)
        elif {execution.outcome, outcome.outcome} == NOTHING_RAN:
            return  # settled as not executed, and its gate knows why
        elif execution.outcome != outcome.outcome:
            self._contradict(tx, installation, row, execution, outcome)
        elif execution.duration_ms is None and row.erased_at is None:
            self._complete(tx, installation, row, execution, outcome)

    def _own(self, tx: Transaction, installation: Installation, request_id: str) -> RequestRow:
        row = self._transitions.lock(tx, request_id)
        if row.installation_id != installation.id:
            raise NotFound("There is no such request.", hint="Check the id.")
        return row

    def _held(
        self, tx: Transaction, installation: Installation, request_id: str, claim_id: str
    ) -> tuple[RequestRow, Execution]:
        row = self._own(tx, installation, request_id)
        execution = tx.one(EXECUTION, request_id=row.id)
        if execution is None or execution.claim_id != claim_id:
            raise NotFound("This claim does not hold the request.")
        return row, execution

    def _check_again(self, tx: Transaction, installation: Installation, row: RequestRow, claim: Claim) -> Permission:
        """Everything that may have changed since the approval, and the gate itself since its key was looked at."""
        known = credentials.installation(tx, installation.id)
        if known is None or known.disabled_at is not None:
            raise Unauthenticated("This installation was revoked.", hint="Ask for a new key.")
        tool = self._registry.standing(tx, installation, claim.session, row.tool)
        other = tool.changed_since(row) or (CHANGED_DEFINITION if claim.tool_hash != row.tool_hash else "")
        if other:
            raise Stale(f"{other} after it was approved.", hint="Call again: it is asked anew.")
        agent = None
        if row.agent_id is not None:
            agent, key = callers.live_agent(tx, row.agent_id, row.agent_credential_id)
            if not scopes.allows(key.scopes, row.server, row.tool):
                raise scopes.refusal(row.server, row.tool)
        permission = tx.one(_PERMISSION, request_id=row.id)
        if permission is None or (permission.digest, permission.content_version) != (row.digest, row.content_version):
            raise NotPossible("There is no permission for this content.", state=row.state)
        if permission.source == "quorum":
            self._authority.check_quorum(tx, row)
        facts = facts_of(installation, tool)
        name, groups = (agent.name, tuple(agent.groups.split())) if agent is not None else (None, ())
        _check_controls(tx, row, permission, name, groups)
        effect = known_facts(stored(row.preview))
        call = CallFacts(facts, json.loads(row.arguments), name, row.hidden, tx.now, groups, effect)
        judgement = self._policy.judge(call)
        if judgement.action is Action.DENY and permission.source != "rollout":
            raise NotPossible(f"The policy refuses it by now (rule {judgement.rule}).", state=row.state)
        if permission.source == "grant":
            grants.check_again(tx, self._authority, row, permission.grant_id, known, judgement)
        return permission

    def _start(
        self, tx: Transaction, installation: Installation, row: RequestRow, permission: Permission, claim: Claim
    ) -> None:
        execution = tx.insert(
            Execution,
            id=ids.new(tx.now),
            permission_id=permission.id,
            request_id=row.id,
            claim_id=claim.claim_id,
            session_id=claim.session,
            claimed_at=tx.now,
            lease_until=tx.now + round(LEASE_SECONDS * SECOND),
        )
        touched = Touched(Execution, None, execution)
        self._transitions.move(tx, row, Move.CLAIM, f"installation:{installation.id}", touched)

    def _finish(
        self, tx: Transaction, installation: Installation, row: RequestRow, execution: Execution, outcome: Outcome
    ) -> None:
        kept = _kept(outcome, tx.now + row.replay_window * SECOND)
        touched = _changed(tx, _FINISH, execution, finished_at=tx.now, outcome=outcome.outcome, **kept)
        actor = f"installation:{installation.id}"
        because = (outcome.error or "")[:500]
        self._transitions.move(tx, row, OUTCOMES[outcome.outcome], actor, touched, because=because)

    def _complete(
        self, tx: Transaction, installation: Installation, row: RequestRow, execution: Execution, outcome: Outcome
    ) -> None:
        """The gate says late what was settled already: what it adds is the result."""
        kept = _kept(outcome, (row.ended_at or tx.now) + row.replay_window * SECOND)
        as_settled = {"finished_at": execution.finished_at, "outcome": execution.outcome}
        touched = _changed(tx, _FINISH, execution, **as_settled, **kept)
        tx.record(Kind.EXECUTION_COMPLETED, f"installation:{installation.id}", row.id, touched)
        tx.wake(row.id)

    def _contradict(
        self, tx: Transaction, installation: Installation, row: RequestRow, execution: Execution, outcome: Outcome
    ) -> None:
        if execution.contradiction == outcome.outcome:
            return
        touched = _changed(
            tx,
            _CONTRADICT,
            execution,
            contradiction=outcome.outcome,
            contradiction_seen_at=None,
            contradiction_seen_by=None,
        )
        words = (outcome.error or outcome.result or "")[:500]
        facts = encode({"kept": execution.outcome, "reported": outcome.outcome, "because": words})
        actor = f"installation:{installation.id}"
        tx.record(Kind.INCIDENT_CONTRADICTION, actor, row.id, touched, **facts)
        said = "request %s was settled as %s, and its gate now reports %s: find out what really happened"
        tx.after_commit.append(partial(logger.error, said, row.id, execution.outcome, outcome.outcome))
        tx.wake(row.id)


def _changed(tx: Transaction, statement: Statement[Row], execution: Execution, **changes: object) -> Touched:
    tx.execute(statement, of=execution.id, **changes)
    return Touched(Execution, execution, changed(execution, **changes))


def _check_controls(
    reader: Reader, row: RequestRow, permission: Permission, agent: str | None, groups: tuple[str, ...]
) -> None:
    """Raises Frozen, NotInAudience, or NotPossible when the rollout no longer lets it run unasked."""
    standing = state.load(reader, row.server)
    freezes.check(reader, standing, row.agent_id)
    audiences.check(standing.audience, row.server, agent, groups)
    if permission.source == "rollout":
        rollout = rollouts.mode(standing.rollouts, row.tool, agent, groups)
        if rollouts.source(False, rollout, row.hidden) != "rollout":
            raise NotPossible("It needs an approval by now: its rollout was changed.", state=row.state)


def _keep(tx: Transaction, row: RequestRow) -> None:
    """What a claim rests on stands until it is done: nothing runs for whom, or by whom, was revoked before."""
    credentials.lock_shared(tx, "installation", row.installation_id)
    if row.agent_id is not None:
        credentials.lock_shared(tx, "agent", row.agent_id)
    if row.agent_credential_id is not None:
        credentials.lock_shared(tx, "key", row.agent_credential_id)
    users.lock_voters(tx, row.id)


def _kept(outcome: Outcome, until: int) -> dict[str, object]:
    """What is kept of a result; its exact form for as long as a replay may need it."""
    return {
        "result": outcome.result,
        "error": outcome.error,
        "sealed_result": outcome.sealed_result,
        "sealed_until": until if outcome.sealed_result else None,
        "duration_ms": outcome.duration_ms,
    }
