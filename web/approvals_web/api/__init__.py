"""JSON under /api/v1: bearer credentials only, never a cookie."""

from fastapi import APIRouter

from approvals_web.api import agents, calls, decisions, events, executions, requests, servers, withdrawals

router = APIRouter(prefix="/api/v1")
for part in (servers, agents, events, requests, executions, withdrawals, decisions, calls):
    router.include_router(part.router)
