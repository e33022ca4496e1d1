"""Bring the database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from approvals.database import path_of


def migrations() -> Path:
    """The migration scripts: inside the wheel, or alembic/ in a checkout."""
    here = Path(__file__).parent
    packaged = here / "migrations"
    return packaged if packaged.is_dir() else here.parent / "alembic"


def upgrade(url: str) -> None:
    """Migrate to the newest schema. Raises what path_of and the database raise."""
    path_of(url)
    command.upgrade(configuration(url), "head")


def configuration(url: str) -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.attributes["url"] = url
    return config
