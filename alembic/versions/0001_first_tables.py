"""The first tables, what keeps the record append-only, and the words that requests are found by."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEYS = {
    "audit_event": (("id",), ("payload_hash",)),
    "audit_payload": (("payload_hash",),),
    "audit_link": (("seq",), ("event_id",)),
    "tool_definition": (("server", "tool_hash"),),
    "policy_version": (("hash",),),
}
"""Of each table that is never updated or deleted from, what is unique. INSERT OR REPLACE deletes the row in the way, and no
DELETE trigger of SQLite hears of it."""
ERASABLE = {"audit_payload"}

# FTS5 keeps its own tokens beside the words, by the documented triggers of an external-content table; the words are
# folded already (approvals/service/history/fulltext.py).
FTS5 = (
    "CREATE VIRTUAL TABLE request_text USING fts5(words, content='request_words', content_rowid='number', "
    "columnsize=0, tokenize='unicode61 remove_diacritics 0')",
    "CREATE TRIGGER request_words_come AFTER INSERT ON request_words BEGIN "
    "INSERT INTO request_text(rowid, words) VALUES (new.number, new.words); END",
    "CREATE TRIGGER request_words_go AFTER DELETE ON request_words BEGIN "
    "INSERT INTO request_text(request_text, rowid, words) VALUES ('delete', old.number, old.words); END",
)
# With the usual statistics PostgreSQL takes a rare word for one in 200 and reads the table backwards to find it.
GIN = (
    "CREATE INDEX request_text_words ON request_words USING gin (string_to_array(words, ' '))",
    "ALTER INDEX request_text_words ALTER COLUMN 1 SET STATISTICS 1000",
    "CREATE VIEW request_text AS SELECT number AS rowid, string_to_array(words, ' ') AS words FROM request_words",
)


def upgrade() -> None:
    _create_tables()
    postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in (*_postgresql(), *GIN) if postgresql else (*_sqlite(), *FTS5):
        op.execute(statement)


def downgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute("DROP VIEW request_text" if postgresql else "DROP TABLE request_text")
    for table in reversed(TABLES):
        op.drop_table(table)
    if postgresql:
        op.execute("DROP FUNCTION approvals_append_only")


def _actions(table):
    return ("UPDATE",) if table in ERASABLE else ("UPDATE", "DELETE")


def _postgresql():
    yield (
        "CREATE FUNCTION approvals_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in KEYS:
        yield (
            f"CREATE TRIGGER {table}_append_only BEFORE {' OR '.join((*_actions(table), 'TRUNCATE'))} ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION approvals_append_only()"
        )


def _sqlite():
    for table, keys in KEYS.items():
        refuse = f"SELECT RAISE(ABORT, '{table} is append-only')"
        for action in _actions(table):
            yield f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} BEGIN {refuse}; END"
        for key in keys:
            taken = " AND ".join(f"{column} = NEW.{column}" for column in key)
            yield (
                f"CREATE TRIGGER {table}_no_second_{key[-1]} BEFORE INSERT ON {table} "
                f"BEGIN {refuse} FROM {table} WHERE {taken}; END"
            )


def _create_tables() -> None:
    op.create_table(
        "admin_notice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("admin_notice_pk")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "agent",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("groups", sa.String(), nullable=False),
        sa.Column("pending_limit", sa.Integer(), nullable=True),
        sa.Column("minute_limit", sa.Integer(), nullable=True),
        sa.Column("flooded_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("agent_pk")),
        sa.UniqueConstraint("name", name=op.f("agent_name_unique")),
    )
    op.create_table(
        "audit_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("payload_hash", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("algorithm", sa.String(), nullable=False),
        sa.Column("mac", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_event_pk")),
        sa.UniqueConstraint("payload_hash", name=op.f("audit_event_payload_hash_unique")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("audit_event_by_subject"), "audit_event", ["subject"], unique=False)
    op.create_table(
        "freeze",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("of", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.CheckConstraint("mode IN ('refuse', 'hold')", name=op.f("freeze_mode_known")),
        sa.CheckConstraint("scope IN ('all', 'server', 'agent')", name=op.f("freeze_scope_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("freeze_pk")),
    )
    op.create_index(
        "freeze_in_force",
        "freeze",
        ["scope", "of"],
        unique=True,
        sqlite_where=sa.text("lifted_at IS NULL"),
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("meta_pk")),
    )
    op.create_table(
        "policy_version",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("policy_version_pk")),
    )
    op.create_table(
        "server",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("pepper", sa.String(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("server_pk")),
    )
    op.create_table(
        "sign_in_attempts",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("sign_in_attempts_pk")),
    )
    op.create_index(op.f("sign_in_attempts_by_since_at"), "sign_in_attempts", ["since_at"], unique=False)
    op.create_table(
        "spent_login",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("spent_login_pk")),
    )
    op.create_index(op.f("spent_login_by_expires_at"), "spent_login", ["expires_at"], unique=False)
    op.create_table(
        "user_account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("handle", sa.String(), nullable=True),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("groups", sa.String(), nullable=False),
        sa.Column("claimed_groups", sa.Text(), nullable=False),
        sa.Column("last_notice_id", sa.BigInteger(), nullable=False),
        sa.Column("roles", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("user_account_pk")),
        sa.UniqueConstraint("handle", name=op.f("user_account_handle_unique")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("user_account_issuer_subject_unique")),
    )
    op.create_table(
        "agent_owner",
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("agent_owner_agent_id_fk")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("agent_owner_user_id_fk")),
        sa.PrimaryKeyConstraint("agent_id", "user_id", name=op.f("agent_owner_pk")),
    )
    op.create_index(op.f("agent_owner_by_user_id"), "agent_owner", ["user_id"], unique=False)
    op.create_table(
        "audit_link",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["audit_event.id"], name=op.f("audit_link_event_id_fk")),
        sa.PrimaryKeyConstraint("seq", name=op.f("audit_link_pk")),
        sa.UniqueConstraint("event_id", name=op.f("audit_link_event_id_unique")),
    )
    op.create_table(
        "audit_payload",
        sa.Column("payload_hash", sa.String(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["payload_hash"], ["audit_event.payload_hash"], name=op.f("audit_payload_payload_hash_fk")
        ),
        sa.PrimaryKeyConstraint("payload_hash", name=op.f("audit_payload_pk")),
    )
    op.create_table(
        "handle",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("handle_user_id_fk")),
        sa.PrimaryKeyConstraint("name", name=op.f("handle_pk")),
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("assurance", sa.String(), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("may_grant", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("assurance IN ('enforced', 'cooperative')", name=op.f("installation_assurance_known")),
        sa.ForeignKeyConstraint(["server"], ["server.name"], name=op.f("installation_server_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("installation_pk")),
    )
    op.create_index(op.f("installation_by_server"), "installation", ["server"], unique=False)
    op.create_table(
        "policy_load",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["hash"], ["policy_version.hash"], name=op.f("policy_load_hash_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("policy_load_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("policy_load_by_hash"), "policy_load", ["hash"], unique=False)
    op.create_table(
        "rollout",
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.CheckConstraint("mode IN ('off', 'observe', 'enforce')", name=op.f("rollout_mode_known")),
        sa.ForeignKeyConstraint(["server"], ["server.name"], name=op.f("rollout_server_fk")),
        sa.PrimaryKeyConstraint("server", "tool", "audience", name=op.f("rollout_pk")),
    )
    op.create_table(
        "sign_in_link",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("roles", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("spent_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("purpose IN ('setup', 'invite', 'sign_in')", name=op.f("sign_in_link_purpose_known")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("sign_in_link_user_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("sign_in_link_pk")),
    )
    op.create_table(
        "slack_code",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("team_id", sa.String(), nullable=True),
        sa.Column("slack_user_id", sa.String(), nullable=True),
        sa.Column("slack_name", sa.String(), nullable=True),
        sa.Column("typed_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("slack_code_user_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("slack_code_pk")),
    )
    op.create_index(op.f("slack_code_by_user_id"), "slack_code", ["user_id"], unique=False)
    op.create_index(
        "slack_code_open",
        "slack_code",
        ["user_id"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "slack_link",
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("slack_user_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("slack_name", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("slack_link_user_id_fk")),
        sa.PrimaryKeyConstraint("team_id", "slack_user_id", name=op.f("slack_link_pk")),
    )
    op.create_index(op.f("slack_link_by_user_id"), "slack_link", ["user_id"], unique=False)
    op.create_table(
        "tool",
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("installation_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("accepted_hash", sa.String(), nullable=True),
        sa.Column("accepted_at", sa.BigInteger(), nullable=True),
        sa.Column("accepted_by", sa.String(), nullable=False),
        sa.Column("offered_hash", sa.String(), nullable=True),
        sa.Column("offered_at", sa.BigInteger(), nullable=True),
        sa.Column("loosens", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["server"], ["server.name"], name=op.f("tool_server_fk")),
        sa.PrimaryKeyConstraint("server", "installation_id", "name", name=op.f("tool_pk")),
    )
    op.create_table(
        "tool_definition",
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("tool_hash", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("registered_by", sa.String(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["server"], ["server.name"], name=op.f("tool_definition_server_fk")),
        sa.PrimaryKeyConstraint("server", "tool_hash", name=op.f("tool_definition_pk")),
    )
    op.create_table(
        "web_session",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("web_session_user_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("web_session_pk")),
    )
    op.create_index(op.f("web_session_by_user_id"), "web_session", ["user_id"], unique=False)
    op.create_table(
        "credential",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("installation_id", sa.String(), nullable=True),
        sa.Column("agent_id", sa.String(), nullable=True),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("secret_sha256", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'installation' AND installation_id IS NOT NULL AND agent_id IS NULL AND user_id IS NULL) OR (kind = 'agent' AND agent_id IS NOT NULL AND installation_id IS NULL AND user_id IS NULL) OR (kind = 'user' AND user_id IS NOT NULL AND installation_id IS NULL AND agent_id IS NULL)",
            name=op.f("credential_one_principal"),
        ),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("credential_agent_id_fk")),
        sa.ForeignKeyConstraint(["installation_id"], ["installation.id"], name=op.f("credential_installation_id_fk")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("credential_user_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("credential_pk")),
    )
    op.create_index(op.f("credential_by_agent_id"), "credential", ["agent_id"], unique=False)
    op.create_index(op.f("credential_by_installation_id"), "credential", ["installation_id"], unique=False)
    op.create_index(op.f("credential_by_user_id"), "credential", ["user_id"], unique=False)
    op.create_table(
        "gate_session",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("installation_id", sa.String(), nullable=False),
        sa.Column("code_version", sa.String(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded", sa.Integer(), nullable=False),
        sa.Column("high_water", sa.Integer(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("lost_at", sa.BigInteger(), nullable=True),
        sa.Column("stream_id", sa.String(), nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["installation_id"], ["installation.id"], name=op.f("gate_session_installation_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("gate_session_pk")),
    )
    op.create_index(op.f("gate_session_by_installation_id"), "gate_session", ["installation_id"], unique=False)
    op.create_table(
        "freeze_confirmation",
        sa.Column("freeze_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["freeze_id"], ["freeze.id"], name=op.f("freeze_confirmation_freeze_id_fk")),
        sa.ForeignKeyConstraint(["session_id"], ["gate_session.id"], name=op.f("freeze_confirmation_session_id_fk")),
        sa.PrimaryKeyConstraint("freeze_id", "session_id", name=op.f("freeze_confirmation_pk")),
    )
    op.create_table(
        "request",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("installation_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("agent_id", sa.String(), nullable=True),
        sa.Column("agent_credential_id", sa.String(), nullable=True),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("tool_hash", sa.String(), nullable=False),
        sa.Column("code_version", sa.String(), nullable=False),
        sa.Column("assurance", sa.String(), nullable=False),
        sa.Column("attach_key", sa.String(), nullable=True),
        sa.Column("call_key", sa.String(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("hidden", sa.Integer(), nullable=False),
        sa.Column("sealed_arguments", sa.Text(), nullable=True),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("previewed_at", sa.BigInteger(), nullable=True),
        sa.Column("preview_required", sa.Boolean(), nullable=False),
        sa.Column("no_preview", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("content_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("reviewed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("on_behalf_of", sa.String(), nullable=False),
        sa.Column("agent_session", sa.String(), nullable=False),
        sa.Column("trace_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("policy_hash", sa.String(), nullable=False),
        sa.Column("risk", sa.String(), nullable=False),
        sa.Column("quorum", sa.Integer(), nullable=False),
        sa.Column("reviewers", sa.Text(), nullable=False),
        sa.Column("grants", sa.Text(), nullable=False),
        sa.Column("notify", sa.Text(), nullable=False),
        sa.Column("rollout", sa.String(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("reminders", sa.Text(), nullable=False),
        sa.Column("remind_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("execute_within", sa.Integer(), nullable=False),
        sa.Column("execute_by", sa.BigInteger(), nullable=True),
        sa.Column("cool_down", sa.Integer(), nullable=False),
        sa.Column("replay_window", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("may_ask_again", sa.Boolean(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_because", sa.Text(), nullable=True),
        sa.Column("replaces", sa.String(), nullable=True),
        sa.Column("erased_at", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("proposed", sa.Text(), nullable=False),
        sa.Column("edited", sa.Text(), nullable=False),
        sa.Column("suggestion", sa.Text(), nullable=False),
        sa.Column("edits", sa.Text(), nullable=False),
        sa.Column("edit_id", sa.String(), nullable=True),
        sa.CheckConstraint("action IN ('allow', 'require_approval', 'deny')", name=op.f("request_action_known")),
        sa.CheckConstraint("assurance IN ('enforced', 'cooperative')", name=op.f("request_assurance_known")),
        sa.CheckConstraint("rollout IN ('off', 'observe', 'enforce')", name=op.f("request_rollout_known")),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'executing', 'succeeded', 'failed', 'unknown', 'not_executed', 'stale', 'denied', 'expired', 'withdrawn', 'lapsed', 'revoked')",
            name=op.f("request_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["agent_credential_id"], ["credential.id"], name=op.f("request_agent_credential_id_fk")
        ),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("request_agent_id_fk")),
        sa.ForeignKeyConstraint(["installation_id"], ["installation.id"], name=op.f("request_installation_id_fk")),
        sa.ForeignKeyConstraint(["policy_hash"], ["policy_version.hash"], name=op.f("request_policy_hash_fk")),
        sa.ForeignKeyConstraint(["session_id"], ["gate_session.id"], name=op.f("request_session_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("request_pk")),
        sa.UniqueConstraint("attach_key", name=op.f("request_attach_key_unique")),
    )
    op.create_index("request_by_agent", "request", ["agent_id", "id"], unique=False)
    op.create_index(
        "request_by_agent_session",
        "request",
        ["agent_session", "id"],
        unique=False,
        sqlite_where=sa.text("agent_session <> ''"),
        postgresql_where=sa.text("agent_session <> ''"),
    )
    op.create_index("request_by_call", "request", ["call_key", "id"], unique=False)
    op.create_index("request_by_change", "request", ["changed_at"], unique=False)
    op.create_index(
        "request_by_decider",
        "request",
        ["decided_by", "id"],
        unique=False,
        sqlite_where=sa.text("decided_by IS NOT NULL"),
        postgresql_where=sa.text("decided_by IS NOT NULL"),
    )
    op.create_index(op.f("request_by_installation_id"), "request", ["installation_id"], unique=False)
    op.create_index("request_by_rule", "request", ["rule", "id"], unique=False)
    op.create_index("request_by_state", "request", ["state", "id"], unique=False)
    op.create_index("request_by_tool", "request", ["server", "tool", "id"], unique=False)
    op.create_index(
        "request_by_trace",
        "request",
        ["trace_id", "id"],
        unique=False,
        sqlite_where=sa.text("trace_id <> ''"),
        postgresql_where=sa.text("trace_id <> ''"),
    )
    op.create_index(
        "request_decided",
        "request",
        ["server", "tool", "decided_at"],
        unique=False,
        sqlite_where=sa.text("decided_at IS NOT NULL AND action = 'require_approval' AND rollout = 'enforce'"),
        postgresql_where=sa.text("decided_at IS NOT NULL AND action = 'require_approval' AND rollout = 'enforce'"),
    )
    op.create_index(
        "request_held",
        "request",
        ["id"],
        unique=False,
        sqlite_where=sa.text("held AND state = 'pending'"),
        postgresql_where=sa.text("held AND state = 'pending'"),
    )
    op.create_index(
        "request_observed",
        "request",
        ["server", "id"],
        unique=False,
        sqlite_where=sa.text("rollout = 'observe'"),
        postgresql_where=sa.text("rollout = 'observe'"),
    )
    op.create_index(
        "request_on_behalf_of",
        "request",
        ["on_behalf_of", "id"],
        unique=False,
        sqlite_where=sa.text("on_behalf_of <> ''"),
        postgresql_where=sa.text("on_behalf_of <> ''"),
    )
    op.create_index(
        "request_pending",
        "request",
        ["agent_id", "installation_id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "request_to_erase",
        "request",
        ["ended_at"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NOT NULL AND erased_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NOT NULL AND erased_at IS NULL"),
    )
    op.create_index(
        "request_to_remind",
        "request",
        ["remind_at"],
        unique=False,
        sqlite_where=sa.text("remind_at IS NOT NULL"),
        postgresql_where=sa.text("remind_at IS NOT NULL"),
    )
    op.create_table(
        "session_tool",
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tool_hash", sa.String(), nullable=False),
        sa.Column("code_version", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("part_of", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["gate_session.id"], name=op.f("session_tool_session_id_fk")),
        sa.PrimaryKeyConstraint("session_id", "name", name=op.f("session_tool_pk")),
    )
    op.create_table(
        "decision",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("content_version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("may_ask_again", sa.Boolean(), nullable=False),
        sa.Column("grant_terms", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("auth_method", sa.String(), nullable=False),
        sa.Column("auth_at", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("card_hash", sa.String(), nullable=False),
        sa.Column("looked_ms", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("suggestion", sa.Text(), nullable=False),
        sa.CheckConstraint("channel IN ('web', 'slack', 'api')", name=op.f("decision_channel_known")),
        sa.CheckConstraint("verdict IN ('approve', 'deny')", name=op.f("decision_verdict_known")),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("decision_request_id_fk")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("decision_user_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("decision_pk")),
        sa.UniqueConstraint(
            "request_id", "content_version", "user_id", name=op.f("decision_request_id_content_version_user_id_unique")
        ),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("notifier", sa.String(), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("dead_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("delivery_request_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("delivery_pk")),
    )
    op.create_index("delivery_by_due", "delivery", ["done_at", "due_at"], unique=False)
    op.create_index(
        "delivery_by_lane",
        "delivery",
        ["lane"],
        unique=False,
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.create_index(op.f("delivery_by_request_id"), "delivery", ["request_id"], unique=False)
    op.create_index(
        "delivery_dead",
        "delivery",
        ["dead_at"],
        unique=False,
        sqlite_where=sa.text("dead_at IS NOT NULL"),
        postgresql_where=sa.text("dead_at IS NOT NULL"),
    )
    op.create_table(
        "request_words",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("request_words_request_id_fk")),
        sa.PrimaryKeyConstraint("number", name=op.f("request_words_pk")),
        sa.UniqueConstraint("request_id", name=op.f("request_words_request_id_unique")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "slack_message",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("ts", sa.String(), nullable=False),
        sa.Column("digest", sa.Boolean(), nullable=False),
        sa.Column("shown", sa.String(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.Column("told", sa.String(), nullable=False),
        sa.Column("posted_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("slack_message_request_id_fk")),
        sa.PrimaryKeyConstraint("request_id", "channel", "ts", name=op.f("slack_message_pk")),
    )
    op.create_index("slack_message_by_place", "slack_message", ["channel", "ts"], unique=False)
    op.create_table(
        "standing_grant",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("tool_hash", sa.String(), nullable=False),
        sa.Column("code_version", sa.String(), nullable=False),
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("installation_id", sa.String(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("reviewers", sa.Text(), nullable=False),
        sa.Column("quorum", sa.Integer(), nullable=False),
        sa.Column("max_uses", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("granted_by", sa.String(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.CheckConstraint("used >= 0 AND used <= max_uses", name=op.f("standing_grant_counted")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("standing_grant_agent_id_fk")),
        sa.ForeignKeyConstraint(
            ["installation_id"], ["installation.id"], name=op.f("standing_grant_installation_id_fk")
        ),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("standing_grant_request_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("standing_grant_pk")),
        sa.UniqueConstraint("request_id", name=op.f("standing_grant_request_id_unique")),
    )
    op.create_index("grant_by_end", "standing_grant", ["expires_at", "id"], unique=False)
    op.create_index("grant_by_tool", "standing_grant", ["server", "tool", "agent_id", "expires_at"], unique=False)
    op.create_table(
        "waiting_call",
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("arrived_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("waiting_call_request_id_fk")),
        sa.ForeignKeyConstraint(["session_id"], ["gate_session.id"], name=op.f("waiting_call_session_id_fk")),
        sa.PrimaryKeyConstraint("session_id", "call_id", name=op.f("waiting_call_pk")),
    )
    op.create_index(op.f("waiting_call_by_request_id"), "waiting_call", ["request_id"], unique=False)
    op.create_table(
        "permission",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=True),
        sa.Column("content_version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("source IN ('quorum', 'grant', 'policy', 'rollout')", name=op.f("permission_source_known")),
        sa.ForeignKeyConstraint(["grant_id"], ["standing_grant.id"], name=op.f("permission_grant_id_fk")),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("permission_request_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("permission_pk")),
        sa.UniqueConstraint("request_id", name=op.f("permission_request_id_unique")),
    )
    op.create_index(op.f("permission_by_grant_id"), "permission", ["grant_id"], unique=False)
    op.create_table(
        "execution",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("permission_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("claim_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("settled_by", sa.String(), nullable=True),
        sa.Column("settled_note", sa.Text(), nullable=True),
        sa.Column("contradiction", sa.Text(), nullable=True),
        sa.Column("contradiction_seen_at", sa.BigInteger(), nullable=True),
        sa.Column("contradiction_seen_by", sa.String(), nullable=True),
        sa.Column("checked", sa.String(), nullable=True),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("checked_note", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sealed_result", sa.Text(), nullable=True),
        sa.Column("sealed_until", sa.BigInteger(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "checked IN ('succeeded', 'failed', 'not_executed', 'unclear')", name=op.f("execution_checked_known")
        ),
        sa.ForeignKeyConstraint(
            ["contradiction_seen_by"], ["user_account.id"], name=op.f("execution_contradiction_seen_by_fk")
        ),
        sa.ForeignKeyConstraint(["permission_id"], ["permission.id"], name=op.f("execution_permission_id_fk")),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("execution_request_id_fk")),
        sa.ForeignKeyConstraint(["session_id"], ["gate_session.id"], name=op.f("execution_session_id_fk")),
        sa.ForeignKeyConstraint(["settled_by"], ["user_account.id"], name=op.f("execution_settled_by_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("execution_pk")),
        sa.UniqueConstraint("claim_id", name=op.f("execution_claim_id_unique")),
        sa.UniqueConstraint("permission_id", name=op.f("execution_permission_id_unique")),
        sa.UniqueConstraint("request_id", name=op.f("execution_request_id_unique")),
    )
    op.create_index("execution_by_lease", "execution", ["finished_at", "lease_until"], unique=False)
    op.create_index(
        "execution_contradicted",
        "execution",
        ["request_id"],
        unique=False,
        sqlite_where=sa.text("contradiction IS NOT NULL AND contradiction_seen_at IS NULL"),
        postgresql_where=sa.text("contradiction IS NOT NULL AND contradiction_seen_at IS NULL"),
    )
    op.create_index(
        "execution_to_unseal",
        "execution",
        ["sealed_until"],
        unique=False,
        sqlite_where=sa.text("sealed_until IS NOT NULL"),
        postgresql_where=sa.text("sealed_until IS NOT NULL"),
    )
    op.create_index(
        "tool_definition_by_registered_by_first_seen_at",
        "tool_definition",
        ["registered_by", "first_seen_at", "size"],
        unique=False,
    )
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
    op.create_table(
        "freeze_telling",
        sa.Column("freeze_id", sa.String(), nullable=False),
        sa.Column("after", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["freeze_id"], ["freeze.id"], name=op.f("freeze_telling_freeze_id_fk")),
        sa.PrimaryKeyConstraint("freeze_id", name=op.f("freeze_telling_pk")),
    )
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
    unanswered = sa.text("answered_at IS NULL")
    op.create_index("edit_unanswered", "edit", ["asked_at"], sqlite_where=unanswered, postgresql_where=unanswered)
    op.create_table(
        "vote_telling",
        sa.Column("of", sa.String(), nullable=False),
        sa.Column("after", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("of", name=op.f("vote_telling_pk")),
    )


TABLES = (
    "admin_notice",
    "agent",
    "audit_event",
    "freeze",
    "meta",
    "policy_version",
    "server",
    "sign_in_attempts",
    "spent_login",
    "user_account",
    "agent_owner",
    "audit_link",
    "audit_payload",
    "handle",
    "installation",
    "policy_load",
    "rollout",
    "sign_in_link",
    "slack_code",
    "slack_link",
    "tool",
    "tool_definition",
    "web_session",
    "credential",
    "gate_session",
    "freeze_confirmation",
    "request",
    "session_tool",
    "decision",
    "delivery",
    "request_words",
    "slack_message",
    "standing_grant",
    "waiting_call",
    "permission",
    "execution",
    "tool_rejection",
    "freeze_telling",
    "edit",
    "vote_telling",
)
