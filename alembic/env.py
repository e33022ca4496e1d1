import os

from alembic import context
from sqlmodel import SQLModel, create_engine

import approvals.models  # noqa: F401  (registers the tables)

url = context.config.attributes.get("url") or os.environ.get("APPROVALS_DATABASE_URL", "sqlite:///approvals.db")

with create_engine(url).connect() as connection:
    context.configure(connection, target_metadata=SQLModel.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
