"""Errors as RFC 9457 problem details for the API, and as pages for people."""

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from approvals.errors import (
    ApprovalsError,
    Forbidden,
    Invalid,
    NotFound,
    from_document,
)
from approvals_web.pages.error import error_page

logger = logging.getLogger("approvals")
MEDIA_TYPE = "application/problem+json"


class WrongMethod(ApprovalsError):
    status, problem, title = 405, "method-not-allowed", "Not available here"


def install(app: FastAPI) -> None:
    """One renderer for everything that goes wrong."""
    app.add_exception_handler(ApprovalsError, _known)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _routing)
    app.add_exception_handler(ClientDisconnect, _hung_up)
    app.add_exception_handler(Exception, _unexpected)


def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApprovalsError)  # noqa: S101 — the handler is registered for this class
    again = error.extra.get("retry_after_seconds")
    return render(request, error, headers=None if again is None else {"Retry-After": str(again)})


def _unreadable(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    return render(request, Invalid(f"{where}: {first['msg']}.", hint="See /api/v1/openapi.json."))


def _routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 405:
        return _wrong_method(request)
    known = {404: NotFound("There is nothing at this address."), 403: Forbidden(str(error.detail))}
    problem = known.get(error.status_code) or from_document(error.status_code, {"detail": str(error.detail)})
    return render(request, problem, status=error.status_code, headers=dict(error.headers or {}))


def _wrong_method(request: Request) -> Response:
    """The router names the methods of the first route at this address alone."""
    there = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    allowed = ", ".join(sorted({method for route in there for method in route.methods}))
    problem = WrongMethod(f"There is no {request.method} at this address.", hint=f"It takes {allowed}.")
    return render(request, problem, headers={"Allow": allowed})


def _hung_up(request: Request, error: Exception) -> Response:
    """Nobody reads it: whoever asked was gone before the body had come. That is no fault of anything."""
    return Response(status_code=400)


def _unexpected(request: Request, error: Exception) -> Response:
    where = {"method": request.method, "path": request.url.path}
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error, extra=where)
    return render(request, ApprovalsError("This is a fault of the service; it was logged.", hint="Try again."))


def render(
    request: Request, error: ApprovalsError, *, status: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    """The error in the language of whoever asked."""
    status = status or error.status
    if not request.url.path.startswith("/api/"):
        return error_page(request, error, status, headers or {})
    if status == 401:
        headers = {"WWW-Authenticate": 'Bearer realm="approvals"'} | (headers or {})
    document = error.document() | {"status": status}
    return JSONResponse(document, status_code=status, headers=headers, media_type=MEDIA_TYPE)
