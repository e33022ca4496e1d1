"""A call that needs a permission becomes a request, or joins the one that its twin has."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select

from approvals import ids
from approvals.errors import Invalid, NotPossible, Stale
from approvals.instant import SECOND
from approvals.policy.model import (
    Action,
    CallFacts,
    Judgement,
    Policy,
    is_trusted_read,
)
from approvals.protocol import scopes, secret_paths
from approvals.protocol.canonical import canonical
from approvals.protocol.messages import Filing
from approvals.protocol.previews import known_facts
from approvals.protocol.states import OPEN, Move, State
from approvals.service import grants
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.authority import Authority
from approvals.service.controls import audiences, freezes, rollouts, state
from approvals.service.keyring import Keyring
from approvals.service.notifications.notifier import ANNOUNCE
from approvals.service.policies import snapshot
from approvals.service.policies.current import PolicyInForce
from approvals.service.requests import presence, revisions
from approvals.service.requests.callers import Caller, caller_of
from approvals.service.requests.contents import Content
from approvals.service.requests.judged import StoredPolicies, asked_of, previewed, shows_another, summary_of
from approvals.service.requests.rate_limits import Allowances
from approvals.service.requests.status import ask_again_in
from approvals.service.requests.transitions import Transitions
from approvals.service.storage.changes import Touched
from approvals.service.storage.channels import FOLLOW
from approvals.service.storage.database import Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Installation, Permission, Request
from approvals.service.storage.tables.handles import REQUEST, SESSION, executions, requests
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.tools.registry import Registry, Standing, facts_of

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


@dataclass(frozen=True)
class _Call:
    """A filing, checked and fingerprinted."""

    content: Content
    installation: Installation
    caller: Caller
    tool: Standing
    key: str
    digest: str
    judgement: Judgement
    policy: Policy
    """That judged it."""
    known: CallFacts
    """By what it was judged."""
    standing: state.Controls
    rollout: str

    @property
    def filing(self) -> Filing:
        return self.content.filing

    @property
    def source(self) -> str:
        """What lets it run that nobody is asked about."""
        return rollouts.source(self.judgement.action is Action.ALLOW, self.rollout, self.filing.hidden)

    @property
    def reads(self) -> bool:
        """A read that nobody is asked about is run each time: only effects need to be kept from a second run."""
        return bool(self.source) and is_trusted_read(self.known.tool)


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
        call, filing = self._examine(tx, installation, content), content.filing
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

    def _examine(self, tx: Transaction, installation: Installation, content: Content) -> _Call:
        filing = content.filing
        session = tx.one(SESSION, id=filing.session)
        if session is None or session.installation_id != installation.id or session.closed_at is not None:
            raise Stale("This gate process is not registered.", hint="Register the tools again.")
        tool = self._registry.standing(tx, installation, filing.session, filing.tool)
        if tool.tool_hash != filing.tool_hash:
            raise Stale("The tool's definition has changed.", hint="Register the tools again.")
        for path in secret_paths.shown(filing.arguments, tool.secret):
            raise Invalid(f"The secret argument {path} came unredacted.", hint="Register the tools again.")
        caller = caller_of(tx, self._keyring, installation, filing.session, filing.assertion, filing.subject)
        if not scopes.allows(caller.scopes, installation.server, filing.tool):
            raise scopes.refusal(installation.server, filing.tool)
        policy = self._policy.present  # once: what judges is what is named
        known = _known(tx, installation, caller, tool, filing)
        standing = state.load(tx, installation.server)
        audiences.check(standing.audience, installation.server, caller.agent_name, caller.agent_groups)
        rollout = rollouts.mode(standing.rollouts, filing.tool, caller.agent_name, caller.agent_groups)
        return _Call(
            content,
            installation,
            caller,
            tool,
            content.attach_key(caller.identity, installation.server),
            content.digest(installation.server),
            policy.judge(known),
            policy,
            known,
            standing,
            rollouts.ENFORCE if filing.hidden else rollout,
        )

    def _continue(self, tx: Transaction, call: _Call) -> Filed | None:
        """The very request that a call waited for and came back to, in whatever state: no other is filed unseen."""
        row = tx.one(REQUEST, id=call.filing.continues) if call.filing.continues is not None else None
        if row is None or row.call_key != call.key:  # the key says whose: installation, caller, tool and arguments
            return None
        row = self._transitions.apply_due(tx, self._transitions.lock(tx, row.id))
        if row.state in OPEN:
            self._join(tx, row, call)
        return Filed(row.id, created=False)

    def _refresh(self, tx: Transaction, call: _Call, request_id: str) -> Filed:
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

    def _attach(self, tx: Transaction, call: _Call) -> Filed | None:
        open_one = tx.one(_OPEN, key=call.key)
        if open_one is None:
            return None
        row = self._transitions.apply_due(tx, self._transitions.lock(tx, open_one.id))
        return self._join(tx, row, call) if row.state in (_NOT_STARTED if call.reads else OPEN) else None

    def _join(self, tx: Transaction, row: RequestRow, call: _Call) -> Filed | None:
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

    def _revise(self, tx: Transaction, row: RequestRow, call: _Call, because: str) -> None:
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
            self._decide_by_policy(tx, row.id, call.judgement, "")

    def _file_anew(self, tx: Transaction, call: _Call, before: RequestRow | None) -> Filed:
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
            self._decide_by_policy(tx, request_id, judgement, source)
        elif holding is not None or not self._approve_by_grant(tx, request_id, call):
            tx.tell(ANNOUNCE, request_id)
        return Filed(request_id, created=True)

    def _approve_by_grant(self, tx: Transaction, request_id: str, call: _Call) -> bool:
        """Approve it at once if a standing grant lets it; never gets round a denial or a freeze."""
        if call.caller.agent_id is None or (call.judgement.needs_preview and call.filing.preview is None):
            return False
        row = self._transitions.get(tx, request_id)
        grant = grants.use(tx, self._authority, row, call.installation, call.judgement)
        if grant is None:
            return False
        self._transitions.move(
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

    def _decide_by_policy(self, tx: Transaction, request_id: str, judgement: Judgement, source: str) -> None:
        row = self._transitions.get(tx, request_id)
        by: dict[str, Any] = {"decided_at": tx.now, "decided_by": f"rule {judgement.rule}"}
        if source:
            permission = grant_permission(tx, row, source)
            by["decided_by"] = f"rule {judgement.rule}" if source == "policy" else f"rollout {row.rollout}"
            by |= {"execute_by": min(row.expires_at, tx.now + row.execute_within * SECOND)}
            self._transitions.move(tx, row, Move.APPROVE, SYSTEM, permission, **by)
        else:
            because = judgement.reason or "the policy refuses it"
            self._transitions.move(tx, row, Move.DENY, SYSTEM, because=because, comment=because, **by)


def _known(tx: Transaction, installation: Installation, caller: Caller, tool: Standing, filing: Filing) -> CallFacts:
    """What the policy may know of the call."""
    facts = facts_of(installation, tool)
    return CallFacts(
        facts,
        filing.arguments,
        caller.agent_name,
        filing.hidden,
        tx.now,
        caller.agent_groups,
        known_facts(filing.preview),
    )


def _attach_key(tx: Transaction, call: _Call, request_id: str) -> str:
    """A read beside one that runs has a key of its own."""
    taken = call.reads and tx.one(_OPEN, key=call.key) is not None
    return f"{call.key} {request_id}" if taken else call.key


def _repeat(tx: Transaction, row: RequestRow | None, call: _Call) -> Filed | None:
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


def grant_permission(tx: Transaction, row: RequestRow, source: str, *, grant_id: str | None = None) -> Touched:
    """Write down what a claim will consume: bound to this content, once per request."""
    permission = tx.insert(
        Permission,
        id=ids.new(tx.now),
        request_id=row.id,
        source=source,
        grant_id=grant_id,
        content_version=row.content_version,
        digest=row.digest,
        created_at=tx.now,
    )
    return Touched(Permission, None, permission)
