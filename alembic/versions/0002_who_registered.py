"""Who registered a tool's definition first, and how long it is: so that new ones can be counted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tool_definition", sa.Column("registered_by", sa.String(), nullable=True))
    op.add_column("tool_definition", sa.Column("size", sa.BigInteger(), nullable=True))
    op.create_index(
        "tool_definition_by_registered_by_first_seen_at",
        "tool_definition",
        ["registered_by", "first_seen_at", "size"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index("tool_definition_by_registered_by_first_seen_at", table_name="tool_definition")
    op.drop_column("tool_definition", "size")
    op.drop_column("tool_definition", "registered_by")
