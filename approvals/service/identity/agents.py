"""What admins set of an agent: its owners, its groups, its limits, what its keys cover; and agents as a list."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, func, literal_column, select, update

from approvals.errors import Conflict, Invalid, NotFound
from approvals.protocol import scopes
from approvals.service.audit.kinds import Kind
from approvals.service.identity import agent_owners, credentials, vote_changes
from approvals.service.identity.admins import Admin, require_admin
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import (
    Agent,
    AgentOwner,
    Credential,
    User,
    table_of,
)
from approvals.service.storage.tables.handles import requests

MOST_GROUPS = 20
MOST_LIMIT = 1_000_000

_agents = table_of(Agent)
_owners = table_of(AgentOwner)
_users = table_of(User)
_credentials = table_of(Credential)

_GROUP = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_GROUPS = Statement(update(_agents).where(_agents.c.id == bindparam("of")).values(groups=bindparam("groups")))
_LIMITS = Statement(
    update(_agents)
    .where(_agents.c.id == bindparam("of"))
    .values(pending_limit=bindparam("pending_limit"), minute_limit=bindparam("minute_limit"))
)
_SCOPES = Statement(update(_credentials).where(_credentials.c.id == bindparam("of")).values(scopes=bindparam("scopes")))

_some = (
    select(_agents)
    .where(_agents.c.name > bindparam("after"))
    .order_by(_agents.c.name)
    .limit(bindparam("limit"))
    .subquery()
)
_PAGE = Statement(select(_some).order_by(_some.c.name), Agent)
_PAGE_OWNERS = Statement(
    select(_owners.c.agent_id, _users.c.handle)
    .join_from(_some, _owners, _owners.c.agent_id == _some.c.id)
    .join(_users, _users.c.id == _owners.c.user_id)
    .order_by(_users.c.handle)
)
_PAGE_KEYS = Statement(
    select(_credentials)
    .join_from(_some, _credentials, _credentials.c.agent_id == _some.c.id)
    .where(_credentials.c.revoked_at.is_(None))
    .order_by(_credentials.c.created_at, _credentials.c.id),
    Credential,
)
_PAGE_PENDING = Statement(
    select(requests.c.agent_id, func.count().label("pending"))
    .join_from(_some, requests, requests.c.agent_id == _some.c.id)
    .where(requests.c.state == literal_column("'pending'"))  # in words: else its partial index does not serve
    .group_by(requests.c.agent_id)
)


def set_owners(tx: Transaction, by: Admin, agent: Agent, handles: Iterable[str]) -> list[str]:
    """Make these people its owners; their handles. Raises Invalid for one who has no live account."""
    actor = require_admin(tx, by)
    _hold(tx, agent)
    known = agent_owners.accounts(tx, handles)
    watch = Watch(tx, AgentOwner, agent_id=agent.id)
    agent_owners.replace(tx, agent.id, known)
    vote_changes.begin(tx, vote_changes.EVERYBODY)  # owners come and go at once, and a rule may ask for or bar them
    _append(tx, Kind.AGENT_OWNERS_SET, actor, agent, watch, owners=list(known))
    return list(known)


def change_owners(tx: Transaction, by: Admin, agent: Agent, *, add: Iterable[str], remove: Iterable[str]) -> list[str]:
    """As `set_owners`, from who they are now. Raises Invalid, also for removing one who is none of them."""
    _hold(tx, agent)
    now = {row.handle for row in agent_owners.owners(tx, agent.id)}
    gone = {handle.strip().lower() for handle in remove}
    if gone - now:
        raise Invalid(f"{', '.join(sorted(gone - now))!r:.80} is no owner of {agent.name}.")
    return set_owners(tx, by, agent, {*now, *add} - gone)


def set_groups(tx: Transaction, by: Admin, agent: Agent, names: Iterable[str]) -> list[str]:
    """Put it into these groups and no others; their names. Raises Invalid."""
    actor = require_admin(tx, by)
    _hold(tx, agent)
    groups = sorted(set(names))
    for name in groups:
        if not _GROUP.fullmatch(name):
            raise Invalid(f"{name!r:.80} cannot name a group.", hint="1 to 63 of a-z, 0-9, dot, dash, underscore.")
    if len(groups) > MOST_GROUPS:
        raise Invalid(f"An agent is in at most {MOST_GROUPS} groups.")
    watch = Watch(tx, Agent, id=agent.id)
    tx.execute(_GROUPS, of=agent.id, groups=" ".join(groups))
    _append(tx, Kind.AGENT_GROUPS_SET, actor, agent, watch, groups=groups)
    return groups


def set_limits(tx: Transaction, by: Admin, agent: Agent, *, pending: int | None, minute: int | None) -> None:
    """How many of its requests may wait at once, and how many it may file a minute; None for the service's own
    limit, 0 for none at all. Raises Invalid."""
    actor = require_admin(tx, by)
    _hold(tx, agent)
    if any(limit is not None and not 0 <= limit <= MOST_LIMIT for limit in (pending, minute)):
        raise Invalid(f"A limit is 0 to {MOST_LIMIT:,}, or empty for the service's own.")
    watch = Watch(tx, Agent, id=agent.id)
    tx.execute(_LIMITS, of=agent.id, pending_limit=pending, minute_limit=minute)
    _append(tx, Kind.AGENT_LIMITS_SET, actor, agent, watch, pending=pending, minute=minute)


def set_scopes(tx: Transaction, by: Admin, agent: Agent, credential_id: str, wanted: str) -> str:
    """What one of its keys covers from now on. Raises Invalid, NotFound for a key that is none of its live ones."""
    actor = require_admin(tx, by)
    _hold(tx, agent)
    kept = scopes.check(wanted)
    if credential_id not in {key.id for key in credentials.live(tx, "agent", agent.id)}:
        raise NotFound(f"{agent.name} has no live key {credential_id!r:.40}.", hint="Look at its keys again.")
    watch = Watch(tx, Credential, id=credential_id)
    tx.execute(_SCOPES, of=credential_id, scopes=kept)
    _append(tx, Kind.AGENT_SCOPES_SET, actor, agent, watch, credential=credential_id, scopes=kept)
    return kept


def _hold(tx: Transaction, agent: Agent) -> None:
    credentials.lock(tx, "agent", agent.id)
    row = credentials.agent(tx, agent.id)
    if row is None or row.disabled_at is not None:
        raise Conflict(f"{agent.name} was revoked; nothing of it can be changed.", hint="Add another agent.")


def _append(tx: Transaction, kind: Kind, actor: str, agent: Agent, watch: Watch, **facts: object) -> None:
    tx.record(kind, actor, f"agent:{agent.id}", watch, name=agent.name, **facts)


@dataclass(frozen=True)
class AgentEntry:
    """An agent in the list of all."""

    row: Agent
    owners: list[str]
    """Their handles."""
    keys: list[Credential]
    """Those that were not revoked."""
    pending: int
    """How many of its requests wait."""


def page(reader: Reader, *, after: str = "", limit: int = 50) -> list[AgentEntry]:
    """Up to `limit` agents by name."""
    owners, keys = defaultdict(list), defaultdict(list)
    for row in reader.all(_PAGE_OWNERS, after=after, limit=limit):
        owners[row.agent_id].append(row.handle)
    for key in reader.all(_PAGE_KEYS, after=after, limit=limit):
        keys[key.agent_id].append(key)
    pending = {row.agent_id: row.pending for row in reader.all(_PAGE_PENDING, after=after, limit=limit)}
    return [
        AgentEntry(row, owners[row.id], keys[row.id], pending.get(row.id, 0))
        for row in reader.all(_PAGE, after=after, limit=limit)
    ]
