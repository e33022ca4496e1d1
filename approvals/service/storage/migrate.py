"""Bring the database to the newest schema."""

import os
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import OperationalError

from approvals.errors import Unavailable
from approvals.service.storage.schema_version import migrations
from approvals.service.storage.sqlite_errors import unusable
from approvals.service.storage.url import check_url, path_of


def upgrade(url: str) -> None:
    """Migrate to the newest schema. Several processes may at once: one does it, the others wait. Raises
    Invalid for a URL of no known database, and Unavailable when it cannot be reached or another version made it."""
    check_url(url)
    if url.startswith("sqlite:"):
        _make(path_of(url))
    try:
        command.upgrade(configuration(url), "head")
    except OperationalError as error:
        if url.startswith("sqlite:"):
            raise unusable(path_of(url), str(error.orig)) from None
        kind = type(error.orig).__name__
        raise Unavailable(
            f"The database cannot be reached ({kind}).", hint="Does it run, and is the URL right?"
        ) from None
    except CommandError:  # the version that the database names is none of ours
        raise Unavailable(
            "The database was made by another version of this product.",
            hint="Use the version that made it, or begin with a new database.",
        ) from None


def _make(path: Path) -> None:
    """A new file, which is nobody else's to read. Raises Unavailable."""
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise unusable(path, str(error.strerror)) from error


def configuration(url: str) -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.attributes["url"] = url
    return config
