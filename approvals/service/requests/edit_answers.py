"""What a gate makes of an edit: the content that is put to people from now on, or why there is none. The policy judges
it like a filing; nothing else of the request is what it was, but for whose it is."""

import json
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from approvals.errors import Invalid, NotPossible, Stale, Unauthenticated
from approvals.instant import SECOND
from approvals.policy.model import Action, CallFacts
from approvals.protocol import secret_paths
from approvals.protocol.canonical import canonical, digest
from approvals.protocol.edits import Edited, changes
from approvals.protocol.messages import EditAnswer
from approvals.protocol.previews import known_facts, preview_hash
from approvals.protocol.states import State
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.identity import users
from approvals.service.policies import snapshot
from approvals.service.policies.current import PolicyInForce
from approvals.service.requests import callers, edits, revisions
from approvals.service.requests.edit_checks import check_changeable, check_judged, check_read
from approvals.service.requests.request_content import StoredPolicies, asked_of, previewed, shows_another, summary_of
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Statement, changed
from approvals.service.storage.tables import Edit, Installation, table_of
from approvals.service.storage.tables.handles import requests
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.tools.registry import Registry, Standing, facts_of

UNANSWERED_SECONDS = 60.0
"""What was typed is not kept longer for a gate that does not answer: a look takes four, a check of arguments five."""
UNANSWERED = "The server did not answer in time."
ENDED_FIRST = "The request ended before the server answered."
BATCH = 100

_edits = table_of(Edit)
_ANSWER = Statement(
    update(_edits)
    .where(_edits.c.id == bindparam("of"))
    .values(answered_at=bindparam("answered_at"), refused=bindparam("refused"), arguments=bindparam("arguments"))
)
_UNANSWERED = Statement(
    select(_edits)
    .join(requests, requests.c.id == _edits.c.request_id)
    .where(_edits.c.answered_at.is_(None))
    .where(or_(_edits.c.asked_at <= bindparam("before"), requests.c.ended_at.is_not(None)))
    .order_by(_edits.c.asked_at)
    .limit(BATCH),
    Edit,
)


class EditAnswers:
    """Takes what gates make of edits, and ends those that none answers."""

    def __init__(
        self, transitions: Transitions, registry: Registry, policy: PolicyInForce, policies: StoredPolicies
    ) -> None:
        self._transitions = transitions
        self._registry = registry
        self._policy = policy
        self._policies = policies

    def answer(
        self, tx: Transaction, installation: Installation, request_id: str, edit_id: str, answer: EditAnswer
    ) -> None:
        """Take what the gate made of it: the content that is put to people from now on, or why there is none. The same
        answer again changes nothing. Raises NotFound, NotPossible (too late), Stale."""
        row = self._transitions.lock(tx, request_id)
        edit = edits.own(tx, installation, row, edit_id)
        row = self._transitions.apply_due(tx, row)
        if row.edit_id == edit.id:
            self._look_again(tx, installation, row, edit, answer)
            return
        if edit.answered_at is not None:
            return
        try:
            check_changeable(row, tx.now)
            if edit.content_version != row.content_version:
                raise NotPossible("Something else changed it first.", state=row.state)
            if answer.refused:
                raise Invalid(answer.refused)
            self._apply(tx, installation, row, edit, answer)
        except (Invalid, NotPossible, Stale, Unauthenticated) as error:
            _refuse(tx, f"installation:{installation.id}", edit, f"{error.detail} {error.hint}".strip())

    def end_unanswered(self, tx: Transaction) -> int:
        """End up to BATCH edits that no gate answered in time, or whose request ended first; how many there were."""
        if not tx.try_lock("edits"):
            return 0
        left = unanswered(tx)
        for found in left:
            row = self._transitions.lock(tx, found.request_id)
            edit = edits.find(tx, found.id)
            if edit is not None and edit.answered_at is None:
                _refuse(tx, SYSTEM, edit, ENDED_FIRST if row.ended_at is not None else UNANSWERED)
        return len(left)

    def _apply(
        self, tx: Transaction, installation: Installation, row: RequestRow, edit: Edit, answer: EditAnswer
    ) -> None:
        tool = self._standing(tx, installation, row, answer)
        check_read(json.loads(row.arguments), answer.arguments)
        known = _known(tx, installation, row, tool, answer)
        policy = self._policy.present
        judgement = policy.judge(known)
        proposed = json.loads(row.proposed or row.arguments)
        check_judged(row, judgement, proposed, answer.arguments)
        editor = users.find(tx, edit.user_id)
        told = changes(proposed, answer.arguments)
        by = Edited(by=editor.name if editor is not None else "", reason=edit.reason, changes=told)
        words, reviewed = summary_of(row.server, tool, answer.arguments)
        answered = _answered(tx, edit, None)
        waits = Action.REQUIRE_APPROVAL.value  # a person decides, whatever would let such a call pass
        self._transitions.change(
            tx,
            row,
            Kind.REQUEST_EDITED,
            f"installation:{installation.id}",
            answered,
            because=f"{by.by}: {edit.reason}",
            content_version=row.content_version + 1,
            arguments=canonical(answer.arguments).decode(),
            hidden=answer.hidden,
            session_id=answer.session,
            sealed_arguments=answer.sealed_arguments,
            digest=_digest(row, answer),
            **previewed(answer.preview, answer.no_preview, tx.now),
            summary=words,
            reviewed=reviewed,
            action=waits,
            rule=judgement.rule,
            snapshot=snapshot.dump(known),
            facts=canonical(judgement.facts).decode(),
            policy_hash=self._policies.store(tx, policy),
            proposed=canonical(proposed).decode() if told else "",
            edit_id=edit.id if told else None,
            edited=by.model_dump_json() if told else "",
            **asked_of(judgement, row.created_at),
        )

    def _look_again(
        self, tx: Transaction, installation: Installation, row: RequestRow, edit: Edit, answer: EditAnswer
    ) -> None:
        """The call as it stands changed, looked up again; another effect voids the votes."""
        if row.state != State.PENDING or answer.refused or canonical(answer.arguments).decode() != row.arguments:
            return
        revisions.check(tx, row)
        actor = f"installation:{installation.id}"
        if not shows_another(row, answer.preview):
            at = tx.now if answer.preview is not None else row.previewed_at
            self._transitions.change(
                tx, row, Kind.REQUEST_PREVIEWED, actor, no_preview=answer.no_preview, previewed_at=at
            )
            return
        tool = self._standing(tx, installation, row, answer)
        known = _known(tx, installation, row, tool, answer)
        policy = self._policy.present
        judgement = policy.judge(known)
        self._transitions.change(
            tx,
            row,
            Kind.REQUEST_REVISED,
            actor,
            because="its effect is another by now",
            content_version=row.content_version + 1,
            digest=_digest(row, answer),
            sealed_arguments=answer.sealed_arguments,
            **previewed(answer.preview, "", tx.now),
            rule=judgement.rule,
            snapshot=snapshot.dump(known),
            facts=canonical(judgement.facts).decode(),
            policy_hash=self._policies.store(tx, policy),
            **asked_of(judgement, row.created_at),
        )

    def _standing(self, tx: Transaction, installation: Installation, row: RequestRow, answer: EditAnswer) -> Standing:
        """The tool as the gate serves it. Raises Stale unless it is the one that was asked."""
        tool = self._registry.standing(tx, installation, answer.session, row.tool)
        if tool.tool_hash != answer.tool_hash or tool.changed_since(row):
            raise Stale("The tool's definition has changed.", hint="Register the tools again.")
        for path in secret_paths.shown(answer.arguments, tool.secret):
            raise Invalid(f"The secret argument {path} came unredacted.")
        return tool


def unanswered(reader: Reader) -> list[Edit]:
    """Edits that are due to end without an answer, the oldest first."""
    return reader.all(_UNANSWERED, before=reader.now - round(UNANSWERED_SECONDS * SECOND))


def _refuse(tx: Transaction, actor: str, edit: Edit, why: str) -> None:
    answered = _answered(tx, edit, why)
    tx.record(Kind.REQUEST_EDIT_REFUSED, actor, edit.request_id, answered, because=why, edit=edit.id)
    tx.wake(edit.request_id)


def _answered(tx: Transaction, edit: Edit, refused: str | None) -> Touched:
    kept = edit.arguments if refused is None else "{}"  # a secret may have been typed where none is hidden
    tx.execute(_ANSWER, of=edit.id, answered_at=tx.now, refused=refused, arguments=kept)
    return Touched(Edit, edit, changed(edit, answered_at=tx.now, refused=refused, arguments=kept))


def _known(
    tx: Transaction, installation: Installation, row: RequestRow, tool: Standing, answer: EditAnswer
) -> CallFacts:
    """What the policy may know of the changed call."""
    name: str | None = None
    groups: tuple[str, ...] = ()
    if row.agent_id is not None:
        agent, _ = callers.live_agent(tx, row.agent_id, row.agent_credential_id)
        name, groups = agent.name, tuple(agent.groups.split())
    facts, effect = facts_of(installation, tool), known_facts(answer.preview)
    return CallFacts(facts, answer.arguments, name, answer.hidden, tx.now, groups, effect)


def _digest(row: RequestRow, answer: EditAnswer) -> str:
    arguments: Any = answer.arguments
    return digest(
        server=row.server,
        tool=row.tool,
        tool_hash=row.tool_hash,
        arguments=arguments,
        preview=preview_hash(answer.preview),
    )
