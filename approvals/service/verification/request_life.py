"""Whether a request's rows are what its life on record allows. Pure: each check yields what is wrong, in words."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from approvals.errors import Invalid
from approvals.policy import grant_terms
from approvals.protocol.canonical import digest, hash_of
from approvals.protocol.previews import encoded_facts, stored
from approvals.service.authority import required
from approvals.service.storage.tables import DecisionRow, Execution, Permission, Request, StandingGrant
from approvals.service.verification.event_claims import Act
from approvals.service.verification.history import History


@dataclass(frozen=True)
class Life:
    """One request: its rows, what happened to it, and what was so around it."""

    row: Request
    permission: Permission | None
    execution: Execution | None
    grant: StandingGrant | None
    """That approved it."""
    decisions: list[DecisionRow]
    acts: list[Act]
    history: History

    def last(self, kind: str) -> Act | None:
        """The last event of a kind."""
        return next((act for act in reversed(self.acts) if act.kind == kind), None)


Check = Callable[[Life], Iterator[str]]


def faults(life: Life) -> Iterator[str]:
    """What is wrong, by any check."""
    for check in CHECKS:
        for fault in check(life):
            yield f"request {life.row.id}: {fault}"


def _digested(life: Life) -> Iterator[str]:
    row = life.row
    if row.erased_at is not None:
        return
    of_content = {"server": row.server, "tool": row.tool, "tool_hash": row.tool_hash}
    shown = hash_of(row.preview.encode()) if row.preview else None
    if digest(arguments=json.loads(row.arguments), preview=shown, **of_content) != row.digest:
        yield "its arguments or its preview are not those of its digest"


def _permitted(life: Life) -> Iterator[str]:
    permission, approved = life.permission, life.last("request.approved")
    if permission is None:
        if approved is not None:
            yield "it was approved, and has no permission"
        return
    if approved is None:
        yield "it has a permission, and nothing on record approved it"
    elif (permission.content_version, permission.digest) != (approved.version, approved.digest):
        yield f"its permission is for another content than event {approved.id} approved"
    elif (fault := SOURCES[permission.source](life, permission, approved)) is not None:
        yield fault


def _executed(life: Life) -> Iterator[str]:
    if life.execution is None:
        return
    if life.permission is None or life.execution.permission_id != life.permission.id:
        yield "it was executed without a permission of its own"
    if life.last("request.executing") is None:
        yield "it was executed, and nothing on record claimed it"


def _unfrozen(life: Life) -> Iterator[str]:
    for act in life.acts:
        frozen = life.history.frozen(act.id, life.row.server, life.row.agent_id)
        if act.kind in {"request.approved", "request.executing"} and frozen:
            yield f"event {act.id} ({act.kind}) was written while it was frozen"


CHECKS: tuple[Check, ...] = (_digested, _permitted, _executed, _unfrozen)


def _of_quorum(life: Life, permission: Permission, approved: Act) -> str | None:
    of_content = permission.content_version, permission.digest
    voters = {
        act.actor
        for act in life.acts
        if act.kind == "decision.approve" and (act.version, act.digest) == of_content and act.id < approved.id
    }
    let_in = {f"user:{vote.user_id}" for vote in life.decisions if life.history.let_in(vote)}
    able = {voter for voter in voters & let_in if life.history.could_review(voter, approved.id, approved.at)}
    needed = required(life.row).quorum
    if len(able) >= needed:
        return None
    return f"it needed the approval of {needed}, and {len(able)} who could give it are on record"


def _of_policy(life: Life, permission: Permission, approved: Act) -> str | None:
    return None if life.row.action == "allow" else "its permission names its rule, which does not allow it"


def _of_rollout(life: Life, permission: Permission, approved: Act) -> str | None:
    return None if life.row.rollout != "enforce" else "its permission names the rollout, which asks"


def _of_grant(life: Life, permission: Permission, approved: Act) -> str | None:
    grant, row = life.grant, life.row
    names = ("server", "tool", "tool_hash", "agent_id", "installation_id")
    if grant is None or any(getattr(grant, name) != getattr(row, name) for name in names):
        return "its permission names a grant that is none for this call"
    ended = grant.expires_at if grant.revoked_at is None else min(grant.revoked_at, grant.expires_at)
    if not grant.created_at <= permission.created_at <= ended:
        return f"the grant {grant.id} did not stand when it approved it"
    return None if _covered(grant, row) else f"the grant {grant.id} does not cover its arguments"


def _covered(grant: StandingGrant, row: Request) -> bool:
    if row.erased_at is not None or grant.terms == "{}":
        return True  # the words of either are gone
    try:
        facts = encoded_facts(stored(row.preview))
        return grant_terms.fits(grant_terms.parse(grant.terms), json.loads(row.arguments), facts)
    except Invalid:
        return False


SOURCES: dict[str, Callable[[Life, Permission, Act], str | None]] = {
    "quorum": _of_quorum,
    "policy": _of_policy,
    "rollout": _of_rollout,
    "grant": _of_grant,
}
"""What has to be so for a permission from each source."""
