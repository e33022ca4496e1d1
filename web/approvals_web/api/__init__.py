"""JSON under /api/v1: bearer credentials only, never a cookie."""

from fastapi import FastAPI

from approvals_web.api import (
    agents,
    calls,
    decisions,
    events,
    executions,
    gates,
    requests,
    servers,
    verifications,
    withdrawals,
)

PREFIX = "/api/v1"


def mount(app: FastAPI) -> None:
    """Add every route, flat: each level of nested routers costs every request a search. Fixed addresses come before
    those with an id."""
    for part in (verifications, requests, executions, events, calls, gates, agents, servers, withdrawals, decisions):
        app.include_router(part.router, prefix=PREFIX)
