"""JSON under /api/v1: bearer credentials only, never a cookie."""

from fastapi import FastAPI

from approvals_web.api import (
    agents,
    calls,
    decisions,
    edits,
    events,
    executions,
    gates,
    requests,
    servers,
    verifications,
    withdrawals,
)
from approvals_web.http import routers

PARTS = (verifications, requests, executions, events, calls, gates, agents, servers, withdrawals, decisions, edits)


def mount(app: FastAPI) -> None:
    """Add every route."""
    routers.mount(app, *(part.router for part in PARTS))
