"""first tables"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("groups", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("pending_limit", sa.Integer(), nullable=True),
        sa.Column("minute_limit", sa.Integer(), nullable=True),
        sa.Column("flooded_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "audit_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("actor", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("payload_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("algorithm", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("mac", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("payload_hash"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_event_subject"), ["subject"], unique=False)

    op.create_table(
        "freeze",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("scope", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("of", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("mode", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.CheckConstraint("mode IN ('refuse', 'hold')", name="mode_known"),
        sa.CheckConstraint("scope IN ('all', 'server', 'agent')", name="scope_known"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("freeze", schema=None) as batch_op:
        batch_op.create_index(
            "freeze_in_force",
            ["scope", "of"],
            unique=True,
            sqlite_where=sa.text("lifted_at IS NULL"),
            postgresql_where=sa.text("lifted_at IS NULL"),
        )

    op.create_table(
        "meta",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("actor", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "policy_version",
        sa.Column("hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_table(
        "server",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("pepper", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "sign_in_attempts",
        sa.Column("key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    with op.batch_alter_table("sign_in_attempts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sign_in_attempts_since_at"), ["since_at"], unique=False)

    op.create_table(
        "spent_handshake",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("spent_handshake", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_spent_handshake_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "user_account",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("issuer", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("handle", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("email", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("groups", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("claimed_groups", sa.Text(), nullable=False),
        sa.Column("told_up_to", sa.BigInteger(), nullable=False),
        sa.Column("roles", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("password_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("handle"),
        sa.UniqueConstraint("issuer", "subject"),
    )
    op.create_table(
        "handle",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("user_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
        ),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "agent_owner",
        sa.Column("agent_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("user_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agent.id"],
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
        ),
        sa.PrimaryKeyConstraint("agent_id", "user_id"),
    )
    with op.batch_alter_table("agent_owner", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_agent_owner_user_id"), ["user_id"], unique=False)

    op.create_table(
        "audit_link",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("mac", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["audit_event.id"],
        ),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("event_id"),
    )
    op.create_table(
        "audit_payload",
        sa.Column("payload_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["payload_hash"],
            ["audit_event.payload_hash"],
        ),
        sa.PrimaryKeyConstraint("payload_hash"),
    )
    op.create_table(
        "installation",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("server", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("label", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("assurance", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("environment", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("may_grant", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("assurance IN ('enforced', 'cooperative')", name="assurance_known"),
        sa.ForeignKeyConstraint(
            ["server"],
            ["server.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("installation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_installation_server"), ["server"], unique=False)

    op.create_table(
        "policy_load",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["hash"],
            ["policy_version.hash"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("policy_load", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_policy_load_hash"), ["hash"], unique=False)

    op.create_table(
        "rollout",
        sa.Column("server", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tool", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("audience", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("mode", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint("mode IN ('off', 'observe', 'enforce')", name="mode_known"),
        sa.ForeignKeyConstraint(
            ["server"],
            ["server.name"],
        ),
        sa.PrimaryKeyConstraint("server", "tool", "audience"),
    )
    op.create_table(
        "sign_in_link",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("purpose", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("user_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("roles", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("made_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("spent_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("purpose IN ('setup', 'invite', 'sign_in')", name="purpose_known"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "slack_code",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("user_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("session_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("team_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("slack_user_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("slack_name", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("typed_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("slack_code", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_slack_code_user_id"), ["user_id"], unique=False)
        batch_op.create_index(
            "slack_code_open",
            ["user_id"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "slack_link",
        sa.Column("team_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("slack_user_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("user_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("slack_name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
        ),
        sa.PrimaryKeyConstraint("team_id", "slack_user_id"),
    )
    with op.batch_alter_table("slack_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_slack_link_user_id"), ["user_id"], unique=False)

    op.create_table(
        "tool",
        sa.Column("server", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("installation_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("accepted_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("accepted_at", sa.BigInteger(), nullable=True),
        sa.Column("accepted_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("offered_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("offered_at", sa.BigInteger(), nullable=True),
        sa.Column("loosens", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["server"],
            ["server.name"],
        ),
        sa.PrimaryKeyConstraint("server", "installation_id", "name"),
    )
    op.create_table(
        "tool_definition",
        sa.Column("server", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tool_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["server"],
            ["server.name"],
        ),
        sa.PrimaryKeyConstraint("server", "tool_hash"),
    )
    op.create_table(
        "web_session",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("user_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("method", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("web_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_web_session_user_id"), ["user_id"], unique=False)

    op.create_table(
        "credential",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("installation_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("agent_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("user_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("secret_sha256", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("label", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'installation' AND installation_id IS NOT NULL AND agent_id IS NULL AND user_id IS NULL) OR (kind = 'agent' AND agent_id IS NOT NULL AND installation_id IS NULL AND user_id IS NULL) OR (kind = 'user' AND user_id IS NOT NULL AND installation_id IS NULL AND agent_id IS NULL)",
            name="one_principal",
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agent.id"],
        ),
        sa.ForeignKeyConstraint(
            ["installation_id"],
            ["installation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_credential_agent_id"), ["agent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_credential_installation_id"), ["installation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_credential_user_id"), ["user_id"], unique=False)

    op.create_table(
        "gate_session",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("installation_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("code_version", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded", sa.Integer(), nullable=False),
        sa.Column("high_water", sa.Integer(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("lost_at", sa.BigInteger(), nullable=True),
        sa.Column("stream_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["installation_id"],
            ["installation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("gate_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_gate_session_installation_id"), ["installation_id"], unique=False)

    op.create_table(
        "freeze_confirmation",
        sa.Column("freeze_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("session_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["freeze_id"],
            ["freeze.id"],
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["gate_session.id"],
        ),
        sa.PrimaryKeyConstraint("freeze_id", "session_id"),
    )
    op.create_table(
        "request",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("installation_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("session_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("agent_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("agent_credential_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("caller", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("server", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tool", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tool_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("code_version", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("assurance", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("attach_key", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("call_key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("hidden", sa.Integer(), nullable=False),
        sa.Column("sealed_arguments", sa.Text(), nullable=True),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("previewed_at", sa.BigInteger(), nullable=True),
        sa.Column("no_preview", sa.Text(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("content_version", sa.Integer(), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("headline", sa.Text(), nullable=False),
        sa.Column("reviewed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("on_behalf_of", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("agent_session", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("trace_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("action", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("rule", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("circumstances", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("policy_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("risk", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("quorum", sa.Integer(), nullable=False),
        sa.Column("reviewers", sa.Text(), nullable=False),
        sa.Column("grants", sa.Text(), nullable=False),
        sa.Column("notify", sa.Text(), nullable=False),
        sa.Column("rollout", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("nudges", sa.Text(), nullable=False),
        sa.Column("nudge_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("execute_within", sa.Integer(), nullable=False),
        sa.Column("execute_by", sa.BigInteger(), nullable=True),
        sa.Column("cool_down", sa.Integer(), nullable=False),
        sa.Column("replay_window", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("may_ask_again", sa.Boolean(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_because", sa.Text(), nullable=True),
        sa.Column("replaces", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("erased_at", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("action IN ('allow', 'require_approval', 'deny')", name="action_known"),
        sa.CheckConstraint("assurance IN ('enforced', 'cooperative')", name="assurance_known"),
        sa.CheckConstraint("rollout IN ('off', 'observe', 'enforce')", name="rollout_known"),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'executing', 'succeeded', 'failed', 'unknown', 'not_executed', 'stale', 'denied', 'expired', 'withdrawn', 'lapsed', 'revoked')",
            name="state_known",
        ),
        sa.ForeignKeyConstraint(
            ["agent_credential_id"],
            ["credential.id"],
        ),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agent.id"],
        ),
        sa.ForeignKeyConstraint(
            ["installation_id"],
            ["installation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["policy_hash"],
            ["policy_version.hash"],
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["gate_session.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("attach_key"),
    )
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_request_installation_id"), ["installation_id"], unique=False)
        batch_op.create_index("request_by_agent", ["agent_id", "id"], unique=False)
        batch_op.create_index(
            "request_by_agent_session",
            ["agent_session", "id"],
            unique=False,
            sqlite_where=sa.text("agent_session <> ''"),
            postgresql_where=sa.text("agent_session <> ''"),
        )
        batch_op.create_index("request_by_call", ["call_key", "id"], unique=False)
        batch_op.create_index("request_by_change", ["changed_at"], unique=False)
        batch_op.create_index(
            "request_by_decider",
            ["decided_by", "id"],
            unique=False,
            sqlite_where=sa.text("decided_by IS NOT NULL"),
            postgresql_where=sa.text("decided_by IS NOT NULL"),
        )
        batch_op.create_index("request_by_rule", ["rule", "id"], unique=False)
        batch_op.create_index("request_by_state", ["state", "id"], unique=False)
        batch_op.create_index("request_by_tool", ["server", "tool", "id"], unique=False)
        batch_op.create_index(
            "request_by_trace",
            ["trace_id", "id"],
            unique=False,
            sqlite_where=sa.text("trace_id <> ''"),
            postgresql_where=sa.text("trace_id <> ''"),
        )
        batch_op.create_index(
            "request_decided",
            ["server", "tool", "decided_at"],
            unique=False,
            sqlite_where=sa.text("decided_at IS NOT NULL AND action = 'require_approval' AND rollout = 'enforce'"),
            postgresql_where=sa.text("decided_at IS NOT NULL AND action = 'require_approval' AND rollout = 'enforce'"),
        )
        batch_op.create_index(
            "request_held",
            ["id"],
            unique=False,
            sqlite_where=sa.text("held AND state = 'pending'"),
            postgresql_where=sa.text("held AND state = 'pending'"),
        )
        batch_op.create_index(
            "request_observed",
            ["server", "id"],
            unique=False,
            sqlite_where=sa.text("rollout = 'observe'"),
            postgresql_where=sa.text("rollout = 'observe'"),
        )
        batch_op.create_index(
            "request_on_behalf_of",
            ["on_behalf_of", "id"],
            unique=False,
            sqlite_where=sa.text("on_behalf_of <> ''"),
            postgresql_where=sa.text("on_behalf_of <> ''"),
        )
        batch_op.create_index(
            "request_pending",
            ["agent_id", "installation_id"],
            unique=False,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.create_index(
            "request_to_erase",
            ["ended_at"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NOT NULL AND erased_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NOT NULL AND erased_at IS NULL"),
        )
        batch_op.create_index(
            "request_to_nudge",
            ["nudge_at"],
            unique=False,
            sqlite_where=sa.text("nudge_at IS NOT NULL"),
            postgresql_where=sa.text("nudge_at IS NOT NULL"),
        )

    op.create_table(
        "session_tool",
        sa.Column("session_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tool_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("code_version", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("part_of", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["gate_session.id"],
        ),
        sa.PrimaryKeyConstraint("session_id", "name"),
    )
    op.create_table(
        "decision",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("request_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("content_version", sa.Integer(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("user_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("verdict", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("may_ask_again", sa.Boolean(), nullable=False),
        sa.Column("grant_terms", sa.Text(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("auth_method", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("auth_at", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("address", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("card_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("looked_ms", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("channel IN ('web', 'slack', 'api')", name="channel_known"),
        sa.CheckConstraint("verdict IN ('approve', 'deny')", name="verdict_known"),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["request.id"],
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("request_id", "content_version", "user_id"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("notifier", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("verb", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("request_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("dead_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["request.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index("delivery_by_due", ["done_at", "due_at"], unique=False)
        batch_op.create_index(
            "delivery_dead",
            ["dead_at"],
            unique=False,
            sqlite_where=sa.text("dead_at IS NOT NULL"),
            postgresql_where=sa.text("dead_at IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_delivery_request_id"), ["request_id"], unique=False)

    op.create_table(
        "request_words",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["request.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("request_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "slack_message",
        sa.Column("request_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("asked", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("ts", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("digest", sa.Boolean(), nullable=False),
        sa.Column("reposted", sa.Boolean(), nullable=False),
        sa.Column("told", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("posted_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["request.id"],
        ),
        sa.PrimaryKeyConstraint("request_id", "channel", "ts"),
    )
    with op.batch_alter_table("slack_message", schema=None) as batch_op:
        batch_op.create_index("slack_message_by_place", ["channel", "ts"], unique=False)

    op.create_table(
        "standing_grant",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("request_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("server", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tool", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tool_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("code_version", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("agent_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("installation_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("rule", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reviewers", sa.Text(), nullable=False),
        sa.Column("quorum", sa.Integer(), nullable=False),
        sa.Column("max_uses", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("granted_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.CheckConstraint("used >= 0 AND used <= max_uses", name="counted"),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agent.id"],
        ),
        sa.ForeignKeyConstraint(
            ["installation_id"],
            ["installation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["request.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("request_id"),
    )
    with op.batch_alter_table("standing_grant", schema=None) as batch_op:
        batch_op.create_index("grant_by_end", ["expires_at", "id"], unique=False)
        batch_op.create_index("grant_by_tool", ["server", "tool", "agent_id", "expires_at"], unique=False)

    op.create_table(
        "waiting_call",
        sa.Column("session_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("call_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("request_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("arrived_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["request.id"],
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["gate_session.id"],
        ),
        sa.PrimaryKeyConstraint("session_id", "call_id"),
    )
    with op.batch_alter_table("waiting_call", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_waiting_call_request_id"), ["request_id"], unique=False)

    op.create_table(
        "permission",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("request_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("grant_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("content_version", sa.Integer(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("source IN ('quorum', 'grant', 'policy', 'rollout')", name="source_known"),
        sa.ForeignKeyConstraint(
            ["grant_id"],
            ["standing_grant.id"],
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["request.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("request_id"),
    )
    with op.batch_alter_table("permission", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_permission_grant_id"), ["grant_id"], unique=False)

    op.create_table(
        "execution",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("permission_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("request_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("claim_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("session_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("settled_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("settled_note", sa.Text(), nullable=True),
        sa.Column("contradiction", sa.Text(), nullable=True),
        sa.Column("contradiction_seen_at", sa.BigInteger(), nullable=True),
        sa.Column("contradiction_seen_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("checked", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("checked_note", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sealed_result", sa.Text(), nullable=True),
        sa.Column("sealed_until", sa.BigInteger(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("checked IN ('succeeded', 'failed', 'not_executed', 'unclear')", name="checked_known"),
        sa.ForeignKeyConstraint(
            ["contradiction_seen_by"],
            ["user_account.id"],
        ),
        sa.ForeignKeyConstraint(
            ["permission_id"],
            ["permission.id"],
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["request.id"],
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["gate_session.id"],
        ),
        sa.ForeignKeyConstraint(
            ["settled_by"],
            ["user_account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("claim_id"),
        sa.UniqueConstraint("permission_id"),
        sa.UniqueConstraint("request_id"),
    )
    with op.batch_alter_table("execution", schema=None) as batch_op:
        batch_op.create_index("execution_by_lease", ["finished_at", "lease_until"], unique=False)
        batch_op.create_index(
            "execution_contradicted",
            ["request_id"],
            unique=False,
            sqlite_where=sa.text("contradiction IS NOT NULL AND contradiction_seen_at IS NULL"),
            postgresql_where=sa.text("contradiction IS NOT NULL AND contradiction_seen_at IS NULL"),
        )
        batch_op.create_index(
            "execution_to_unseal",
            ["sealed_until"],
            unique=False,
            sqlite_where=sa.text("sealed_until IS NOT NULL"),
            postgresql_where=sa.text("sealed_until IS NOT NULL"),
        )


def downgrade() -> None:
    with op.batch_alter_table("execution", schema=None) as batch_op:
        batch_op.drop_index(
            "execution_to_unseal",
            sqlite_where=sa.text("sealed_until IS NOT NULL"),
            postgresql_where=sa.text("sealed_until IS NOT NULL"),
        )
        batch_op.drop_index(
            "execution_contradicted",
            sqlite_where=sa.text("contradiction IS NOT NULL AND contradiction_seen_at IS NULL"),
            postgresql_where=sa.text("contradiction IS NOT NULL AND contradiction_seen_at IS NULL"),
        )
        batch_op.drop_index("execution_by_lease")

    op.drop_table("execution")
    with op.batch_alter_table("permission", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_permission_grant_id"))

    op.drop_table("permission")
    with op.batch_alter_table("waiting_call", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_waiting_call_request_id"))

    op.drop_table("waiting_call")
    with op.batch_alter_table("standing_grant", schema=None) as batch_op:
        batch_op.drop_index("grant_by_tool")
        batch_op.drop_index("grant_by_end")

    op.drop_table("standing_grant")
    with op.batch_alter_table("slack_message", schema=None) as batch_op:
        batch_op.drop_index("slack_message_by_place")

    op.drop_table("slack_message")
    op.drop_table("request_words")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_delivery_request_id"))
        batch_op.drop_index(
            "delivery_dead",
            sqlite_where=sa.text("dead_at IS NOT NULL"),
            postgresql_where=sa.text("dead_at IS NOT NULL"),
        )
        batch_op.drop_index("delivery_by_due")

    op.drop_table("delivery")
    op.drop_table("decision")
    op.drop_table("session_tool")
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.drop_index(
            "request_to_nudge",
            sqlite_where=sa.text("nudge_at IS NOT NULL"),
            postgresql_where=sa.text("nudge_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "request_to_erase",
            sqlite_where=sa.text("ended_at IS NOT NULL AND erased_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NOT NULL AND erased_at IS NULL"),
        )
        batch_op.drop_index(
            "request_pending", sqlite_where=sa.text("state = 'pending'"), postgresql_where=sa.text("state = 'pending'")
        )
        batch_op.drop_index(
            "request_on_behalf_of",
            sqlite_where=sa.text("on_behalf_of <> ''"),
            postgresql_where=sa.text("on_behalf_of <> ''"),
        )
        batch_op.drop_index(
            "request_observed",
            sqlite_where=sa.text("rollout = 'observe'"),
            postgresql_where=sa.text("rollout = 'observe'"),
        )
        batch_op.drop_index(
            "request_held",
            sqlite_where=sa.text("held AND state = 'pending'"),
            postgresql_where=sa.text("held AND state = 'pending'"),
        )
        batch_op.drop_index(
            "request_decided",
            sqlite_where=sa.text("decided_at IS NOT NULL AND action = 'require_approval' AND rollout = 'enforce'"),
            postgresql_where=sa.text("decided_at IS NOT NULL AND action = 'require_approval' AND rollout = 'enforce'"),
        )
        batch_op.drop_index(
            "request_by_trace", sqlite_where=sa.text("trace_id <> ''"), postgresql_where=sa.text("trace_id <> ''")
        )
        batch_op.drop_index("request_by_tool")
        batch_op.drop_index("request_by_state")
        batch_op.drop_index("request_by_rule")
        batch_op.drop_index(
            "request_by_decider",
            sqlite_where=sa.text("decided_by IS NOT NULL"),
            postgresql_where=sa.text("decided_by IS NOT NULL"),
        )
        batch_op.drop_index("request_by_change")
        batch_op.drop_index("request_by_call")
        batch_op.drop_index(
            "request_by_agent_session",
            sqlite_where=sa.text("agent_session <> ''"),
            postgresql_where=sa.text("agent_session <> ''"),
        )
        batch_op.drop_index("request_by_agent")
        batch_op.drop_index(batch_op.f("ix_request_installation_id"))

    op.drop_table("request")
    op.drop_table("freeze_confirmation")
    with op.batch_alter_table("gate_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_gate_session_installation_id"))

    op.drop_table("gate_session")
    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_credential_user_id"))
        batch_op.drop_index(batch_op.f("ix_credential_installation_id"))
        batch_op.drop_index(batch_op.f("ix_credential_agent_id"))

    op.drop_table("credential")
    with op.batch_alter_table("web_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_web_session_user_id"))

    op.drop_table("web_session")
    op.drop_table("tool_definition")
    op.drop_table("tool")
    with op.batch_alter_table("slack_link", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_slack_link_user_id"))

    op.drop_table("slack_link")
    with op.batch_alter_table("slack_code", schema=None) as batch_op:
        batch_op.drop_index(
            "slack_code_open", sqlite_where=sa.text("ended_at IS NULL"), postgresql_where=sa.text("ended_at IS NULL")
        )
        batch_op.drop_index(batch_op.f("ix_slack_code_user_id"))

    op.drop_table("slack_code")
    op.drop_table("sign_in_link")
    op.drop_table("rollout")
    with op.batch_alter_table("policy_load", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_policy_load_hash"))

    op.drop_table("policy_load")
    with op.batch_alter_table("installation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_installation_server"))

    op.drop_table("installation")
    op.drop_table("audit_payload")
    op.drop_table("audit_link")
    with op.batch_alter_table("agent_owner", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_agent_owner_user_id"))

    op.drop_table("agent_owner")
    op.drop_table("handle")
    op.drop_table("user_account")
    with op.batch_alter_table("spent_handshake", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_spent_handshake_expires_at"))

    op.drop_table("spent_handshake")
    with op.batch_alter_table("sign_in_attempts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sign_in_attempts_since_at"))

    op.drop_table("sign_in_attempts")
    op.drop_table("server")
    op.drop_table("policy_version")
    op.drop_table("notice")
    op.drop_table("meta")
    with op.batch_alter_table("freeze", schema=None) as batch_op:
        batch_op.drop_index(
            "freeze_in_force", sqlite_where=sa.text("lifted_at IS NULL"), postgresql_where=sa.text("lifted_at IS NULL")
        )

    op.drop_table("freeze")
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_event_subject"))

    op.drop_table("audit_event")
    op.drop_table("agent")
