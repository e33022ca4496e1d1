"""Whether a database is there, with the schema that this version needs. Light: commands ask before they do anything."""

from pathlib import Path

import approvals
from approvals.errors import Unavailable
from approvals.service.storage.database import Database


def migrations() -> Path:
    """The migration scripts: inside the wheel, or alembic/ in a checkout."""
    package = Path(approvals.__file__).parent
    packaged = package / "migrations"
    return packaged if packaged.is_dir() else package.parent / "alembic"


def newest() -> str:
    """The version that the last script leads to; scripts are numbered."""
    return max(script.name.partition("_")[0] for script in (migrations() / "versions").glob("[0-9]*.py"))


def check(database: Database) -> None:
    """Raises Unavailable, saying what to do, for a database that is not there, is none of this product's, or has
    another schema."""
    found = database.schema()
    if found is None:
        raise Unavailable(
            f"The database {database.name} has no tables of this product.",
            hint="Is it the right one? If it is to be used: approvals migrate",
        )
    if found < newest():
        raise Unavailable(
            f"The schema of the database {database.name} is older than this version ({found}, not {newest()}).",
            hint="Make a back-up, then: approvals migrate",
        )
    if found > newest():
        raise Unavailable(
            f"The schema of the database {database.name} is newer than this version ({found}, not {newest()}).",
            hint="Use the version that made it.",
        )
