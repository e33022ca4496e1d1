"""The smoke test of approvals-postgres, over a real database."""

import json
import os
import subprocess
import sys
import uuid

import psycopg
import pytest

from approvals_server.postgres.grants import script
from support.processes import clean_environment

pytestmark = [pytest.mark.databases("one"), pytest.mark.slow]
PYTHON = (sys.executable, "-m")
TABLE = "CREATE TABLE orders (id int PRIMARY KEY, cents bigint NOT NULL); INSERT INTO orders VALUES (1, 100);"


def test_postgres_is_green_and_no_row_changed(postgres, tmp_path):
    roles = [f"{kind}_{uuid.uuid4().hex[:8]}" for kind in ("read", "write")]
    with postgres.database(migrated=False) as url, psycopg.connect(url, autocommit=True) as owner:
        owner.execute(TABLE + script(*roles, ["public"], [("public", "orders")]))
        where = psycopg.conninfo.conninfo_to_dict(url)
        read, write = (psycopg.conninfo.make_conninfo("", **where | {"user": role}) for role in roles)
        try:
            done = smoke(read, write)
            rows = owner.execute("SELECT * FROM orders").fetchall()
        finally:
            owner.execute(f"DROP OWNED BY {', '.join(roles)}; DROP ROLE {', '.join(roles)}")
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    by = {(one["check"], one["tool"]): one["result"] for one in said["findings"]}
    assert by["write waits", "execute_write"] == by["nothing changed", ""] == by["read", "search_postgres"] == "passed"
    assert set(said["tested"]) >= {"execute_write", "search_postgres"} and rows == [(1, 100)]


def smoke(read, write):
    asked = {
        "search_postgres": {"sql": "SELECT * FROM orders"},
        "explain_query": {"sql": "SELECT * FROM orders"},
        "get_table": {"table": "orders"},
        "execute_write": {"sql": "UPDATE orders SET cents = 0 WHERE id = 1"},
    }
    calls = [part for tool, given in asked.items() for part in ("--call", f"{tool}={json.dumps(given)}")]
    return subprocess.run(
        [*PYTHON, "approvals_web.cli", "smoke", "--json", *calls, "--", *PYTHON, "approvals_server.postgres.cli"],
        env=clean_environment(POSTGRES_READ_URL=read, POSTGRES_WRITE_URL=write, PATH=os.environ["PATH"]),
        capture_output=True,
        text=True,
        timeout=150,
    )
