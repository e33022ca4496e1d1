"""Errors as pages that say what to do. Whoever is not signed in is shown the way."""

from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from approvals.errors import ApprovalsError, Unauthenticated
from approvals_web.http.rendering import page


def error_page(request: Request, error: ApprovalsError, status: int, headers: dict[str, str]) -> Response:
    """The page for an error. A visitor who only looked is sent to the sign-in page."""
    wants_page = request.method == "GET" and request.headers.get("hx-request") != "true"
    if isinstance(error, Unauthenticated) and wants_page and request.url.path not in {"/setup", "/login"}:
        return RedirectResponse(f"/login?{urlencode({'next': request.url.path})}", status_code=303)
    return page(request, "error.html", {"error": error}, status=status, headers=headers)
