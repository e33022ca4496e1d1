"""Where a browser may be sent: a path of this app, never a way out to another site."""

from urllib.parse import urlsplit


def local_path(address: str) -> str:
    """The path, or `/` for anything that a browser might read as another site: `//host`, `/\\host`, a scheme, and
    whatever has characters that browsers drop before they look."""
    if not address.startswith("/") or any(not "!" <= character <= "~" or character == "\\" for character in address):
        return "/"
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    return "/" if address.startswith("//") or parts.scheme or parts.netloc else address
