"""Rows under seal: an event says how it found, and how it left, each row of state that it tells of.

A seal is a MAC over a row's columns, by the key of the record. So whoever changes a row without an event is found by
its last event's seal, and whoever changed it before the service went on with it, by what the next event found.
`approvals.service.verification` compares.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, String, Table, case, func, literal_column
from sqlmodel import SQLModel

from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Row, columns
from approvals.service.storage.tables import (
    Agent,
    AgentOwner,
    Credential,
    DecisionRow,
    Edit,
    Execution,
    Freeze,
    Handle,
    Installation,
    Permission,
    PolicyLoad,
    Request,
    Rollout,
    Server,
    SignInLink,
    SlackLink,
    StandingGrant,
    Tool,
    ToolRejection,
    User,
    WebSession,
    table_of,
)

LENGTH = 32
"""Hex digits of a seal."""


@dataclass(frozen=True, eq=False)
class Sealed:
    """A table under seal. `subject`: of the events that tell of a row; `loose`: columns that change without one."""

    table: Table
    subject: ColumnElement[str]
    prefixes: tuple[str, ...] = ("",)
    """Of the subjects."""
    loose: frozenset[str] = frozenset()
    passing: bool = False
    """Whether its rows go one day without an event of their own."""
    columns: tuple[str, ...] = field(init=False)
    key: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        under = [column.name for column in self.table.columns if column.name not in self.loose]
        object.__setattr__(self, "columns", tuple(under))
        object.__setattr__(self, "key", tuple(column.name for column in self.table.primary_key.columns))

    def name(self, row: Mapping[str, object]) -> str:
        """What a row is called in an event's payload."""
        return f"{self.table.name} {'/'.join(str(row[column]) for column in self.key)}"

    def seal(self, key: bytes, row: Mapping[str, Any]) -> str:
        """Of a row, whichever database it comes from: NUL is another character on PostgreSQL, and true is 1 on
        SQLite. What no column of ours holds has a seal of its own."""
        values = [int(row[name]) if isinstance(row[name], bool) else row[name] for name in self.columns]
        body = json.dumps([self.table.name, *values], separators=(",", ":"), default=repr).replace("\\u0000", "\\u2400")
        return hmac.digest(key, body.encode(), "sha256").hex()[:LENGTH]


def _text(value: str) -> ColumnElement[str]:
    return literal_column(f"'{value}'", String)


def _sealed(
    model: type[SQLModel],
    subject: str,
    *loose: str,
    prefixes: tuple[str, ...] = ("",),
    of: Any = None,
    passing: bool = False,
) -> tuple[str, Sealed]:
    table: Table = table_of(model)
    owner = table.c[subject] if of is None else of
    if prefixes != ("",) and of is None:
        owner = _text(prefixes[0]) + owner
    return table.name, Sealed(table, owner, prefixes, frozenset(loose), passing)


_credentials = table_of(Credential).c
_tools = table_of(Tool).c
_rejections = table_of(ToolRejection).c
_links = table_of(SignInLink).c
_freezes = table_of(Freeze).c


SEALED: Mapping[str, Sealed] = dict(
    (
        _sealed(Request, "id", "remind_at"),
        _sealed(DecisionRow, "request_id"),
        _sealed(Edit, "request_id"),
        _sealed(Permission, "request_id"),
        _sealed(
            Execution,
            "request_id",
            "lease_until",
            "sealed_result",
            "sealed_until",
        ),
        _sealed(StandingGrant, "request_id"),
        _sealed(Server, "name"),
        _sealed(Rollout, "server"),
        _sealed(PolicyLoad, "hash"),
        _sealed(Tool, "name", of=_tools.server + _text(".") + _tools.name),
        _sealed(ToolRejection, "name", of=_rejections.server + _text(".") + _rejections.name),
        _sealed(
            Freeze,
            "id",
            prefixes=("freeze:",),
            of=_text("freeze:")
            + _freezes.scope
            + case((_freezes.of == _text(""), _text("")), else_=_text(":") + _freezes.of),
        ),
        _sealed(User, "id", "last_notice_id", prefixes=("user:",)),
        _sealed(WebSession, "user_id", "last_seen_at", "revoked_at", prefixes=("user:",), passing=True),
        _sealed(
            SignInLink,
            "id",
            prefixes=("user:",),
            of=_text("user:") + func.coalesce(_links.user_id, func.nullif(_links.name, _text("")), _text("first")),
            passing=True,
        ),
        _sealed(Handle, "user_id", prefixes=("user:",)),
        _sealed(SlackLink, "user_id", prefixes=("user:",)),
        _sealed(Installation, "id", prefixes=("installation:",)),
        _sealed(Agent, "id", "flooded_at", prefixes=("agent:",)),
        _sealed(AgentOwner, "agent_id", prefixes=("agent:",)),
        _sealed(
            Credential,
            "id",
            "last_used_at",
            prefixes=("user:", "agent:", "installation:"),
            of=_credentials.kind
            + _text(":")
            + func.coalesce(_credentials.installation_id, _credentials.agent_id, _credentials.user_id),
        ),
    )
)
"""A lease is renewed, a sealed result goes, a key is used and a browser session ends without an event of its own."""


def told(touched: Touched, key: bytes) -> tuple[str, list[str | None]]:
    """What an event's payload says of a row: its name, and its seals before and after."""
    under = SEALED[str(touched.model.__tablename__)]
    pair = [None if row is None else columns(row) for row in (touched.before, touched.after)]
    of = pair[1] if pair[1] is not None else pair[0] or Row()
    return under.name(of), [None if row is None else under.seal(key, row) for row in pair]
