"""Which database a URL names, without opening it: what every command needs first, so it imports no database code."""

import re
from pathlib import Path

from approvals.errors import Invalid

POSTGRES = ("postgresql://", "postgres://")
_ODD_FILE = re.compile(r"sqlite:///(?::memory:|file:|.*\?)")
"""What others read as no file, or as a file and options: here a file of that very name would be made."""


def check_url(url: str) -> None:
    """Raises Invalid for a URL of no database that this product knows."""
    if not url.isprintable() or not url.startswith(("sqlite:///", *POSTGRES)) or _ODD_FILE.match(url):
        raise Invalid(
            f"APPROVALS_DATABASE_URL is {url.split('@')[-1]!r}, which is no database this product knows.",
            hint="Use sqlite:///approvals.db, sqlite:////absolute/path.db, or postgresql://user@host/name.",
        )


def path_of(url: str) -> Path:
    """The file of a `sqlite:///path` URL. Raises Invalid for other databases."""
    check_url(url)
    if not url.startswith("sqlite:///") or url == "sqlite:///":
        raise Invalid("This needs a SQLite database.", hint="For example sqlite:///approvals.db.")
    return Path(url.removeprefix("sqlite:///"))
