"""How far a gate is rolled out, per server and tool, for everybody or for some: enforce, observe, off.

In `observe` and `off` a call runs without asking, filed, recorded and claimed as ever; in `observe` the web app counts
what would have been asked.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert  # its ON CONFLICT is SQLite's, too

from approvals.errors import Invalid, NotFound
from approvals.service.audit.kinds import Kind
from approvals.service.controls import audiences, state
from approvals.service.controls.state import SetRollout
from approvals.service.identity.admins import Admin, require_admin
from approvals.service.storage.channels import CONTROLS_CHANGED
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Rollout, Tool, table_of
from approvals.service.storage.tables.handles import requests, rollouts

OFF, OBSERVE, ENFORCE = MODES = ("off", "observe", "enforce")
"""The strictest last."""
COUNTED = 1000
MOST = 1000
"""Rows that are listed."""

_tools = table_of(Tool)
_key = ("server", "tool", "audience")

_PUT = insert(rollouts).values({name: bindparam(name) for name in (*_key, "mode", "set_at", "set_by")})
_SET = Statement(
    _PUT.on_conflict_do_update(
        index_elements=list(_key), set_={name: _PUT.excluded[name] for name in ("mode", "set_at", "set_by")}
    )
)
_FORGET = Statement(delete(rollouts).where(*(rollouts.c[name] == bindparam(f"of_{name}") for name in _key)))
_ALL = Statement(
    select(rollouts).order_by(rollouts.c.server, rollouts.c.tool, rollouts.c.audience).limit(MOST), Rollout
)
_TOOL = Statement(
    select(_tools.c.name).where(_tools.c.server == bindparam("server"), _tools.c.name == bindparam("name"))
)
_last = (
    select(requests.c.tool, requests.c.action)
    .where(requests.c.rollout == "observe", requests.c.server == bindparam("server"))
    .order_by(requests.c.id.desc())
    .limit(COUNTED)
    .subquery()
)
_OBSERVED = Statement(
    select(_last.c.tool, _last.c.action, func.count().label("n")).group_by(_last.c.tool, _last.c.action)
)


@dataclass(frozen=True)
class Observed:
    """Of the last calls of a server's tool in `observe`: how many there were, and what would have become of them."""

    tool: str
    calls: int
    asked: int
    refused: int


def set_rollout(tx: Transaction, by: Admin, server: str, tool: str, whom: str, mode: str) -> None:
    """For a server (no tool) or one tool, for everybody (empty), `agent:NAME` or `group:NAME`. Raises Invalid, or
    NotFound for a server, tool or agent that there is not."""
    actor = require_admin(tx, by)
    state.lock_exclusive(tx)
    audiences.known_server(tx, server)
    if mode not in MODES:
        raise Invalid(f"{mode!r} is no rollout.", hint=", ".join(MODES))
    if tool and tx.one(_TOOL, server=server, name=tool) is None:
        raise NotFound(f"The server {server!r} has registered no tool {tool!r}.", hint="See the page Servers.")
    if whom:
        audiences.check_entry(tx, whom)
    watch = Watch(tx, Rollout, server=server, tool=tool, audience=whom)
    tx.execute(_SET, server=server, tool=tool, audience=whom, mode=mode, set_at=tx.now, set_by=actor)
    tx.record(Kind.ROLLOUT_SET, actor, server, watch, tool=tool, audience=whom, mode=mode)
    tx.signal(CONTROLS_CHANGED)


def clear_rollout(tx: Transaction, by: Admin, server: str, tool: str, whom: str) -> None:
    """Forget what was set: what is less specific counts again. Raises NotFound."""
    actor = require_admin(tx, by)
    state.lock_exclusive(tx)
    watch = Watch(tx, Rollout, server=server, tool=tool, audience=whom)
    if tx.update(_FORGET, of_server=server, of_tool=tool, of_audience=whom) != 1:
        raise NotFound("Nothing is set for exactly that.", hint="List it: approvals rollout list")
    tx.record(Kind.ROLLOUT_CLEARED, actor, server, watch, tool=tool, audience=whom)
    tx.signal(CONTROLS_CHANGED)


def mode(rows: Iterable[SetRollout], tool: str, agent: str | None, groups: Collection[str]) -> str:
    """The rollout of one call: a tool's before its server's, an agent's before a group's before everybody's, and of two
    groups' the strictest. Nothing set: enforce."""
    meant = [
        ((row.tool != "", _nearness(row.audience), MODES.index(row.mode)), row.mode)
        for row in rows
        if row.tool in ("", tool) and (not row.audience or audiences.matches(row.audience, agent, groups))
    ]
    return str(max(meant)[1]) if meant else ENFORCE


def source(allowed: bool, rollout: str, hidden: int) -> str:
    """What lets a call run that nobody is asked about: its rule (`policy`), the `rollout`, or nothing. A credential
    that a pattern hid is always asked about."""
    if allowed:
        return "policy"
    return "rollout" if rollout != ENFORCE and not hidden else ""


def relaxed(rows: Iterable[SetRollout], tool: str) -> bool:
    """Whether anybody's calls of a tool may run without asking."""
    return any(row.mode != ENFORCE and row.tool in ("", tool) for row in rows)


def listed(reader: Reader) -> list[Rollout]:
    """Everything that is set, by server and tool."""
    return reader.all(_ALL)


def observed(reader: Reader, server: str) -> list[Observed]:
    """The last COUNTED calls of a server in `observe`, by tool."""
    counts: dict[str, dict[str, int]] = {}
    for row in reader.all(_OBSERVED, server=server):
        counts.setdefault(row.tool, {})[row.action] = row.n
    return [
        Observed(tool, sum(of.values()), of.get("require_approval", 0), of.get("deny", 0))
        for tool, of in sorted(counts.items())
    ]


def _nearness(whom: str) -> int:
    return 0 if not whom else 2 if whom.startswith("agent:") else 1
