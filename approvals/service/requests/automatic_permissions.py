"""Requests that nobody is asked about: a grant, a rule or a rollout decides them as they are filed."""

from typing import Any

from approvals.instant import SECOND
from approvals.policy.model import Judgement
from approvals.protocol.states import Move
from approvals.service import grants
from approvals.service.audit.log import SYSTEM
from approvals.service.authority import Authority
from approvals.service.requests.examination import ExaminedCall
from approvals.service.requests.permissions import grant_permission
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Transaction


def approve_by_grant(
    tx: Transaction, transitions: Transitions, authority: Authority, request_id: str, call: ExaminedCall
) -> bool:
    """Approve it at once if a standing grant lets it; never gets round a denial or a freeze."""
    if call.caller.agent_id is None or (call.judgement.needs_preview and call.filing.preview is None):
        return False
    row = transitions.get(tx, request_id)
    grant = grants.use(tx, authority, row, call.installation, call.judgement)
    if grant is None:
        return False
    transitions.move(
        tx,
        row,
        Move.APPROVE,
        SYSTEM,
        grant_permission(tx, row, "grant", grant_id=grant.id),
        decided_at=tx.now,
        decided_by=f"grant of {grant.granted_by} ({grant.used} of {grant.max_uses})",
        execute_by=min(row.expires_at, tx.now + row.execute_within * SECOND, grant.expires_at),
    )
    return True


def decide_by_policy(
    tx: Transaction, transitions: Transitions, request_id: str, judgement: Judgement, source: str
) -> None:
    """Approve it by what lets it run (`source`), or deny it."""
    row = transitions.get(tx, request_id)
    by: dict[str, Any] = {"decided_at": tx.now, "decided_by": f"rule {judgement.rule}"}
    if source:
        permission = grant_permission(tx, row, source)
        by["decided_by"] = f"rule {judgement.rule}" if source == "policy" else f"rollout {row.rollout}"
        by |= {"execute_by": min(row.expires_at, tx.now + row.execute_within * SECOND)}
        transitions.move(tx, row, Move.APPROVE, SYSTEM, permission, **by)
    else:
        because = judgement.reason or "the policy refuses it"
        transitions.move(tx, row, Move.DENY, SYSTEM, because=because, comment=because, **by)
