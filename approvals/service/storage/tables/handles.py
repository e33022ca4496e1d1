"""The tables that several packages query, by name, and the queries that they share."""

from sqlalchemy import bindparam, select

from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import (
    Execution,
    Freeze,
    GateSession,
    Request,
    Rollout,
    Server,
    table_of,
)
from approvals.service.storage.tables.rows import RequestRow

requests = table_of(Request)
executions = table_of(Execution)
servers = table_of(Server)
freezes = table_of(Freeze)
rollouts = table_of(Rollout)
_sessions = table_of(GateSession)

REQUEST = Statement(
    select(requests, executions.c.lease_until)
    .join_from(requests, executions, executions.c.request_id == requests.c.id, isouter=True)
    .where(requests.c.id == bindparam("id")),
    RequestRow,
)
WITH_EXECUTION = select(
    requests,
    executions.c.lease_until,
    executions.c.claim_id,
    executions.c.claimed_at,
    executions.c.result,
    executions.c.error,
    executions.c.sealed_result,
    executions.c.finished_at,
).join_from(requests, executions, executions.c.request_id == requests.c.id, isouter=True)
EXECUTION = Statement(select(executions).where(executions.c.request_id == bindparam("request_id")), Execution)
SERVER = Statement(select(servers).where(servers.c.name == bindparam("name")), Server)
LOCK_SERVER = Statement(
    select(servers.c.name).where(servers.c.name == bindparam("name")).with_for_update(key_share=True)
)
"""Held by whoever compares with what stands at a server: the next one compares with what came of it."""
SESSION = Statement(select(_sessions).where(_sessions.c.id == bindparam("id")), GateSession)
LOCK_SESSION = Statement(
    select(_sessions.c.id).where(_sessions.c.id == bindparam("id")).with_for_update(key_share=True)
)
