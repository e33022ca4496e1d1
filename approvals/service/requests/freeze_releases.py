"""What a freeze alone held back goes on once it is lifted: judged again, by what counts now."""

import json

from sqlalchemy import not_, select

from approvals.errors import ApprovalsError, Stale, Unauthenticated
from approvals.instant import SECOND
from approvals.policy.model import Action, CallFacts, Policy
from approvals.protocol import scopes
from approvals.protocol.previews import known_facts, stored
from approvals.protocol.states import Move, State
from approvals.service.audit.log import SYSTEM
from approvals.service.controls import audiences, rollouts, state
from approvals.service.controls.freezes import CONCERNED
from approvals.service.identity import credentials
from approvals.service.requests import callers
from approvals.service.requests.permissions import grant_permission
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables.handles import requests
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.tools.registry import Registry, facts_of

BATCH = 200

_HELD = Statement(
    select(requests.c.id)
    .where(requests.c.held, requests.c.state == State.PENDING.value, not_(CONCERNED))
    .order_by(requests.c.id)
    .limit(BATCH)
)


class Releases:
    """Lets held requests go on, or sends their agents to ask anew."""

    def __init__(self, transitions: Transitions, registry: Registry, policy: Policy) -> None:
        self._transitions = transitions
        self._registry = registry
        self._policy = policy

    def sweep(self, tx: Transaction) -> int:
        """Release at most BATCH requests that no freeze holds any more; how many there were."""
        state.lock_shared(tx)
        ids = [row.id for row in tx.all(_HELD)]
        for request_id in ids:
            row = self._transitions.apply_due(tx, self._transitions.lock(tx, request_id))
            if row.state == State.PENDING:
                self._release(tx, row)
        return len(ids)

    def _release(self, tx: Transaction, row: RequestRow) -> None:
        try:
            source = self._source(tx, row)
        except ApprovalsError as error:
            source, why = "", error.detail
        else:
            why = "what allowed it does not any more"
        if not source:
            because = f"a freeze held it, and meanwhile {why[:1].lower()}{why[1:]}"
            self._transitions.move(tx, row, Move.WITHDRAW, SYSTEM, because=because.rstrip("."))
            return
        permission = grant_permission(tx, row, source)
        by = f"rule {row.rule}" if source == "policy" else f"rollout {row.rollout}"
        until = min(row.expires_at, tx.now + row.execute_within * SECOND)
        self._transitions.move(
            tx, row, Move.APPROVE, SYSTEM, permission, decided_at=tx.now, decided_by=by, execute_by=until
        )

    def _source(self, tx: Transaction, row: RequestRow) -> str:
        """What permits it now, without asking anybody; nothing if nothing does. Raises Stale, Unauthenticated,
        NotInAudience, OutOfScope."""
        installation = credentials.installation(tx, row.installation_id)
        if installation is None or installation.disabled_at is not None:
            raise Unauthenticated("Its installation was revoked.")
        tool = self._registry.standing(tx, installation, row.session_id, row.tool)
        if changed := tool.changed_since(row):
            raise Stale(f"{changed}.")
        agent = None
        if row.agent_id is not None:
            agent, key = callers.live_agent(tx, row.agent_id, row.agent_credential_id)
            if not scopes.allows(key.scopes, row.server, row.tool):
                raise scopes.refusal(row.server, row.tool)
        name, groups = (agent.name, tuple(agent.groups.split())) if agent is not None else (None, ())
        standing = state.load(tx, row.server)
        audiences.check(standing.audience, row.server, name, groups)
        effect = known_facts(stored(row.preview))
        facts = facts_of(installation, tool)
        call = CallFacts(facts, json.loads(row.arguments), name, row.hidden, tx.now, groups, effect)
        judgement = self._policy.judge(call)
        rollout = rollouts.mode(standing.rollouts, row.tool, name, groups)
        return rollouts.source(judgement.action is Action.ALLOW, rollout, row.hidden)


def waiting(reader: Reader) -> bool:
    """Whether a request is held that no freeze holds any more."""
    return reader.one(_HELD) is not None
