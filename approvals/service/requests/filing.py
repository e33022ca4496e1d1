"""A call that needs a permission becomes a request, or joins the one that its twin has."""

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from approvals import ids
from approvals.errors import NotPossible
from approvals.instant import SECOND
from approvals.policy.model import (
    Action,
)
from approvals.protocol.canonical import canonical
from approvals.protocol.messages import Filing
from approvals.protocol.states import OPEN, Move, State
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.authority import Authority
from approvals.service.controls import freezes, state
from approvals.service.keyring import Keyring
from approvals.service.notifications.notifier import ANNOUNCE
from approvals.service.policies import snapshot
from approvals.service.policies.current import PolicyInForce
from approvals.service.requests import presence, revisions
from approvals.service.requests.automatic_permissions import approve_by_grant, decide_by_policy
from approvals.service.requests.contents import Content
from approvals.service.requests.examination import ExaminedCall, examined
from approvals.service.requests.rate_limits import Allowances
from approvals.service.requests.request_content import StoredPolicies, asked_of, previewed, shows_another, summary_of
from approvals.service.requests.status import ask_again_in
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.channels import FOLLOW
from approvals.service.storage.database import Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Installation, Request
from approvals.service.storage.tables.handles import REQUEST, executions, requests
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.tools.registry import Registry

_joined = select(requests, executions.c.lease_until).join_from(
    requests, executions, executions.c.request_id == requests.c.id, isouter=True
)
_NOT_STARTED = frozenset({State.PENDING, State.APPROVED})
_TWINS = Statement(select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("key"), 0))))
"""Held while a call is filed, so that its twins are filed one after the other."""
_OPEN = Statement(_joined.where(requests.c.attach_key == bindparam("key")))
_LATEST = Statement(
    _joined.where(requests.c.call_key == bindparam("key")).order_by(requests.c.id.desc()).limit(1), RequestRow
)


@dataclass(frozen=True)
class Filed:
    request_id: str
    created: bool
    replayed: bool = False


class Filings:
    """Files calls."""

    def __init__(
        self,
        transitions: Transitions,
        registry: Registry,
        keyring: Keyring,
        policy: PolicyInForce,
        authority: Authority,
        allowances: Allowances,
        policies: StoredPolicies,
    ) -> None:
        self._authority = authority
        self._allowances = allowances
        self._transitions = transitions
        self._registry = registry
        self._keyring = keyring
        self._policy = policy
        self._policies = policies

    def file(self, tx: Transaction, installation: Installation, content: Content) -> Filed:
        """File a call, or attach it. Raises Invalid, Unauthenticated (assertion), OutOfScope, NotInAudience,
        Stale (register again); and Frozen or TooMany for what would have been filed anew."""
        state.lock_shared(tx)
        filing, policy = content.filing, self._policy.present  # once: what judges is what is named
        call = examined(tx, self._registry, self._keyring, policy, installation, content)
        tx.lock(_TWINS, key=call.key)
        if filing.refreshes is not None:
            return self._refresh(tx, call, filing.refreshes)
        joined = self._continue(tx, call) or self._attach(tx, call)
        if joined is not None:
            return self._wait(tx, joined, filing)
        before = tx.one(_LATEST, key=call.key)
        if before is not None:
            tx.now = max(tx.now, before.changed_at + 1)  # whatever clock that had: ids sort by time
        return _repeat(tx, before, call) or self._wait(tx, self._file_anew(tx, call, before), filing)

    def _wait(self, tx: Transaction, filed: Filed, filing: Filing) -> Filed:
        """The caller waits from now on; its gate's stream may be another process's."""
        presence.arrive(tx, filed.request_id, filing.session, filing.call_id)
        tx.wake(filed.request_id)
        tx.notify(f"{FOLLOW} {filing.session} {filed.request_id}")
        return filed

    def _continue(self, tx: Transaction, call: ExaminedCall) -> Filed | None:
        """The very request that a call waited for and came back to, in whatever state: no other is filed unseen."""
        row = tx.one(REQUEST, id=call.filing.continues) if call.filing.continues is not None else None
        if row is None or row.call_key != call.key:  # the key says whose: installation, caller, tool and arguments
            return None
        row = self._transitions.apply_due(tx, self._transitions.lock(tx, row.id))
        if row.state in OPEN:
            self._join(tx, row, call)
        return Filed(row.id, created=False)

    def _refresh(self, tx: Transaction, call: ExaminedCall, request_id: str) -> Filed:
        """What the same call would do now, looked up for a person; votes for another effect are void. Raises
        NotPossible for what is no pending request of this call."""
        row = tx.one(REQUEST, id=request_id)
        if row is None or row.call_key != call.key:
            raise NotPossible("This is no request of this call.")
        row = self._transitions.apply_due(tx, self._transitions.lock(tx, row.id))
        if row.state != State.PENDING:
            raise NotPossible(f"The request is already {row.state}.", state=row.state)
        if row.edit_id is not None:
            raise NotPossible(
                "A person has changed it: what was asked at first is not asked any more.", state=row.state
            )
        filing, actor = call.filing, f"installation:{call.installation.id}"
        if call.tool.changed_since(row) or shows_another(row, filing.preview):
            self._join(tx, row, call)
            return Filed(row.id, created=False)
        revisions.check(tx, row)
        if filing.preview is not None:
            self._transitions.change(tx, row, Kind.REQUEST_PREVIEWED, actor, previewed_at=tx.now, no_preview="")
        else:
            self._transitions.change(tx, row, Kind.REQUEST_PREVIEWED, actor, no_preview=filing.no_preview)
        return Filed(row.id, created=False)

    def _attach(self, tx: Transaction, call: ExaminedCall) -> Filed | None:
        open_one = tx.one(_OPEN, key=call.key)
        if open_one is None:
            return None
        row = self._transitions.apply_due(tx, self._transitions.lock(tx, open_one.id))
        return self._join(tx, row, call) if row.state in (_NOT_STARTED if call.reads else OPEN) else None

    def _join(self, tx: Transaction, row: RequestRow, call: ExaminedCall) -> Filed | None:
        changed = call.tool.changed_since(row)
        if row.state == State.PENDING and changed:
            void = ", so what a person had changed of it is void" if row.edit_id is not None else ""
            self._revise(tx, row, call, f"{_in_a_sentence(changed)}{void}")
        elif row.state == State.PENDING and row.edit_id is None and shows_another(row, call.filing.preview):
            self._revise(tx, row, call, "its effect is another by now")
        elif row.state == State.APPROVED and changed:
            because = f"{_in_a_sentence(changed)} after it was approved"
            self._transitions.move(tx, row, Move.REVOKE, SYSTEM, because=because)
            return None
        return Filed(row.id, created=False)

    def _revise(self, tx: Transaction, row: RequestRow, call: ExaminedCall, because: str) -> None:
        """The content changed while it waited: earlier votes are void. Raises TooMany."""
        revisions.check(tx, row)
        words, reviewed = summary_of(call.installation.server, call.tool, call.filing.arguments)
        self._transitions.change(
            tx,
            row,
            Kind.REQUEST_REVISED,
            f"installation:{call.installation.id}",
            because=because,
            content_version=row.content_version + 1,
            tool_hash=call.tool.tool_hash,
            code_version=call.tool.code_version,
            digest=call.digest,
            arguments=call.content.arguments.decode(),
            hidden=call.filing.hidden,
            session_id=call.filing.session,
            sealed_arguments=call.filing.sealed_arguments,
            **previewed(call.filing.preview, call.filing.no_preview, tx.now),
            summary=words,
            reviewed=reviewed,
            action=call.judgement.action.value,
            rule=call.judgement.rule,
            snapshot=snapshot.dump(call.known),
            facts=canonical(call.judgement.facts).decode(),
            policy_hash=self._policies.store(tx, call.policy),
            edits=call.judgement.edits.dump(),
            proposed="",
            edit_id=None,
            edited="",
            **asked_of(call.judgement, row.created_at),
        )
        if call.judgement.action is Action.DENY and not call.source:  # nobody is asked about what would not run
            decide_by_policy(tx, self._transitions, row.id, call.judgement, "")

    def _file_anew(self, tx: Transaction, call: ExaminedCall, before: RequestRow | None) -> Filed:
        holding = freezes.check(tx, call.standing, call.caller.agent_id, filing=True)
        request_id = ids.new(tx.now)
        judgement, filing = call.judgement, call.filing
        source = call.source
        held = holding is not None and bool(source)
        waits = held or (judgement.action is Action.REQUIRE_APPROVAL and not source)
        self._allowances.check(tx, call.caller, call.installation, waits=waits)
        words, reviewed = summary_of(call.installation.server, call.tool, call.filing.arguments)
        ended_otherwise = before is not None and before.state not in {State.SUCCEEDED, State.FAILED, State.DENIED}
        filed = tx.insert(
            Request,
            id=request_id,
            installation_id=call.installation.id,
            session_id=filing.session,
            agent_id=call.caller.agent_id,
            agent_credential_id=call.caller.credential_id,
            caller=call.caller.identity,
            server=call.installation.server,
            tool=filing.tool,
            tool_hash=call.tool.tool_hash,
            code_version=call.tool.code_version,
            assurance=call.installation.assurance,
            attach_key=_attach_key(tx, call, request_id),
            call_key=call.key,
            arguments=call.content.arguments.decode(),
            hidden=filing.hidden,
            sealed_arguments=filing.sealed_arguments,
            **previewed(filing.preview, filing.no_preview, tx.now),
            digest=call.digest,
            state=State.PENDING.value,
            summary=words,
            reviewed=reviewed,
            reason=filing.reason,
            client=filing.client.model_dump_json(),
            action=judgement.action.value,
            rule=judgement.rule,
            snapshot=snapshot.dump(call.known),
            facts=canonical(judgement.facts).decode(),
            policy_hash=self._policies.store(tx, call.policy),
            edits=judgement.edits.dump(),
            **asked_of(judgement, tx.now),
            rollout=call.rollout,
            held=held,
            on_behalf_of=filing.on_behalf_of,
            agent_session=filing.agent_session,
            trace_id=filing.trace_id,
            created_at=tx.now,
            expires_at=tx.now + judgement.ttl * SECOND,
            execute_within=judgement.execute_within,
            cool_down=judgement.cool_down,
            replay_window=judgement.replay_window,
            replaces=before.id if before is not None and ended_otherwise else None,
            changed_at=tx.now,
        )
        tx.record(
            Kind.REQUEST_FILED,
            f"agent:{call.caller.agent_id}" if call.caller.agent_id else f"installation:{call.installation.id}",
            request_id,
            Touched(Request, None, filed),
            server=call.installation.server,
            tool=filing.tool,
            digest=call.digest,
            code_version=call.tool.code_version,
            rule=judgement.rule,
        )
        if held:
            return Filed(request_id, created=True)
        if source or judgement.action is Action.DENY:
            decide_by_policy(tx, self._transitions, request_id, judgement, source)
        elif holding is not None or not approve_by_grant(tx, self._transitions, self._authority, request_id, call):
            tx.tell(ANNOUNCE, request_id)
        return Filed(request_id, created=True)


def _attach_key(tx: Transaction, call: ExaminedCall, request_id: str) -> str:
    """A read beside one that runs has a key of its own."""
    taken = call.reads and tx.one(_OPEN, key=call.key) is not None
    return f"{call.key} {request_id}" if taken else call.key


def _repeat(tx: Transaction, row: RequestRow | None, call: ExaminedCall) -> Filed | None:
    """The stored outcome or denial of the same call, if it still answers for it."""
    if row is None or row.ended_at is None:
        return None
    if row.state in {State.SUCCEEDED, State.FAILED} and call.filing.repeat_of != row.id and not call.reads:
        if tx.now < row.ended_at + row.replay_window * SECOND:
            return Filed(row.id, created=False, replayed=True)
    elif ask_again_in(row, tx.now):
        return Filed(row.id, created=False)
    return None


def _in_a_sentence(words: str) -> str:
    return words[:1].lower() + words[1:]
