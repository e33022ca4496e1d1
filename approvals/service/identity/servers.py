"""Servers, their installations, and agents: made, listed, given keys, revoked."""

import re
import secrets
from collections.abc import Iterable

from sqlalchemy import bindparam, select, update
from sqlmodel import SQLModel

from approvals import ids
from approvals.errors import (
    Conflict,
    Duplicate,
    Invalid,
    NotFound,
)
from approvals.instant import SECOND
from approvals.protocol import scopes
from approvals.protocol.registration import Assurance
from approvals.service.audit.kinds import Kind
from approvals.service.identity import agent_owners, credentials
from approvals.service.identity.admins import Admin, require_admin
from approvals.service.storage.channels import KEYS_REVOKED
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched, Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import (
    Agent,
    AgentOwner,
    Credential,
    Installation,
    Server,
    table_of,
)
from approvals.service.storage.tables.handles import LOCK_SERVER, SERVER

_agents = table_of(Agent)
_installations = table_of(Installation)

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_INSTALLATIONS = Statement(
    select(_installations).order_by(_installations.c.server, _installations.c.created_at), Installation
)
_OF_SERVER = Statement(
    select(_installations)
    .where(_installations.c.server == bindparam("server"), _installations.c.label == bindparam("label"))
    .where(_installations.c.disabled_at.is_(None)),
    Installation,
)
_ALLOW_GRANTS = Statement(
    update(_installations).where(_installations.c.id == bindparam("of")).values(may_grant=bindparam("may_grant"))
)
_AGENTS = Statement(select(_agents).order_by(_agents.c.name), Agent)
_AGENT = Statement(select(_agents).where(_agents.c.name == bindparam("name")), Agent)
_MODELS: dict[str, type[SQLModel]] = {"installation": Installation, "agent": Agent}
_DISABLE = {
    "installation": Statement(
        update(_installations).where(_installations.c.id == bindparam("of")).values(disabled_at=bindparam("at"))
    ),
    "agent": Statement(update(_agents).where(_agents.c.id == bindparam("of")).values(disabled_at=bindparam("at"))),
}


def add_server(
    tx: Transaction,
    by: Admin,
    name: str,
    *,
    label: str,
    assurance: Assurance,
    trusted: bool,
    life: int | None = None,
) -> str:
    """A new installation of a server; its key. Raises Invalid, or Duplicate for a label in use."""
    actor = require_admin(tx, by)
    _check(name)
    if tx.one(SERVER, name=name) is None:
        server = tx.insert(Server, name=name, pepper=secrets.token_hex(32), created_at=tx.now)
        tx.record(Kind.SERVER_NAMED, actor, name, Touched(Server, None, server))
    tx.lock(LOCK_SERVER, name=name)
    if tx.one(_OF_SERVER, server=name, label=label) is not None:
        raise Duplicate(
            f"The server {name!r} has an installation labelled {label!r}.",
            hint=f"Give this one another --label, or rotate its key: approvals server rotate {name} --label {label}",
        )
    installation = ids.new(tx.now)
    facts = {"label": label, "assurance": assurance.value, "trusted": trusted}
    may_grant = assurance is Assurance.ENFORCED
    watches = Watch(tx, Installation, id=installation), Watch(tx, Credential, installation_id=installation)
    tx.insert(Installation, id=installation, server=name, may_grant=may_grant, created_at=tx.now, **facts)
    key = credentials.mint(tx, "installation", installation, expires_at=_until(tx, life))
    tx.record(Kind.SERVER_ADDED, actor, f"installation:{installation}", *watches, server=name, **facts)
    return key


def allow_grants(tx: Transaction, by: Admin, installation: Installation, *, allowed: bool) -> None:
    """Whether standing grants may be made and used for an installation's calls, from now on."""
    actor = require_admin(tx, by)
    watch = Watch(tx, Installation, id=installation.id)
    tx.execute(_ALLOW_GRANTS, of=installation.id, may_grant=allowed)
    kind = Kind.SERVER_GRANTS_ALLOWED if allowed else Kind.SERVER_GRANTS_FORBIDDEN
    tx.record(kind, actor, f"installation:{installation.id}", watch, server=installation.server)


def add_agent(
    tx: Transaction,
    by: Admin,
    name: str,
    *,
    owners: Iterable[str] = (),
    covers: str = "",
    life: int | None = None,
) -> str:
    """A new agent; its key, which covers these scopes for `life` seconds. Raises Invalid (also for owners without a
    live account), or Duplicate for a name in use."""
    actor = require_admin(tx, by)
    _check(name)
    known_as = tx.one(_AGENT, name=name)
    if known_as is not None:
        hint = f"Make it a new key instead: approvals agent rotate {name}"
        gone = "It was revoked, and its name stays with what it did: choose another name."
        raise Duplicate(f"There is an agent {name!r}.", hint=hint if known_as.disabled_at is None else gone)
    known, kept = agent_owners.accounts(tx, owners), scopes.check(covers)
    agent = ids.new(tx.now)
    watches = Watch(tx, Agent, id=agent), *(Watch(tx, of, agent_id=agent) for of in (AgentOwner, Credential))
    tx.insert(Agent, id=agent, name=name, created_at=tx.now)
    agent_owners.replace(tx, agent, known)
    facts = {"name": name, "owners": list(known), "scopes": kept}
    key = credentials.mint(tx, "agent", agent, expires_at=_until(tx, life), scopes=kept)
    tx.record(Kind.AGENT_ADDED, actor, f"agent:{agent}", *watches, **facts)
    return key


def rotate(
    tx: Transaction,
    by: Admin,
    kind: str,
    principal: Installation | Agent,
    *,
    covers: str | None = None,
    life: int | None = None,
    forever: bool = False,
) -> str:
    """A second key beside the present one; the oldest goes when there would be three. It covers and lives as the
    last one did, unless said otherwise: rotating widens nothing. Raises Conflict when the principal was revoked."""
    actor = require_admin(tx, by)
    credentials.lock(tx, kind, principal.id)
    row, last = credentials.principal(tx, kind, principal.id), credentials.newest(tx, kind, principal.id)
    if row is None or row.disabled_at is not None:
        another = "another name" if kind == "agent" else "this or another label"
        raise Conflict(f"This {kind} was revoked, and gets no key any more.", hint=f"Add one, by {another}.")
    kept = (last.scopes if last is not None else "") if covers is None else scopes.check(covers)
    if life is None and not forever and last is not None and last.expires_at is not None:
        life = (last.expires_at - last.created_at) // SECOND
    watch = Watch(tx, Credential, **{f"{kind}_id": principal.id})
    key = credentials.mint(tx, kind, principal.id, expires_at=_until(tx, life), scopes=kept)
    facts = {"credential": key.split("_")[1], "scopes": kept, "seconds": life}
    tx.record(Kind(f"{kind}.key_rotated"), actor, f"{kind}:{principal.id}", watch, **facts)
    _tell(tx)
    return key


def revoke(
    tx: Transaction, by: Admin, kind: str, principal: Installation | Agent, credential_id: str | None = None
) -> int:
    """Revoke one key, or all and the principal with them; how many keys there were."""
    actor = require_admin(tx, by)
    credentials.lock(tx, kind, principal.id)
    whole = credential_id is None
    watches = Watch(tx, _MODELS[kind], id=principal.id), Watch(tx, Credential, **{f"{kind}_id": principal.id})
    keyless = whole and principal.disabled_at is None and not credentials.live(tx, kind, principal.id)
    revoked = [] if keyless else credentials.revoke(tx, kind, principal.id, credential_id=credential_id)
    if whole:
        tx.execute(_DISABLE[kind], of=principal.id, at=tx.now)
    tx.record(Kind(f"{kind}.revoked"), actor, f"{kind}:{principal.id}", *watches, credentials=revoked)
    _tell(tx)
    return len(revoked)


def _tell(tx: Transaction) -> None:
    """Calls that wait by a revoked key hear of it as soon as this is durable."""
    tx.signal(KEYS_REVOKED)


def installations(reader: Reader) -> list[Installation]:
    return reader.all(_INSTALLATIONS)


def agents(reader: Reader) -> list[Agent]:
    return reader.all(_AGENTS)


def agent_named(reader: Reader, name: str) -> Agent:
    """Raises NotFound."""
    row = reader.one(_AGENT, name=name)
    if row is None:
        raise NotFound(f"There is no agent {name!r}.", hint="List them: approvals agent list")
    return row


def installation_named(reader: Reader, server: str, label: str) -> Installation:
    """The live installation of a server under a label. Raises NotFound."""
    row = reader.one(_OF_SERVER, server=server, label=label)
    if row is None:
        raise NotFound(
            f"The server {server!r} has no live installation labelled {label!r}.",
            hint="List them: approvals server list",
        )
    return row


def _until(tx: Transaction, life: int | None) -> int | None:
    return None if life is None else tx.now + life * SECOND


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} cannot name a server or an agent.",
            hint="1 to 63 of a-z, 0-9, dot, dash, underscore; a letter or digit first.",
        )
