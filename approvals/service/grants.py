"""Standing grants: made with an approval, counted at each use, looked at again at each claim.

The one place that says what may be granted, and what a grant covers. What is not clearly covered waits for a person.
"""

import json
from hashlib import sha256

from sqlalchemy import bindparam, select, update

from approvals import ids
from approvals.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotPossible,
)
from approvals.instant import SECOND
from approvals.policy import grant_terms
from approvals.policy.model import Action, GrantLimits, Judgement
from approvals.policy.reviewers import Reviewers
from approvals.protocol.previews import encoded_facts, stored
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import SYSTEM
from approvals.service.authority import Authority
from approvals.service.identity import credentials, users
from approvals.service.identity.users import Person
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Statement, changed
from approvals.service.storage.tables import DecisionRow, Installation, Permission, Request, StandingGrant, table_of
from approvals.service.storage.tables.handles import REQUEST
from approvals.service.storage.tables.rows import RequestRow

BANNER = 20
"""Live grants that the queue shows; the page has all."""
MOST = 50
"""Live grants of one agent and tool that a call is compared with."""

grants = table_of(StandingGrant)
_permissions = table_of(Permission)

_is_live = (grants.c.revoked_at.is_(None), grants.c.expires_at > bindparam("now"))
_has_uses = grants.c.used < grants.c.max_uses

_BY_ID = Statement(select(grants).where(grants.c.id == bindparam("id")), StandingGrant)
_OF_REQUEST = Statement(select(grants).where(grants.c.request_id == bindparam("request_id")), StandingGrant)
_BEHIND = Statement(
    select(grants)
    .join_from(_permissions, grants, grants.c.id == _permissions.c.grant_id)
    .where(_permissions.c.request_id == bindparam("request_id")),
    StandingGrant,
)
_FOR_CALL = Statement(
    select(grants)
    .where(grants.c.server == bindparam("server"), grants.c.tool == bindparam("tool"))
    .where(grants.c.agent_id == bindparam("agent_id"), *_is_live, _has_uses)
    .order_by(grants.c.expires_at, grants.c.id)
    .limit(MOST),
    StandingGrant,
)
_USE = Statement(
    update(grants).where(grants.c.id == bindparam("of"), *_is_live, _has_uses).values(used=grants.c.used + 1)
)
_LIVE = Statement(
    select(grants).where(*_is_live, _has_uses).order_by(grants.c.expires_at, grants.c.id).limit(bindparam("limit")),
    StandingGrant,
)
_PAGE = Statement(
    select(grants).where(grants.c.id < bindparam("before")).order_by(grants.c.id.desc()).limit(bindparam("limit")),
    StandingGrant,
)


def name_of(terms: str) -> str:
    """Names terms by their text: what the record keeps of them when their contents are erased."""
    return sha256(terms.encode()).hexdigest()


def why_not(reader: Reader, row: Request) -> str:
    """Why no further calls can be allowed from a request's card, in words; empty if they can."""
    installation = credentials.installation(reader, row.installation_id)
    if limits_of(row) is None:
        return "its rule does not allow it"
    if row.risk == "critical":
        return "its risk is critical"
    if row.agent_id is None:
        return "the agent is unidentified"
    if row.hidden:
        return "some of it is hidden because it looks like a credential"
    if installation is None or not installation.may_grant:
        return "an admin has not allowed it for this installation"
    return grant_terms.not_grantable(json.loads(row.arguments))


def limits_of(row: Request) -> GrantLimits | None:
    """The most that may be granted from a request's card; None for nothing."""
    kept = json.loads(row.grants)
    return GrantLimits(**kept) if kept else None


def check(reader: Reader, row: Request, person: Person, verdict: str, text: str, before: list[DecisionRow]) -> None:
    """Raises Forbidden or Invalid unless these terms may be granted from this card, and Conflict when those who
    approved before agreed to something else: then no quorum for these terms can come about."""
    if person.channel != "web" or verdict != "approve":
        raise Forbidden("Further calls are allowed in the web app only, with an approval.")
    if why := why_not(reader, row):
        raise Forbidden(f"Further calls cannot be allowed: {why}.", hint="Approve this call alone.")
    terms, limits = grant_terms.parse(text), limits_of(row) or GrantLimits(0, 0)
    if terms.uses > limits.max_uses or terms.minutes > limits.max_minutes:
        most = f"{limits.max_uses} further calls and {limits.max_minutes} minutes"
        raise Invalid(f"The rule allows at most {most}.", hint="Lower the numbers.")
    grant_terms.check_of_call(terms, json.loads(row.arguments), encoded_facts(stored(row.preview)))
    if any(vote.grant_terms != text for vote in before):
        raise Conflict(
            "Somebody has approved this call alone, or with other further calls, so yours cannot be allowed.",
            hint="Look again, and approve this call, or the same further calls.",
        )


def make(tx: Transaction, authority: Authority, row: RequestRow, person: Person, text: str) -> None:
    """With the approval that `person` completed, the grant, if a full quorum agreed on these very terms."""
    if not text or why_not(tx, row) or not authority.enough(tx, row, text):
        return
    names = sorted(vote.user.name for vote in authority.votes(tx, row, text) if vote.fault is None)
    terms, grant_id = grant_terms.parse(text), ids.new(tx.now)
    made = tx.insert(
        StandingGrant,
        id=grant_id,
        request_id=row.id,
        server=row.server,
        tool=row.tool,
        tool_hash=row.tool_hash,
        code_version=row.code_version,
        agent_id=row.agent_id,
        installation_id=row.installation_id,
        terms=text,
        rule=row.rule,
        reviewers=Reviewers.parse(row.reviewers).as_ruled().dump(),
        quorum=row.quorum,
        max_uses=terms.uses,
        created_at=tx.now,
        expires_at=tx.now + terms.minutes * 60 * SECOND,
        granted_by=", ".join(names),
    )
    facts = {"grant": grant_id, "terms": name_of(text), "uses": terms.uses, "minutes": terms.minutes}
    facts |= {"agent": row.agent_id, "tool": f"{row.server}.{row.tool}"}
    tx.record(Kind.GRANT_MADE, person.actor, row.id, Touched(StandingGrant, None, made), **facts)


def use(
    tx: Transaction,
    authority: Authority,
    row: RequestRow,
    installation: Installation,
    judgement: Judgement,
) -> StandingGrant | None:
    """Count a call just filed against a grant that covers it, the one that ends first; as it is afterwards."""
    found = tx.all(_FOR_CALL, server=row.server, tool=row.tool, agent_id=row.agent_id, now=tx.now)
    for grant in found:
        if _covers(grant, row, installation, judgement) and _is_upheld(tx, authority, grant, row):
            if tx.update(_USE, of=grant.id, now=tx.now) != 1:
                continue  # revoked, or used up, at the same moment
            counted = find(tx, grant.id)  # its row is held by now, and but for the count as the use relied on it
            relied_on = Touched(StandingGrant, changed(counted, used=counted.used - 1), counted)
            facts = {"grant": grant.id, "request": row.id, "use": counted.used}
            tx.record(Kind.GRANT_USED, SYSTEM, grant.request_id, relied_on, **facts)
            return counted
    return None


def check_again(
    tx: Transaction,
    authority: Authority,
    row: RequestRow,
    grant_id: str | None,
    installation: Installation,
    judgement: Judgement,
) -> None:
    """Before a call that a grant approved runs. Raises NotPossible unless the grant still stands behind it."""
    grant = find(tx, grant_id)
    if grant.revoked_at is not None:
        raise NotPossible("The grant that approved it was revoked.", state=row.state)
    if tx.now >= grant.expires_at:
        raise NotPossible("The grant that approved it has run out.", state=row.state)
    users.lock_voters(tx, grant.request_id)
    if not _is_upheld(tx, authority, grant, row):
        raise NotPossible("Somebody who granted it may no longer do so.", state=row.state)
    if not _covers(grant, row, installation, judgement):
        raise NotPossible("By now its rule, or an admin, wants a person to look at it.", state=row.state)


def find(reader: Reader, grant_id: str | None) -> StandingGrant:
    """Raises NotFound."""
    row = reader.one(_BY_ID, id=grant_id)
    if row is None:
        raise NotFound("There is no such grant.", hint="List them: approvals grant list")
    return row


def of_request(reader: Reader, request_id: str) -> StandingGrant | None:
    """The grant that was made from a request's card."""
    return reader.one(_OF_REQUEST, request_id=request_id)


def behind(reader: Reader, request_id: str) -> StandingGrant | None:
    """The grant that approved a request."""
    return reader.one(_BEHIND, request_id=request_id)


def live(reader: Reader, *, limit: int = BANNER + 1) -> list[StandingGrant]:
    """Grants that can still be used, the one that ends first first."""
    return reader.all(_LIVE, now=reader.now, limit=limit)


def page(reader: Reader, *, before: str | None = None, limit: int = 50) -> list[StandingGrant]:
    """Up to `limit` grants older than `before`, newest first."""
    return reader.all(_PAGE, before=before or "~", limit=limit)


def is_live(grant: StandingGrant, now: int) -> bool:
    """Whether it has neither been revoked nor run out; it may be used up."""
    return grant.revoked_at is None and now < grant.expires_at


def _is_upheld(reader: Reader, authority: Authority, grant: StandingGrant, row: RequestRow) -> bool:
    """Whether those who granted it could still do so, and could approve this very call: nobody by a grant what is
    done, as the agent says, for themselves."""
    made_with = reader.one(REQUEST, id=grant.request_id)
    return made_with is not None and all(
        authority.enough(reader, changed(made_with, on_behalf_of=named), grant.terms)
        for named in {made_with.on_behalf_of, row.on_behalf_of}
    )


def _covers(grant: StandingGrant, row: RequestRow, installation: Installation, judgement: Judgement) -> bool:
    """Whether a call is one of those that were granted, under the very rule that they were granted under."""
    limits = judgement.grants
    if limits is None or judgement.action is not Action.REQUIRE_APPROVAL or judgement.risk == "critical":
        return False
    longest = limits.max_minutes * 60 * SECOND
    return (
        (grant.agent_id, grant.installation_id) == (row.agent_id, row.installation_id)
        and (grant.server, grant.tool, grant.tool_hash) == (row.server, row.tool, row.tool_hash)
        and grant.code_version == row.code_version
        and (grant.rule, grant.reviewers) == (judgement.rule, judgement.reviewers.dump())
        and (grant.quorum, bool(installation.may_grant), row.hidden) == (judgement.reviewers.quorum, True, 0)
        and grant.max_uses <= limits.max_uses
        and grant.expires_at - grant.created_at <= longest
        and _lets(grant, row)
    )


def _lets(grant: StandingGrant, row: RequestRow) -> bool:
    try:
        facts = encoded_facts(stored(row.preview))
        return grant_terms.fits(grant_terms.parse(grant.terms), json.loads(row.arguments), facts)
    except Invalid:  # its terms were erased
        return False
