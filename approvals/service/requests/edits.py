"""A person changes a pending call before it is approved: asked here, read and looked up by its gate, and then its new
content (`edit_answers`), on which everybody votes anew.

The gate alone can do it: it knows the tool's own model, what the call would do, and the secrets.
"""

import json
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from approvals import ids
from approvals.errors import Invalid, NotFound, NotPossible, Stale, TooLarge
from approvals.policy.eligibility import Act
from approvals.protocol.canonical import JsonObject, canonical, check_encoded, encode
from approvals.protocol.edits import Edited, redacted_leaves
from approvals.protocol.limits import MAX_ARGUMENTS, MAX_REASON
from approvals.protocol.messages import EditedCall
from approvals.service.audit.kinds import Kind
from approvals.service.authority import Authority
from approvals.service.identity.users import Person
from approvals.service.requests import presence, revisions
from approvals.service.requests.edit_checks import check_changeable, faults_of
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.channels import EDIT
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Edit, Installation, table_of
from approvals.service.storage.tables.handles import REQUEST
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.text import says_something
from approvals.service.tools.registry import Registry

_NOBODY_READS = (
    "that could read the change is connected.",
    "It can be changed once the agent calls again; until then approve or deny what was asked.",
)

_edits = table_of(Edit)
_BY_ID = Statement(select(_edits).where(_edits.c.id == bindparam("id")), Edit)


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
    """Asks gates to read what people make of calls."""

    def __init__(self, transitions: Transitions, registry: Registry, authority: Authority) -> None:
        self._transitions = transitions
        self._registry = registry
        self._authority = authority

    def ask(self, tx: Transaction, request_id: str, person: Person, wanted: Wanted) -> Asked:
        """Have the gate read it. Raises Forbidden (may not approve this), NotPossible (not pending, held by a freeze
        alone, no gate there), Stale (another content), Invalid (what may not be changed so), TooLarge."""
        row = self._transitions.lock(tx, request_id)
        self._authority.check_may_decide(tx, row, person, Act.APPROVE)
        check_changeable(row, tx.now)
        if (wanted.content_version, wanted.digest) != (row.content_version, row.digest):
            raise Stale("What would run has changed since you opened it.", hint="Look again before you change it.")
        _check(row, wanted)
        if fault := faults_of(self._registry, tx, row, wanted.arguments):
            raise Invalid(fault)
        revisions.check(tx, row)
        session = presence.to_ask(tx, row, *_NOBODY_READS)
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
        session = presence.to_ask(tx, row, *_NOBODY_READS)
        tx.notify(f"{EDIT} {session} {row.id} {row.edit_id}")
        return Asked(row.edit_id or "", session)

    def read(self, reader: Reader, installation: Installation, request_id: str, edit_id: str) -> EditedCall:
        """Find the arguments that a gate is to read, as the person wants them or as it read them. Raises NotFound, and
        NotPossible for an edit that has ended."""
        row = self._transitions.get(reader, request_id)
        edit = own(reader, installation, row, edit_id)
        stands = row.edit_id == edit.id
        if edit.answered_at is not None and not stands:
            raise NotPossible("This edit has ended.", hint="Forget it.", state=row.state)
        return EditedCall.model_construct(arguments=json.loads(row.arguments if stands else edit.arguments))


def find(reader: Reader, edit_id: str) -> Edit | None:
    """An edit by its id."""
    return reader.one(_BY_ID, id=edit_id)


def own(reader: Reader, installation: Installation, row: RequestRow, edit_id: str) -> Edit:
    """An edit of one of this installation's requests. Raises NotFound."""
    edit = find(reader, edit_id)
    if row.installation_id != installation.id or edit is None or edit.request_id != row.id:
        raise NotFound("There is no such edit.", hint="Check the id.")
    return edit


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
