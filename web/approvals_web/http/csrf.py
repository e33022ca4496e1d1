"""Cross-site requests, by Sec-Fetch-Site and Origin (the algorithm of Go 1.25's CrossOriginProtection), but stricter:
an unsafe request with neither header is refused, because a browser always sends one."""

from urllib.parse import urlsplit

from fastapi import Request

from approvals.errors import Forbidden


async def same_origin(request: Request) -> None:
    """A dependency of every unsafe page route. Raises Forbidden."""
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        if site != "same-origin":
            raise _refused(f"Sec-Fetch-Site is {site[:40]!r}")
    elif origin is None:
        raise _refused("neither Sec-Fetch-Site nor Origin came with it")
    elif _host(origin) != request.headers.get("host"):
        raise _refused("Origin is another site's")


def _host(origin: str) -> str | None:
    """None of what is no origin at all."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _refused(why: str) -> Forbidden:
    return Forbidden(
        f"This did not come from this app's own pages ({why}).",
        hint="Open the page again, and use its own buttons.",
    )
