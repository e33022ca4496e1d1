import os

from alembic import context
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlmodel import SQLModel, create_engine

import approvals.service.storage.tables  # noqa: F401  (registers the tables)

url = context.config.attributes.get("url") or os.environ.get("APPROVALS_DATABASE_URL", "sqlite:///approvals.db")
scheme, _, rest = url.partition("://")
if scheme == "sqlite":  # the path as it is: in a URL, %20 would stand for a blank, and name another file
    engine = create_engine(URL.create("sqlite", database=rest.removeprefix("/")))
else:
    engine = create_engine(f"postgresql+psycopg://{rest}")


def is_modelled(name: str | None, kind: str, parents: object) -> bool:
    """Whether the models speak of it: full-text search differs by database, and only 0001 knows how."""
    return not (name or "").startswith("request_text")


with engine.connect() as connection:
    context.configure(connection, target_metadata=SQLModel.metadata, render_as_batch=True, include_name=is_modelled)
    with context.begin_transaction():
        if engine.dialect.name == "postgresql":  # several processes may start at once: one migrates, the others wait
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('approvals migrations'))"))
        context.run_migrations()
engine.dispose()
