"""Edits that no gate has answered yet are found by when they were asked."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    unanswered = sa.text("answered_at IS NULL")
    op.create_index("edit_unanswered", "edit", ["asked_at"], sqlite_where=unanswered, postgresql_where=unanswered)


def downgrade() -> None:
    op.drop_index("edit_unanswered", "edit")
