"""Attacks on the read path, and what comes of each: run it with a database, or see docs/servers/postgres.md."""

from dataclasses import dataclass

REFUSED, HARMLESS = "refused", "harmless"


@dataclass(frozen=True)
class Attack:
    """A text that an agent may send as a query. `says` is part of the refusal, or why it is harmless."""

    name: str
    sql: str
    outcome: str
    says: str


ATTACKS = (
    Attack("DELETE", "DELETE FROM orders", REFUSED, "syntax error"),
    Attack("DELETE in a CTE", "WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d", REFUSED, "top level"),
    Attack(
        "the subquery closed, a CTE behind it",
        "SELECT 1) AS q(c0), (WITH d AS (DELETE FROM orders RETURNING 1) SELECT * FROM d",
        REFUSED,
        "syntax error",
    ),
    Attack(
        "the subquery left, past the cut",
        "SELECT 'a'::text) AS q(c0) UNION ALL SELECT repeat('x', 2000000) FROM (SELECT 1",
        REFUSED,
        "syntax error",
    ),
    Attack("several statements", "SELECT 1; DELETE FROM orders", REFUSED, "multiple commands"),
    Attack(
        "several, the subquery closed",
        "SELECT 1) AS q; DELETE FROM orders; SELECT * FROM (SELECT 1",
        REFUSED,
        "syntax error",
    ),
    Attack("a comment to hide the end", "SELECT 1) AS q LIMIT 0; DELETE FROM orders --", REFUSED, "syntax error"),
    Attack("an open comment", "SELECT 1 /*", REFUSED, "unterminated /* comment"),
    Attack("a function that deletes", "SELECT clean()", REFUSED, "read-only transaction"),
    Attack("the same as its definer", "SELECT clean_as_owner()", REFUSED, "read-only transaction"),
    Attack("the same, said to be immutable", "SELECT clean_at_planning()", REFUSED, "non-volatile function"),
    Attack("nextval", "SELECT nextval('audit_id_seq')", REFUSED, "permission denied"),
    Attack("setval", "SELECT setval('open_seq', 7)", REFUSED, "read-only transaction"),
    Attack("nextval, allowed to the role", "SELECT nextval('open_seq')", REFUSED, "read-only transaction"),
    Attack("FOR UPDATE", "SELECT * FROM orders FOR UPDATE", REFUSED, "read-only transaction"),
    Attack("SELECT INTO", "SELECT * INTO stolen FROM orders", REFUSED, "not allowed here"),
    Attack("COPY … TO PROGRAM", "COPY orders TO PROGRAM 'touch /tmp/approvals-attack'", REFUSED, "syntax error"),
    Attack("DO", "DO $$ BEGIN DELETE FROM orders; END $$", REFUSED, "syntax error"),
    Attack("SET ROLE", "SET ROLE postgres", REFUSED, "syntax error"),
    Attack("SET ROLE by function", "SELECT set_config('role', 'postgres', false)", REFUSED, "permission denied"),
    Attack(
        "another session's name",
        "SELECT set_config('session_authorization', 'postgres', false)",
        REFUSED,
        "permission denied",
    ),
    Attack("READ WRITE", "SET TRANSACTION READ WRITE", REFUSED, "syntax error"),
    Attack(
        "READ WRITE by function",
        "SELECT set_config('transaction_read_only', 'off', false)",
        REFUSED,
        "before any query",
    ),
    Attack("COMMIT", "COMMIT", REFUSED, "syntax error"),
    Attack("another table", "SELECT * FROM secret", REFUSED, "permission denied"),
    Attack("a file of the server", "SELECT pg_read_file('/etc/passwd')", REFUSED, "permission denied"),
    Attack("passwords", "SELECT passwd FROM pg_shadow", REFUSED, "permission denied"),
    Attack("a large object", "SELECT lo_create(0)", REFUSED, "read-only transaction"),
    Attack("reload", "SELECT pg_reload_conf()", REFUSED, "permission denied"),
    Attack(
        "ending others' sessions",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
        REFUSED,
        "permission denied",
    ),
    Attack(
        "ending one's own role's",
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = current_user",
        REFUSED,
        "permission denied",
    ),
    Attack(
        "a message in the log of the database",
        "SELECT pg_logical_emit_message(false, 'outbox', 'deleted')",
        REFUSED,
        "permission denied",
    ),
    Attack("an advisory lock", "SELECT pg_advisory_lock(42)", HARMLESS, "it ends with the connection"),
    Attack("NOTIFY", "SELECT pg_notify('orders', 'deleted')", HARMLESS, "reads are rolled back: nobody hears it"),
    Attack(
        "no more time-out",
        "SELECT set_config('statement_timeout', '0', false)",
        HARMLESS,
        "it ends with the connection",
    ),
    Attack("a slow query", "SELECT pg_sleep(60)", REFUSED, "took longer than"),
    Attack(
        "a slow query without a time-out",
        "SELECT set_config('statement_timeout', '0', false), pg_sleep(60)",
        REFUSED,
        "took longer than",
    ),
    Attack("a million rows", "SELECT a.id FROM orders a, orders b, orders c", HARMLESS, "cut after 1,000 rows"),
    Attack("endless rows", "SELECT n FROM generate_series(1, 10000000000) n", REFUSED, "took longer than"),
    Attack("a huge value", "SELECT repeat('x', 5000000)", HARMLESS, "cut in the database after 400 characters"),
    Attack(
        "endless recursion",
        "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT * FROM r) SELECT count(*) FROM r",
        REFUSED,
        "took longer than",
    ),
)


def table(attacks: tuple[Attack, ...] = ATTACKS) -> str:
    """For people."""
    rows = [f"| {one.name} | `{one.sql}` | {one.outcome}: {one.says} |" for one in attacks]
    return "\n".join(["| attack | what is sent as a query | what comes of it |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())  # noqa: T201
