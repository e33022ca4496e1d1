"""A person changes a pending call before it is approved: asked here, read and looked up by its gate, and then its new
content, on which everybody votes anew.

The gate alone can do it: it knows the tool's own model, what the call would do, and the secrets. What it answers is
judged by the policy like a filing; nothing else of the request is what it was, but for whose it is.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update

from approvals import ids
from approvals.errors import Invalid, NotFound, NotPossible, Stale, TooLarge, Unauthenticated
from approvals.policy.edits import EditLimits
from approvals.policy.eligibility import Act
from approvals.policy.model import Action, CallFacts, Judgement
from approvals.protocol import credentials, secret_edits, secret_paths
from approvals.protocol.canonical import JsonObject, canonical, check_encoded, digest, encode
from approvals.protocol.edits import Edited, changed_places, changes, redacted_leaves
from approvals.protocol.limits import MAX_ARGUMENTS, MAX_REASON
from approvals.protocol.messages import EditAnswer, EditedCall
from approvals.protocol.previews import known_facts, preview_hash
from approvals.protocol.states import State
from approvals.service.audit.kinds import Kind
from approvals.service.authority import Authority
from approvals.service.identity import users
from approvals.service.identity.users import Person
from approvals.service.policies import snapshot
from approvals.service.policies.current import PolicyInForce
from approvals.service.requests import callers, presence, revisions
from approvals.service.requests.request_content import StoredPolicies, asked_of, previewed, shows_another, summary_of
from approvals.service.requests.transitions import Transitions, seen_state
from approvals.service.storage.channels import EDIT
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Statement, changed
from approvals.service.storage.tables import Edit, Installation, table_of
from approvals.service.storage.tables.handles import REQUEST
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.text import says_something
from approvals.service.tools.registry import Registry, Standing, facts_of

_edits = table_of(Edit)
_BY_ID = Statement(select(_edits).where(_edits.c.id == bindparam("id")), Edit)
_ANSWER = Statement(
    update(_edits)
    .where(_edits.c.id == bindparam("of"))
    .values(answered_at=bindparam("answered_at"), refused=bindparam("refused"), arguments=bindparam("arguments"))
)


@dataclass(frozen=True)
class Wanted:
    """The arguments that a person wants instead, bound to the content that they changed."""

    arguments: JsonObject
    """All of them, encoded."""
    reason: str
    content_version: int
    digest: str


@dataclass(frozen=True)
class Asked:
    """The edit, and the gate process that is asked to read it."""

    edit_id: str
    session: str


class Edits:
    """Takes edits, and what gates make of them."""

    def __init__(
        self,
        transitions: Transitions,
        registry: Registry,
        policy: PolicyInForce,
        authority: Authority,
        policies: StoredPolicies,
    ) -> None:
        self._transitions = transitions
        self._registry = registry
        self._policy = policy
        self._authority = authority
        self._policies = policies

    def ask(self, tx: Transaction, request_id: str, person: Person, wanted: Wanted) -> Asked:
        """Have the gate read it. Raises Forbidden (may not approve this), NotPossible (not pending, held by a freeze
        alone, no gate there), Stale (another content), Invalid (what may not be changed so), TooLarge."""
        row = self._transitions.lock(tx, request_id)
        self._authority.check_may_decide(tx, row, person, Act.APPROVE)
        _check_changeable(row, tx.now)
        if (wanted.content_version, wanted.digest) != (row.content_version, row.digest):
            raise Stale("What would run has changed since you opened it.", hint="Look again before you change it.")
        _check(row, wanted)
        if fault := faults_of(self._registry, tx, row, wanted.arguments):
            raise Invalid(fault)
        revisions.check(tx, row)
        session = _gate_of(tx, row)
        edit = tx.insert(
            Edit,
            id=ids.new(tx.now),
            request_id=row.id,
            content_version=row.content_version,
            digest=row.digest,
            user_id=person.id,
            arguments=canonical(wanted.arguments).decode(),
            reason=wanted.reason.strip(),
            channel=person.channel,
            auth_method=person.method,
            auth_at=person.authenticated_at,
            session_id=person.session_id,
            address=person.address,
            asked_at=tx.now,
        )
        tx.record(
            Kind.REQUEST_EDIT_ASKED,
            person.actor,
            row.id,
            Touched(Edit, None, edit),
            comment=wanted.reason.strip(),
            edit=edit.id,
            version=row.content_version,
            digest=row.digest,
            channel=person.channel,
        )
        tx.notify(f"{EDIT} {session} {row.id} {edit.id}")
        return Asked(edit.id, session)

    def ask_again(self, tx: Transaction, row: RequestRow) -> Asked:
        """Have the gate look up again what the call would do as it stands changed. Raises NotPossible."""
        session = _gate_of(tx, row)
        tx.notify(f"{EDIT} {session} {row.id} {row.edit_id}")
        return Asked(row.edit_id or "", session)

    def read(self, reader: Reader, installation: Installation, request_id: str, edit_id: str) -> EditedCall:
        """Find the arguments that a gate is to read, as the person wants them or as it read them. Raises NotFound."""
        row = self._transitions.get(reader, request_id)
        edit = _own(reader, installation, row, edit_id)
        stands = row.edit_id == edit.id
        return EditedCall.model_construct(arguments=json.loads(row.arguments if stands else edit.arguments))

    def answer(
        self, tx: Transaction, installation: Installation, request_id: str, edit_id: str, answer: EditAnswer
    ) -> None:
        """Take what the gate made of it: the content that is put to people from now on, or why there is none. The same
        answer again changes nothing. Raises NotFound, NotPossible (too late), Stale."""
        row = self._transitions.lock(tx, request_id)
        edit = _own(tx, installation, row, edit_id)
        row = self._transitions.apply_due(tx, row)
        if row.edit_id == edit.id:
            self._look_again(tx, installation, row, edit, answer)
            return
        if edit.answered_at is not None:
            return
        try:
            _check_changeable(row, tx.now)
            if edit.content_version != row.content_version:
                raise NotPossible("Something else changed it first.", state=row.state)
            if answer.refused:
                raise Invalid(answer.refused)
            self._apply(tx, installation, row, edit, answer)
        except (Invalid, NotPossible, Stale, Unauthenticated) as error:
            self._refuse(tx, installation, row, edit, f"{error.detail} {error.hint}".strip())

    def _apply(
        self, tx: Transaction, installation: Installation, row: RequestRow, edit: Edit, answer: EditAnswer
    ) -> None:
        tool = self._standing(tx, installation, row, answer)
        _check_read(json.loads(row.arguments), answer.arguments)
        known = _known(tx, installation, row, tool, answer)
        policy = self._policy.present
        judgement = policy.judge(known)
        proposed = json.loads(row.proposed or row.arguments)
        check_judged(row, judgement, proposed, answer.arguments)
        editor = users.find(tx, edit.user_id)
        told = changes(proposed, answer.arguments)
        by = Edited(by=editor.name if editor is not None else "", reason=edit.reason, changes=told)
        words, reviewed = summary_of(row.server, tool, answer.arguments)
        answered = self._answered(tx, edit, None)
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

    def _refuse(self, tx: Transaction, installation: Installation, row: RequestRow, edit: Edit, why: str) -> None:
        answered = self._answered(tx, edit, why)
        tx.record(
            Kind.REQUEST_EDIT_REFUSED, f"installation:{installation.id}", row.id, answered, because=why, edit=edit.id
        )
        tx.wake(row.id)

    def _answered(self, tx: Transaction, edit: Edit, refused: str | None) -> Touched:
        kept = edit.arguments if refused is None else "{}"  # a secret may have been typed where none is hidden
        tx.execute(_ANSWER, of=edit.id, answered_at=tx.now, refused=refused, arguments=kept)
        return Touched(Edit, edit, changed(edit, answered_at=tx.now, refused=refused, arguments=kept))


def find(reader: Reader, edit_id: str) -> Edit | None:
    """An edit by its id."""
    return reader.one(_BY_ID, id=edit_id)


def check_judged(row: RequestRow, judgement: Judgement, proposed: JsonObject, edited: JsonObject) -> None:
    """Raises Invalid for what the rule of the call as it was asked, or that of the changed one, does not let people
    make of it."""
    if judgement.action is Action.DENY:
        raise Invalid(f"Rule {judgement.rule} refuses the changed call.", hint=judgement.reason)
    for limits in (EditLimits.parse(row.edits), judgement.edits):
        for fault in limits.faults(proposed, edited):
            raise Invalid(f"It cannot be changed so: {fault}.")


def faults_of(registry: Registry, reader: Reader, row: RequestRow, edited: JsonObject) -> str:
    """Why a person may not make this of a request's arguments, before its gate has said anything; or nothing."""
    proposed = json.loads(row.proposed or row.arguments)
    if fault := next(EditLimits.parse(row.edits).faults(proposed, edited), ""):
        return f"It cannot be changed so: {fault}."
    return unfit(registry, reader, row, json.loads(row.arguments), edited)


def unfit(registry: Registry, reader: Reader, row: RequestRow, was: JsonObject, wanted: JsonObject) -> str:
    """Why no person can want this of a request's encoded arguments; or nothing."""
    secret = [secret_paths.steps_of(path) for path in registry.kept_secret(reader, row)]
    definition = registry.definition(reader, row.server, row.tool_hash)
    if place := secret_edits.touched(was, wanted, secret):
        return f"Hidden arguments stay as they are; {place} is one, or has one in it."
    if place := secret_edits.strange(was, wanted, secret, definition.input_schema):
        return f"The tool has no argument {place}."
    changed = changed_places(was, wanted)
    if definition.idempotency and any(place[:1] == (definition.idempotency,) for place, _, _ in changed):
        return f"The argument {definition.idempotency} is filled in when it runs, and nobody sets it."
    if any(_looks_secret(value) for _, _, value in changed):
        return "That looks like a credential, which does not belong here."
    return ""


def replaced(row: RequestRow, named: JsonObject) -> JsonObject:
    """A request's encoded arguments with some of them replaced, by their plain names."""
    return dict(json.loads(row.arguments)) | dict(encode(named))


@dataclass(frozen=True)
class Earlier:
    """A change that was made to an earlier request of the same call, and by whom."""

    by: str
    arguments: JsonObject


def earlier(reader: Reader, row: RequestRow) -> Earlier | None:
    """Of the request that this one replaces, if it was changed and what is hidden is the same."""
    before = reader.one(REQUEST, id=row.replaces) if row.replaces is not None and row.edit_id is None else None
    if before is None or not before.edited:
        return None
    arguments = json.loads(before.arguments)
    if redacted_leaves(arguments) != redacted_leaves(json.loads(row.arguments)):
        return None
    return Earlier(Edited.model_validate_json(before.edited).by, arguments)


def _check(row: RequestRow, wanted: Wanted) -> None:
    check_encoded(wanted.arguments)
    written = canonical(wanted.arguments)
    if len(written) > MAX_ARGUMENTS:
        raise TooLarge(f"The arguments are {len(written):,} bytes; {MAX_ARGUMENTS:,} is the most.", hint="Send less.")
    if not says_something(wanted.reason):
        raise Invalid("A change needs a reason.", hint="Say why: the agent is told.")
    if len(wanted.reason) > MAX_REASON:
        raise Invalid(f"The reason has over {MAX_REASON} characters.", hint="Shorten it.")
    if written.decode() == row.arguments:
        raise Invalid("Nothing is changed.", hint="Change an argument, or approve it as it is.")


def _check_read(was: JsonObject, read: JsonObject) -> None:
    """Raises Invalid for what a gate read that leaves everything as it was, or hides something else than before."""
    if canonical(was) == canonical(read):
        raise Invalid("Nothing is changed by it: the tool reads the same.", hint="Change an argument to another value.")
    if place := secret_edits.touched(was, read):
        raise Invalid(f"What is hidden would be something else: {place}.", hint="Hidden arguments stay as they are.")


def _looks_secret(value: object) -> bool:
    words = canonical(value).decode()
    return any(credentials.spans(words, credentials.likely(words)))


def _check_changeable(row: RequestRow, now: int) -> None:
    current = seen_state(row, now)
    if current is not State.PENDING:
        raise NotPossible(f"This request is already {current}.", hint="It stays as it is.", state=current)
    if row.held:
        raise NotPossible("It waits for the end of a freeze alone, so it is not put to people.", state=current)


def _gate_of(reader: Reader, row: RequestRow) -> str:
    """The gate process to ask. Raises NotPossible when none is there."""
    session = presence.asked_of(reader, row.id, row.session_id)
    if session is None:
        raise NotPossible(
            f"No process of {row.server} that could read the change is connected.",
            hint="It can be changed once the agent calls again; until then approve or deny what was asked.",
            state=row.state,
        )
    return session


def _own(reader: Reader, installation: Installation, row: RequestRow, edit_id: str) -> Edit:
    edit = find(reader, edit_id)
    if row.installation_id != installation.id or edit is None or edit.request_id != row.id:
        raise NotFound("There is no such edit.", hint="Check the id.")
    return edit


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
