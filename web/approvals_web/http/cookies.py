"""The session cookie: `__Host-` and Secure, but on plain HTTP, which is for loopback."""

from fastapi import Request, Response

from approvals.service.identity.sessions import SESSION_LIFE
from approvals_web.http.app_parts import the_service

NAMES = {True: "__Host-approvals", False: "approvals"}


def session_token(request: Request) -> str | None:
    """The token that the browser sent."""
    return request.cookies.get(NAMES[is_secure(request)])


def set_session(request: Request, response: Response, token: str) -> None:
    secure = is_secure(request)
    response.set_cookie(
        NAMES[secure], token, max_age=SESSION_LIFE, path="/", secure=secure, httponly=True, samesite="lax"
    )


def clear_session(request: Request, response: Response) -> None:
    secure = is_secure(request)
    response.delete_cookie(NAMES[secure], path="/", secure=secure, httponly=True, samesite="lax")


def is_secure(request: Request) -> bool:
    return the_service(request).public_url.startswith("https://")
