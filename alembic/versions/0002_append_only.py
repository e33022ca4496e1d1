"""audit records, tool definitions and policies are never updated, replaced or deleted"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEYS = {
    "audit_event": (("id",), ("payload_hash",)),
    "audit_payload": (("payload_hash",),),
    "audit_link": (("seq",), ("event_id",)),
    "tool_definition": (("server", "tool_hash"),),
    "policy_version": (("hash",),),
}
"""By table: what is unique. INSERT OR REPLACE deletes the row in the way, and no DELETE trigger of SQLite hears of it."""
ERASABLE = {"audit_payload"}


def upgrade() -> None:
    for statement in _postgresql() if op.get_bind().dialect.name == "postgresql" else _sqlite():
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION approvals_append_only CASCADE")
        return
    for table in KEYS:
        for name in (*(f"second_{key[-1]}" for key in KEYS[table]), *map(str.lower, _actions(table))):
            op.execute(f"DROP TRIGGER {table}_no_{name}")


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
