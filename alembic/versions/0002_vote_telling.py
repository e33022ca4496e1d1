"""Who counts has changed, and messages of waiting requests do not show it yet."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vote_telling",
        sa.Column("of", sa.String(), nullable=False),
        sa.Column("after", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("of", name=op.f("vote_telling_pk")),
    )


def downgrade() -> None:
    op.drop_table("vote_telling")
