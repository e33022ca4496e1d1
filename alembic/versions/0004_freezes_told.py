"""Freezes that messages of waiting requests do not show yet."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "freeze_telling",
        sa.Column("freeze_id", sa.String(), nullable=False),
        sa.Column("after", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["freeze_id"], ["freeze.id"], name=op.f("freeze_telling_freeze_id_fk")),
        sa.PrimaryKeyConstraint("freeze_id", name=op.f("freeze_telling_pk")),
    )


def downgrade() -> None:
    op.drop_table("freeze_telling")
