"""Static files under content-hash addresses, and the one script bundle.

The bundle is one file on purpose: htmx must never run before its CSP extension, which gates injected attributes.
"""

import gzip
import hashlib
import re
from functools import cache
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse

STATIC = Path(__file__).parents[1] / "static"
PARTS = {
    "bundle.js": (
        "vendor/htmx-4.0.1.min.js",
        "vendor/hx-csp-4.0.1.min.js",
        "src/times.js",
        "src/live.js",
        "src/app.js",
        "src/desk.js",
        "src/queue.js",
        "src/keys.js",
        "src/card.js",
    ),
    "app.css": (
        "src/tokens.css",
        "src/frame.css",
        "src/forms.css",
        "src/text.css",
        "src/list.css",
        "src/card.css",
        "src/insights.css",
    ),
    "icon.svg": ("icon.svg",),
    "inter.woff2": ("vendor/inter.woff2",),
    "jetbrains-mono.woff2": ("vendor/jetbrains-mono.woff2",),
}
"""What browsers load, and what each is put together of."""
VENDORED = {
    "vendor/htmx-4.0.1.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "vendor/hx-csp-4.0.1.min.js": "a7e1e6711ae6c3e50ad300fba7936cbe8d07599cdae313414a179ddd6b26e143",
    "vendor/inter.woff2": "3100e775e8616cd2611beecfa23a4263d7037586789b43f035236a2e6fbd4c62",
    "vendor/jetbrains-mono.woff2": "18be452724bfdc236c074ca94a249a7f41a86752c7d04ab258ce9ed5651f6a7e",
}
"""SHA-256 of what was taken from the npm packages htmx.org 4.0.1, @fontsource-variable/inter 5.3.0 and
@fontsource-variable/jetbrains-mono 5.3.0 (the latin subset; licences beside them); a test compares."""
_TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "woff2": "font/woff2"}
_ASSET = re.compile(rb"asset\(([\w.-]+)\)")
"""In a style sheet, another asset's address."""


@cache
def contents(name: str) -> bytes:
    """The bytes of an asset."""
    joined = (b";\n" if name.endswith(".js") else b"\n").join((STATIC / part).read_bytes() for part in PARTS[name])
    if name.endswith(".css"):
        return _ASSET.sub(lambda found: f"url({address(found[1].decode())})".encode(), joined)
    return joined


@cache
def address(name: str) -> str:
    """Where the browser finds it; changes with its content, so it may be kept for ever."""
    return f"/static/{hashlib.sha256(contents(name)).hexdigest()[:16]}/{name}"


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(contents(name), mtime=0)


_SERVED = {address(name): name for name in PARTS}


async def static(digest: str, name: str, request: Request) -> Response:
    """Serve an asset by its exact address."""
    known = _SERVED.get(f"/static/{digest}/{name}")
    if known is None:
        return PlainTextResponse("There is no such file.", status_code=404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    body = contents(known)
    if not known.endswith(".woff2") and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = _packed(known), "gzip"
    return Response(body, media_type=_TYPES[known.rpartition(".")[2]], headers=headers)
