"""Errors as pages."""

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from approvals.errors import ApprovalsError


def error_page(request: Request, error: ApprovalsError, status: int, headers: dict[str, str]) -> Response:
    return HTMLResponse(f"{error.detail}", status_code=status, headers=headers)
