"""A write from the call to the row: approved by what it would do, run once, within what was approved."""

import asyncio
import re
from pathlib import Path

import anyio
import psycopg
import pytest

from approvals.policy.examples import facts
from approvals.policy.loader import read
from approvals.policy.model import CallFacts
from approvals.protocol.previews import known_facts, stored
from approvals_server.postgres import marker
from approvals_server.postgres import write as write_module
from approvals_server.postgres.cascades import Key, brought_about
from approvals_server.postgres.changes import Change
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.search import search
from approvals_server.postgres.write import Earlier, TooMany, write
from approvals_server.postgres.writer import Writer
from approvals_server.retries import Away

pytestmark = pytest.mark.databases("one")

DOC = Path(__file__).parents[3] / "docs" / "servers" / "postgres.md"
SHIP = "UPDATE orders SET status = 'shipped' WHERE id IN (3, 6)"
CANCEL = "DELETE FROM customer WHERE id = 7"


def words(result):
    return "\n".join(block.text for block in result.content)


async def approved(served, agent, sql, meanwhile=lambda: None):
    """The row as it was decided, and the answer."""
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("execute_write", {"sql": sql}))
        pending = await served.pending()
        meanwhile()
        await served.decide()
        with anyio.fail_after(20):
            return pending, await call


async def test_p2_a_write_waits_with_its_effect_and_runs_once_when_it_is_approved(served, agent, place):
    pending, result = await approved(served, agent, SHIP)
    preview = stored(pending.preview)
    assert preview.effect == "Changes about 2 rows of public.orders"
    assert known_facts(preview) == {
        "rows": 2,
        "sql": {"verb": "update", "verbs": ["update"], "tables": ["public.orders"]},
        "has_where": True,
    }
    assert result.structured_content["changes"] == [{"verb": "update", "table": "public.orders", "rows": 2}]
    assert place.run("SELECT count(*) FROM orders WHERE id IN (3, 6) AND status = 'shipped'") == [(2,)]
    assert place.run("SELECT request_id, ran, rows FROM approvals.write_marker") == [(pending.id, True, 2)]
    again = await agent.call_tool("execute_write", {"sql": SHIP})
    assert "[replayed]" in words(again)
    assert len(place.run("SELECT 1 FROM approvals.write_marker")) == 1


async def test_what_returning_gives_comes_back(served, agent):
    _, result = await approved(
        served, agent, "INSERT INTO orders (customer_id, status) VALUES (1, 'paid') RETURNING id, status"
    )
    assert result.structured_content["columns"] == ["id", "status"]
    assert result.structured_content["returned"] == [[1000, "paid"]]


async def test_p2_more_rows_than_approved_are_rolled_back_and_asked_anew_with_the_true_number(served, agent, place):
    """The planner knows of cascades what the statistics say; the database counts them."""
    place.run("INSERT INTO orders (customer_id, status) SELECT 7, 'paid' FROM generate_series(1, 5)")
    before = place.run("SELECT * FROM orders ORDER BY id")
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("execute_write", {"sql": CANCEL}))
        first = await served.pending()
        assert stored(first.preview).effect == (
            "Deletes rows of public.customer, deletes rows of public.orders: about 11 in all"
        )
        await served.decide()
        with anyio.fail_after(20):
            while served.scenario.status(first.id).state != "stale":
                await anyio.lowlevel.checkpoint()
        assert place.run("SELECT * FROM orders ORDER BY id") == before
        second = await served.pending()
        assert second.replaces == first.id
        foreseen = stored(second.preview)
        assert foreseen.effect == "Deletes 1 row of public.customer, deletes 15 rows of public.orders"
        assert known_facts(foreseen)["rows"] == 16
        assert known_facts(foreseen)["sql"]["tables"] == ["public.customer", "public.orders"]
        await served.decide()
        with anyio.fail_after(20):
            result = await call
    assert result.structured_content["rows"] == 16
    assert place.run("SELECT count(*) FROM orders WHERE customer_id = 7") == [(0,)]


async def test_p2_a_change_between_approval_and_execution_leaves_nothing_written(served, agent, place):
    sql = "DELETE FROM orders WHERE status = 'paid' AND cents < 1000"
    place.run("ANALYZE orders")

    def meanwhile():
        place.run("INSERT INTO orders (customer_id, status, cents) SELECT 1, 'paid', 1 FROM generate_series(1, 500)")

    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("execute_write", {"sql": sql}))
        first = await served.pending()
        meanwhile()
        await served.decide()
        second = await served.pending()
        assert served.scenario.status(first.id).state == "stale"
        assert place.run("SELECT count(*) FROM orders WHERE status = 'paid' AND cents < 1000") == [(503,)]
        await served.decide("deny", comment="not now")
        with anyio.fail_after(20):
            await call
    assert second.replaces == first.id
    assert place.run("SELECT count(*) FROM orders WHERE status = 'paid' AND cents < 1000") == [(503,)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE orders SET cents = 1 WHERE id = 1; DELETE FROM orders",
        "COMMIT",
        "ROLLBACK",
        "COMMIT AND CHAIN",
        "DO $$ BEGIN DELETE FROM orders; COMMIT; END $$",
        "UPDATE orders SET status = 'stolen'",
        "UPDATE secret SET word = ''",
        "TRUNCATE orders",
        "COPY orders FROM STDIN",
        "COPY orders TO PROGRAM 'cat'",
        "SET ROLE postgres",
        "UPDATE orders SET cents = cents WHERE pg_sleep(0) IS NULL AND nonsense",
        "DELETE FROM approvals.write_marker",
        "nonsense",
    ],
)
async def test_p3_what_is_no_single_permitted_statement_changes_nothing(place, sql):
    before = {table: rows for table, rows in place.world().items() if table != "approvals.write_marker"}
    with pytest.raises(Exception) as refused:
        await write(place.writer, sql, "request-1", None)
    assert type(refused.value).__name__ == "Refused", refused.value
    assert {table: rows for table, rows in place.world().items() if table != "approvals.write_marker"} == before


async def test_p3_a_request_that_left_its_mark_runs_no_more(place):
    done = await write(place.writer, SHIP, "request-1", 2)
    assert done.rows == 2
    with pytest.raises(Earlier):
        await write(place.writer, "UPDATE orders SET cents = 0 WHERE id = 1", "request-1", 1)
    assert place.run("SELECT cents FROM orders WHERE id = 1") == [(100,)]


async def test_p3_of_two_at_once_one_runs(place):
    sql = "UPDATE orders SET cents = cents + 1 WHERE id = 1"
    answers = await asyncio.gather(
        *(write(place.writer, sql, "request-1", 1) for _ in range(2)), return_exceptions=True
    )
    assert [type(answer).__name__ for answer in sorted(answers, key=repr)] == ["Earlier", "Written"]
    assert place.run("SELECT cents FROM orders WHERE id = 1") == [(101,)]


async def test_p2_triggers_and_functions_count_as_what_they_do(place):
    place.run("""
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO audit (said) VALUES (new.status), (old.status); RETURN new; END $$;
        CREATE TRIGGER noted AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note();
        CREATE FUNCTION clean() RETURNS int LANGUAGE sql AS 'DELETE FROM orders WHERE id < 4; SELECT 1';
    """)
    with pytest.raises(TooMany) as more:
        await write(place.writer, SHIP, "request-1", 2)
    assert "Adds 4 rows of public.audit" in str(more.value)
    clean = "UPDATE customer SET name = 'x' || clean() WHERE id = 1"
    with pytest.raises(TooMany) as other:
        await write(place.writer, clean, "request-2", 100)
    assert "not all of that was approved" in str(other.value)
    assert place.run("SELECT count(*) FROM orders") == [(200,)]


NO_WRITES = [
    "EXPLAIN ANALYZE DELETE FROM orders",
    "EXPLAIN DELETE FROM orders",
    "DO $$ BEGIN DELETE FROM orders; END $$",
    "SELECT clean()",
    "WITH gone AS (DELETE FROM orders RETURNING id) SELECT * FROM gone",
    "/* INSERT */ COMMIT -- DELETE",
    "TRUNCATE orders",
    "DROP TABLE orders",
    "CREATE TABLE more AS SELECT * FROM orders",
    "EXECUTE _pg3_0",
    "CALL clean()",
    "DELETE FROM orders; DELETE FROM customer",
    "UPDATE orders SET cents = 1 WHERE id = $1",
    "INSERT INTO orders (customer_id, status) SELECT 1, 'paid' FROM orders a, orders b, orders c, orders d, orders e, "
    "orders f, orders g, orders h",
    "INSERT INTO nowhere VALUES (1)",
    "INSERT INTO told VALUES (1)",
    "INSERT INTO approvals.write_marker VALUES ('request-9', true, 1)",
    "DELETE FROM orders WHERE EXISTS (SELECT 1 FROM approvals.write_marker)",
]


async def test_p2_what_is_no_one_write_with_a_plan_is_refused_before_anybody_is_asked(served, agent, place):
    place.run("""
        CREATE FUNCTION clean() RETURNS int LANGUAGE sql AS 'DELETE FROM orders WHERE id < 4; SELECT 1';
        CREATE TABLE nowhere (a int); CREATE RULE none AS ON INSERT TO nowhere DO INSTEAD NOTHING;
        CREATE TABLE told (a int); CREATE RULE tell AS ON INSERT TO told DO ALSO NOTIFY orders;
    """)
    place.run(f"GRANT ALL ON nowhere, told TO {psycopg.conninfo.conninfo_to_dict(place.writer.url)['user']}")
    before = place.world()
    for sql in NO_WRITES:
        with anyio.fail_after(20):
            result = await agent.call_tool("execute_write", {"sql": sql})
        assert result.is_error, sql
        with pytest.raises(Refused):
            await write(place.writer, sql, "request-1", None)
    assert served.scenario.rows("SELECT id FROM request") == []
    assert place.world() == before


async def test_p2_a_marker_that_a_statement_writes_by_a_function_is_rolled_back(place):
    user = psycopg.conninfo.conninfo_to_dict(place.writer.url)["user"]
    place.run("""CREATE FUNCTION forge() RETURNS int LANGUAGE sql SECURITY DEFINER AS
        $$ INSERT INTO approvals.write_marker VALUES ('request-9', true, 1); SELECT 1 $$""")
    with pytest.raises(Refused, match="markers"):
        await write(place.writer, "UPDATE orders SET cents = forge() WHERE id = 1", "request-1", 10)
    assert place.run("SELECT * FROM approvals.write_marker") == [], user


async def test_p2_a_verb_or_a_table_that_the_card_does_not_name_is_rolled_back(place):
    """Though it is fewer rows in all."""
    place.run("CREATE RULE noted AS ON UPDATE TO customer DO ALSO INSERT INTO audit (said) VALUES (new.name)")
    writer = Writer(place.writer)
    upsert = "INSERT INTO customer VALUES (1, 'x'), (99, 'y') ON CONFLICT (id) DO UPDATE SET name = excluded.name"
    facts = known_facts(await writer.preview("UPDATE customer SET name = 'x' WHERE id = 1"))
    assert facts["sql"] == {
        "verb": "update",
        "verbs": ["insert", "update"],
        "tables": ["public.audit", "public.customer"],
    }
    place.run("DROP RULE noted ON customer")
    facts = known_facts(await writer.preview(upsert))
    assert (facts["rows"], facts["sql"]["verb"], facts["sql"]["verbs"]) == (2, "update", ["insert", "update"])
    merge = "MERGE INTO customer c USING (VALUES (1)) v (i) ON c.id = v.i WHEN MATCHED THEN DELETE"
    assert known_facts(await writer.preview(merge))["sql"]["verb"] == "delete"
    before = place.world()
    with pytest.raises(TooMany):  # as though it had been approved as plain additions
        await write(place.writer, upsert, "request-1", 2, foreseen=(Change("insert", "public.customer", 2),))
    with pytest.raises(TooMany):  # of 20 orders that were approved, 10 are deleted by a cascade that was not
        await write(place.writer, CANCEL, "request-2", 20, foreseen=(Change("delete", "public.customer", 20),))
    assert place.world() == before
    assert (await write(place.writer, upsert, "request-3", 2)).rows == 2


async def test_p3_a_crash_between_commit_and_report_is_settled_by_the_marker(place):
    writer = Writer(place.writer)
    await write(place.writer, SHIP, "request-1", 2)
    outcome, note = await writer.verify("request-1", {"sql": SHIP})
    assert outcome == "succeeded"
    assert note.startswith("2 rows, committed at ")


async def test_p3_what_left_no_marker_is_settled_and_never_runs_afterwards(place):
    """A process that was suspended before its transaction, and goes on after it was settled, changes nothing."""
    writer = Writer(place.writer)
    assert (await writer.verify("request-1", {"sql": SHIP}))[0] == "not_executed"
    with pytest.raises(Earlier) as late:
        await write(place.writer, SHIP, "request-1", 2)
    assert not late.value.found.ran
    assert place.run("SELECT count(*) FROM orders WHERE id IN (3, 6) AND status = 'shipped'") == [(0,)]


async def test_p3_what_is_still_at_it_is_not_settled(place):
    async with place.writer.writing() as connection:
        await marker.mark(connection, "request-1")
        assert await Writer(place.writer).verify("request-1", {"sql": SHIP}) is None
        await connection.commit()
    assert (await Writer(place.writer).verify("request-1", {"sql": SHIP}))[0] == "succeeded"


@pytest.mark.parametrize("arrives", [True, False])
async def test_p3_a_connection_that_breaks_at_the_commit_is_settled_at_once(place, monkeypatch, arrives):
    async def broken(connection):
        if arrives:
            await connection.pgconn_commit()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(psycopg.AsyncConnection, "pgconn_commit", psycopg.AsyncConnection.commit, raising=False)
    monkeypatch.setattr(write_module, "_commit", broken)
    writer = Writer(place.writer)
    if arrives:
        assert (await writer.write(SHIP)).rows == 2
    else:
        with pytest.raises(Exception, match="settled as not run"):
            await writer.write(SHIP)
    assert place.run("SELECT count(*) FROM orders WHERE id IN (3, 6) AND status = 'shipped'") == [(2 * arrives,)]


async def test_p7_what_nobody_can_tell_is_told_as_unknown_and_a_failure_says_that_nothing_changed(
    served, agent, place, monkeypatch
):
    async def broken(connection):
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    async def away(role, request_id):
        raise Away("The database cannot be reached now.")

    _, failed = await approved(served, agent, "UPDATE orders SET status = 'stolen' WHERE id = 1")
    assert failed.is_error
    assert 'violates check constraint "orders_status_check"' in words(failed)
    assert "Nothing was changed." in words(failed)
    monkeypatch.setattr(write_module, "_commit", broken)
    monkeypatch.setattr(marker, "settled", away)
    _, unknown = await approved(served, agent, SHIP)
    assert words(unknown).startswith("OUTCOME UNKNOWN")


async def test_the_policy_to_start_from_says_what_the_page_says(served, agent, place):
    text = re.search(r"```yaml\n(.*?)```", DOC.read_text(), re.DOTALL)[1]
    scenario = served.scenario
    policy = read(text, scenario.read(scenario.service.registry.known_tools))

    async def rule(sql):
        preview = await Writer(place.writer).preview(sql)
        tool = facts("postgres", "execute_write", scenario.read(scenario.service.registry.known_tools))
        judged = policy.judge(CallFacts(tool, {"sql": sql}, "scout", 0, 0, (), known_facts(preview)))
        return judged.rule, judged.action, judged.risk

    assert await rule(CANCEL) == ("never-customers", "deny", "high")
    assert await rule(SHIP) == ("writes", "require_approval", "high")
    assert await rule("UPDATE orders SET cents = 1") == ("everything", "require_approval", "critical")


async def test_p2_a_table_that_a_function_empties_is_rolled_back(place):
    """No counter tells of TRUNCATE."""
    place.run("""
        CREATE FUNCTION purge() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
            $$ BEGIN BEGIN TRUNCATE secret; EXCEPTION WHEN unique_violation THEN NULL; END; RETURN 'x'; END $$;
    """)
    purge = "UPDATE customer SET name = purge() WHERE id = 1"
    with pytest.raises(Refused, match=r"emptied or redefined public\.secret"):
        await write(place.writer, purge, "request-1", 1)
    with pytest.raises(Refused, match=r"emptied or redefined public\.secret"):
        await Writer(place.writer, exact=True).preview(purge)
    assert place.run("SELECT count(*) FROM secret") == [(1,)]


def test_what_foreign_keys_bring_about_is_followed_once():
    keys = [
        Key("a", "b", "delete", 2.5),
        Key("b", "c", "update", 2),
        Key("b", "a", "delete", 1),
        Key("x", "y", "delete", 1),
    ]
    assert brought_about([Change("delete", "a", 3), Change("update", "x", 1)], keys) == (
        Change("delete", "b", 8),
        Change("update", "c", 16),
        Change("delete", "a", 8),
    )


async def test_what_returning_gives_looks_as_in_a_search(place):
    values = """'{"a": true}'::jsonb, '\\x00ff'::bytea, ARRAY['x', NULL], 'infinity'::date, '1 mon 2 days'::interval,
        true, 1.5::float8, 1.50, NULL::int, 9007199254740993, repeat('x', 500)"""
    done = await write(place.writer, f"UPDATE orders SET cents = 1 WHERE id = 1 RETURNING {values}", "request-1", 1)
    assert done.returned == (await search(place.reader, f"SELECT {values}", 0, 1)).rows
    assert done.returned[0][0] == '{"a": true}'
