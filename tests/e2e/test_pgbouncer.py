"""Two replicas whose transactions go through PgBouncer in transaction mode, and whose LISTEN goes past it."""

import re

import anyio
import psycopg
import pytest
from mcp import Client

from approvals import Gate, GateSettings
from support import counting_server
from support.pooler import SERVERS, pooled
from support.processes import Installed

SECRET = "a secret key for tests, long enough to count"
CONNECTIONS = """
    SELECT count(*) FILTER (WHERE query LIKE 'LISTEN%' OR query = 'SELECT 1'), count(*)
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
def environment(postgres):
    with postgres.database(migrated=False) as url, pooled(url) as through:
        yield {"APPROVALS_DATABASE_URL": through, "APPROVALS_DATABASE_DIRECT_URL": url, "APPROVALS_SECRET_KEY": SECRET}


@pytest.fixture
def replicas(environment, tmp_path):
    made = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        made.append(Installed(tmp_path / name))
    yield [(replica, replica.serve(**environment)) for replica in made]
    for replica in made:
        replica.close()


@pytest.mark.slow
async def test_a_call_lives_through_a_pooler_and_is_woken_past_it(replicas, environment, tmp_path):
    (first, _), (second, served) = replicas
    keys = [
        re.search(r"mcp[as]_\S+", first.cli(*command, **environment))[0]
        for command in (("server", "add", "shop"), ("agent", "add", "scout"))
    ]
    reviewer = second.sign_in(served)
    log = tmp_path / "effects.log"
    mcp = counting_server.create(log, gate=Gate("shop", GateSettings(first.url, *keys)))
    with anyio.fail_after(60):
        async with Client(mcp) as agent:
            for number in range(6):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(anyio.to_thread.run_sync, approve, second, reviewer, number)
                    answer = await agent.call_tool("sync_write", {"order_id": number})
                assert not answer.is_error, answer.content
    assert log.read_text().splitlines() == [f"sync {number}" for number in range(6)]
    with psycopg.connect(environment["APPROVALS_DATABASE_DIRECT_URL"]) as connection:
        listening, all_of_them = connection.execute(CONNECTIONS).fetchone()
    assert listening >= 2
    assert all_of_them <= 2 + SERVERS, "the threads of both replicas shared the pooler's connections"
    assert "Intact" in first.cli("audit", "verify", **environment)
    reviewer.close()
    assert not [line for line in served.lines if "WARNING" in line and "fsync" not in line]


def approve(replica, reviewer, order_id):
    request_id = replica.listed(reviewer, f"sync_write: {order_id}")
    assert replica.decide(reviewer, request_id).status_code == 303
