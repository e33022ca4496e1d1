"""What a setting's text stands for. Each raises Invalid, naming the variable and what it may be."""

from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from approvals.errors import Invalid

_YES = TypeAdapter(bool)
LAST_PORT = 65_535


def port(name: str, given: int | str) -> int:
    """Where to listen."""
    if not isinstance(given, int) or not 0 <= given <= LAST_PORT:
        raise Invalid(f"{name} is {given!r:.40}, which is no port.", hint=f"Use a number from 1 to {LAST_PORT}.")
    return given


def yes(name: str, given: bool | str) -> bool:
    """Yes or no."""
    try:
        return _YES.validate_python(given)
    except ValidationError:
        raise Invalid(f"{name} is {given!r:.40}, which is neither true nor false.", hint="Use one of these.") from None


def limit(name: str, given: str) -> int | None:
    """A whole number, or none."""
    if given == "none":
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 8):
        raise Invalid(f"{name} is {given!r:.40}, which is no limit.", hint="Use a whole number, or none.")
    return int(given)


def pairs(name: str, text: str) -> dict[str, str]:
    """`a=b, c=d`."""
    found = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(key.strip() and value.strip() for key, _, value in found):
        raise Invalid(f"{name} is {text!r}.", hint="Write name=value, name=value.")
    return {key.strip(): value.strip() for key, _, value in found}


def address(name: str, given: str) -> str:
    """Where people reach a service that answers at the root of its host."""
    if not _is_origin(given.removesuffix("/")):
        raise Invalid(
            f"{name} is {given.split('@')[-1]!r:.200}, which is no address of a service.",
            hint="Write http(s)://host or http(s)://host:port, and nothing after it.",
        )
    return given


def printable(name: str, given: str) -> str:
    """One line, as somebody would type it."""
    if not given.isprintable():
        raise Invalid(f"{name} has a control character, such as a line's end, in it.", hint="Set it to one line.")
    return given


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return (
        url == f"{parts.scheme}://{parts.netloc}"
        and parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and " " not in url
    )
