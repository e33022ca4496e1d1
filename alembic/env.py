import os

from alembic import context
from sqlalchemy import text
from sqlmodel import SQLModel, create_engine

import approvals.service.storage.tables  # noqa: F401  (registers the tables)

url = context.config.attributes.get("url") or os.environ.get("APPROVALS_DATABASE_URL", "sqlite:///approvals.db")
scheme, _, rest = url.partition("://")
engine = create_engine(f"{'sqlite' if scheme == 'sqlite' else 'postgresql+psycopg'}://{rest}")


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
