"""Static files under content-hash addresses, and the one script bundle.

The bundle is one file on purpose: htmx must never run before its CSP extension, which gates injected attributes.
"""

import hashlib
from functools import cache
from pathlib import Path

from fastapi import Response
from fastapi.responses import PlainTextResponse

STATIC = Path(__file__).parents[1] / "static"
PARTS = (
    "vendor/htmx-4.0.1.min.js",
    "vendor/hx-csp-4.0.1.min.js",
    "src/live.js",
    "src/app.js",
    "src/queue.js",
    "src/keys.js",
    "src/card.js",
)
VENDORED = {
    "vendor/htmx-4.0.1.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "vendor/hx-csp-4.0.1.min.js": "a7e1e6711ae6c3e50ad300fba7936cbe8d07599cdae313414a179ddd6b26e143",
}
"""SHA-256 of what was taken from the npm package htmx.org 4.0.1 (licence beside it); a test compares."""
_TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


@cache
def contents(name: str) -> bytes:
    """The bytes of an asset: `bundle.js`, `app.css` or `icon.svg`."""
    if name == "bundle.js":
        return b";\n".join((STATIC / part).read_bytes() for part in PARTS)
    return (STATIC / name).read_bytes()


def address(name: str) -> str:
    """Where the browser finds it; changes with its content, so it may be kept for ever."""
    return f"/static/{hashlib.sha256(contents(name)).hexdigest()[:16]}/{name}"


_SERVED = {address(name): name for name in ("bundle.js", "app.css", "icon.svg")}


async def static(digest: str, name: str) -> Response:
    """Serve an asset by its exact address."""
    known = _SERVED.get(f"/static/{digest}/{name}")
    if known is None:
        return PlainTextResponse("There is no such file.", status_code=404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(contents(known), media_type=_TYPES[known.rsplit(".", 1)[1]], headers=headers)
