"""What people change of a call before they approve it, and suggest when they deny it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OF_REQUEST = ("proposed", "edited", "suggestion")


def upgrade() -> None:
    for name in _OF_REQUEST:
        op.add_column("request", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("request", sa.Column("edits", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("request", sa.Column("edit_id", sa.String(), nullable=True))
    op.add_column("decision", sa.Column("suggestion", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "edit",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("content_version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("auth_method", sa.String(), nullable=False),
        sa.Column("auth_at", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("refused", sa.Text(), nullable=True),
        sa.CheckConstraint("channel IN ('web', 'slack', 'api')", name=op.f("edit_channel_known")),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("edit_request_id_fk")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("edit_user_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("edit_pk")),
    )
    op.create_index("edit_by_request", "edit", ["request_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("edit")
    op.drop_column("decision", "suggestion")
    for name in (*_OF_REQUEST, "edits", "edit_id"):
        op.drop_column("request", name)
