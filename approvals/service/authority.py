"""Who may decide a request now: people, groups and owners looked up, and judged by `approvals.policy.eligibility`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from sqlalchemy import bindparam, select

from approvals.errors import Forbidden, NotPossible
from approvals.policy.eligibility import (
    API,
    WEB,
    Act,
    Candidate,
    RequestFacts,
    folded,
    missing,
    satisfied,
    token_fault,
    why_not,
)
from approvals.policy.model import Policy
from approvals.policy.reviewers import Reviewers
from approvals.protocol.states import State
from approvals.service.identity import credentials, roles, users
from approvals.service.identity.users import Person
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import AgentOwner, DecisionRow, Request, User, table_of
from approvals.service.storage.tables.handles import requests

_decisions = table_of(DecisionRow)
_owners = table_of(AgentOwner)

_OF_CONTENT = Statement(
    select(_decisions)
    .where(_decisions.c.request_id == bindparam("request_id"), _decisions.c.content_version == bindparam("version"))
    .order_by(_decisions.c.decided_at, _decisions.c.id),
    DecisionRow,
)
_ON_PENDING = Statement(
    select(_decisions.c.request_id, _decisions.c.user_id)
    .join(requests, requests.c.id == _decisions.c.request_id)
    .where(requests.c.state == State.PENDING.value, requests.c.id <= bindparam("last"))
    .where(_decisions.c.content_version == requests.c.content_version, _decisions.c.verdict == "approve")
)
_OWNERS = Statement(select(_owners.c.user_id).where(_owners.c.agent_id == bindparam("agent_id")))


@dataclass(frozen=True)
class Vote:
    """An approval, and whether it counts now."""

    row: DecisionRow
    user: User
    groups: frozenset[str]
    fault: str | None
    """Why it does not."""


class Authority:
    """Says who may. Everything is looked up when it is asked: roles, groups, owners, and the policy in force."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def check_may_decide(self, reader: Reader, row: Request, person: Person, act: Act) -> None:
        """Raises Forbidden unless this person may do this to this request, the way they came. The one place that says
        who may, for every channel."""
        fault = self.fault(reader, row, person, act)
        if fault is not None:
            raise Forbidden(fault, hint=f"Who may: {required(row)}.")

    def fault(self, reader: Reader, row: Request, person: Person, act: Act) -> str | None:
        """Why they may not; None when they may."""
        user = users.find(reader, person.id)
        if user is None:
            return "This account is gone."
        if person.channel == API and (wrong := _token_fault(reader, person)) is not None:
            return wrong
        return why_not(required(row), asked(reader, row), self._candidate(user), act, person.channel)

    def allowed(self, reader: Reader, rows: Iterable[Request], person: Person, act: Act) -> set[str]:
        """The ids of those that this person may do this to, on the web; what they share is looked up once."""
        user = users.find(reader, person.id)
        if user is None:
            return set()
        candidate = self._candidate(user)
        owners = cache(lambda agent_id: _owners_of(reader, agent_id))
        return {
            row.id
            for row in rows
            if why_not(
                required(row), RequestFacts(row.risk, owners(row.agent_id), row.on_behalf_of), candidate, act, WEB
            )
            is None
        }

    def votes(self, reader: Reader, row: Request, grant_terms: str | None = None) -> list[Vote]:
        """The approvals of a request's present content, oldest first, each judged as of now; or of those only that came
        with the very terms of a standing grant."""
        wanted, about = required(row), asked(reader, row)
        found = ((given, users.find(reader, given.user_id)) for given in on_content(reader, row))
        return [
            self._vote(wanted, about, given, user)
            for given, user in found
            if given.verdict == "approve" and user is not None and grant_terms in (None, given.grant_terms)
        ]

    def enough(self, reader: Reader, row: Request, grant_terms: str | None = None) -> bool:
        """Whether the approvals that count now make a quorum; of the terms of a standing grant, if given."""
        votes = self.votes(reader, row, grant_terms)
        counted = {vote.row.user_id: vote.groups for vote in votes if vote.fault is None}
        return satisfied(required(row), counted)

    def awaited(self, reader: Reader, row: Request) -> list[str]:
        """Whose approval, on the web or in Slack, would bring a request nearer to its quorum: their names."""
        wanted, about = required(row), asked(reader, row)
        voted = {vote.row.user_id: vote.groups for vote in self.votes(reader, row) if vote.fault is None}
        now = missing(wanted, voted)
        return [
            user.name
            for user, one in ((user, self._candidate(user)) for user in users.everyone(reader))
            if user.id not in voted
            and any(why_not(wanted, about, one, Act.APPROVE, channel) is None for channel in (WEB, "slack"))
            and missing(wanted, voted | {one.id: one.groups}) != now
        ]

    def check_quorum(self, reader: Reader, row: Request) -> None:
        """Raises NotPossible unless enough of those who approved may still do so."""
        if not self.enough(reader, row):
            raise NotPossible("Somebody who approved it may no longer do so.", state=row.state)

    def _vote(self, wanted: Reviewers, about: RequestFacts, given: DecisionRow, user: User) -> Vote:
        candidate = self._candidate(user)
        return Vote(given, user, candidate.groups, why_not(wanted, about, candidate, Act.APPROVE, given.channel))

    def _candidate(self, user: User) -> Candidate:
        return Candidate(
            id=user.id,
            handle=user.handle or "",
            roles=frozenset(user.roles.split()),
            disabled=user.disabled_at is not None,
            groups=groups_of(user, self._policy.groups),
            called=frozenset(filter(None, map(folded, (user.handle or "", user.email, user.subject, user.name)))),
        )


def required(row: Request) -> Reviewers:
    """What a request needs: the larger of the two quorums that are kept with it, and one at least."""
    kept = Reviewers.parse(row.reviewers)
    return replace(kept, quorum=max(1, kept.quorum, row.quorum))


def on_content(reader: Reader, row: Request) -> list[DecisionRow]:
    """The decisions on a request's present content, oldest first."""
    return reader.all(_OF_CONTENT, request_id=row.id, version=row.content_version)


def asked(reader: Reader, row: Request) -> RequestFacts:
    """What matters of a request for who may decide it."""
    return RequestFacts(row.risk, _owners_of(reader, row.agent_id), row.on_behalf_of)


def approvals_of_pending(reader: Reader, last: str) -> dict[str, set[str]]:
    """Who approved the present content of what is pending, by request, up to the id `last`."""
    found: dict[str, set[str]] = {}
    for row in reader.all(_ON_PENDING, last=last):
        found.setdefault(row.request_id, set()).add(row.user_id)
    return found


def groups_of(user: User, named: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The groups of a person: given by admins, claimed by the identity provider, and named by the policy (`named`,
    handles by group)."""
    by_policy = {
        group for group, handles in named.items() if user.handle and folded(user.handle) in map(folded, handles)
    }
    return roles.groups_of(user) | by_policy


def _owners_of(reader: Reader, agent_id: str | None) -> frozenset[str]:
    found = reader.all(_OWNERS, agent_id=agent_id) if agent_id is not None else []
    return frozenset(owner.user_id for owner in found)


def _token_fault(reader: Reader, person: Person) -> str | None:
    """The token is looked at again, in the decision's own transaction."""
    token = credentials.find(reader, person.session_id)
    if token is None or token.user_id != person.id or not credentials.is_live(token, reader.now):
        return "This token was revoked or has run out."
    return token_fault(token.scopes.split(), token.created_at, token.expires_at)
