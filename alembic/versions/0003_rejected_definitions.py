"""Definitions that a person rejected."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tool_rejection",
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("installation_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tool_hash", sa.String(), nullable=False),
        sa.Column("rejected_at", sa.BigInteger(), nullable=False),
        sa.Column("rejected_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["server"], ["server.name"], name=op.f("tool_rejection_server_fk")),
        sa.PrimaryKeyConstraint("server", "installation_id", "name", "tool_hash", name=op.f("tool_rejection_pk")),
    )


def downgrade() -> None:
    op.drop_table("tool_rejection")
