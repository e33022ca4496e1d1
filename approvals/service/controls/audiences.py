"""Which agents may use a server at all: every one, or those named and the groups named."""

import hashlib
import re
from collections.abc import Collection

from sqlalchemy import bindparam, select, update

from approvals.errors import Invalid, NotFound, NotInAudience
from approvals.service.audit.kinds import Kind
from approvals.service.controls import state
from approvals.service.identity.admins import Admin, require_admin
from approvals.service.storage.channels import CONTROLS_CHANGED
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Agent, Server, table_of
from approvals.service.storage.tables.handles import SERVER, servers

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
MOST = 200
"""Entries of one audience."""

_agents = table_of(Agent)
_AGENT = Statement(select(_agents.c.id).where(_agents.c.name == bindparam("name")))
_SET = Statement(update(servers).where(servers.c.name == bindparam("of")).values(audience=bindparam("audience")))


def set_audience(tx: Transaction, by: Admin, server: str, entries: Collection[str]) -> str:
    """Let only these (`agent:NAME`, `group:NAME`) use a server; nobody named, every agent. Raises NotFound for an
    unknown server or agent, Invalid for what cannot be an entry."""
    actor = require_admin(tx, by)
    state.lock_exclusive(tx)
    known_server(tx, server)
    if len(entries) > MOST:
        raise Invalid(f"An audience has at most {MOST} entries.", hint="Put the agents into groups.")
    for entry in entries:
        check_entry(tx, entry)
    audience = " ".join(sorted(set(entries)))
    watch = Watch(tx, Server, name=server)
    tx.execute(_SET, of=server, audience=audience)
    tx.record(Kind.SERVER_AUDIENCE_SET, actor, server, watch, audience=audience)
    tx.signal(CONTROLS_CHANGED)
    return audience


def matches(entry: str, agent: str | None, groups: Collection[str]) -> bool:
    """Whether `agent:NAME` or `group:NAME` means this agent; nobody means one that is unidentified."""
    kind, _, name = entry.partition(":")
    return agent is not None and (name == agent if kind == "agent" else kind == "group" and name in groups)


def includes(audience: str, agent: str | None, groups: Collection[str]) -> bool:
    """Whether an agent belongs to an audience."""
    return not audience or any(matches(entry, agent, groups) for entry in audience.split())


def check(audience: str, server: str, agent: str | None, groups: Collection[str]) -> None:
    """Raises NotInAudience, with the agent's name."""
    if not includes(audience, agent, groups):
        who = f"The agent {agent!r}" if agent is not None else "A caller without a key of its own"
        raise NotInAudience(
            f"{who} is not among the agents that may use the server {server!r}.",
            hint="An admin of the approval service can change that.",
            agent=agent or "",
        )


def check_server(reader: Reader, server: str, agent: str | None, groups: Collection[str]) -> None:
    """As `check`, with the audience that stands."""
    check(known_server(reader, server).audience, server, agent, groups)


def name_of(audience: str) -> str:
    """Names an audience without telling who belongs to it; nothing while everybody does."""
    return hashlib.sha256(audience.encode()).hexdigest()[:16] if audience else ""


def known_server(reader: Reader, name: str) -> Server:
    """Raises NotFound."""
    row = reader.one(SERVER, name=name)
    if row is None:
        raise NotFound(f"There is no server {name!r}.", hint="List them: approvals server list")
    return row


def check_entry(reader: Reader, entry: str) -> None:
    """Raises Invalid, or NotFound for an agent that there is not: a misspelt one would be left out unseen."""
    kind, _, name = entry.partition(":")
    if kind not in {"agent", "group"} or not _NAME.fullmatch(name):
        raise Invalid(f"{entry!r} names neither an agent nor a group.", hint="agent:NAME or group:NAME")
    if kind == "agent" and reader.one(_AGENT, name=name) is None:
        raise NotFound(f"There is no agent {name!r}.", hint="List them: approvals agent list")
