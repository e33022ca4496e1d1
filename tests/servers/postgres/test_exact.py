"""Previews that are found by doing: they say what comes of a write to the cell, and nothing else is written."""

import asyncio
import uuid
from collections import Counter
from functools import partial

import anyio
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client

from approvals import GatedServer, Stale
from approvals.protocol.preview_words import plain_view
from approvals.protocol.previews import known_facts, stored
from approvals_server.postgres import postgres as postgres_module
from approvals_server.postgres import preview
from approvals_server.postgres.effect import LATER, basis_of
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.postgres import create_postgres
from approvals_server.postgres.statement import classified
from approvals_server.postgres.trial import Trials
from approvals_server.postgres.write import write
from approvals_server.postgres.writer import Writer

pytestmark = pytest.mark.databases("one")

TRIGGER = """
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO audit (said) VALUES (old.id || ' was ' || old.status); RETURN new; END $$;
CREATE TRIGGER noted AFTER UPDATE ON orders FOR EACH ROW WHEN (old.status <> new.status) EXECUTE FUNCTION note();
"""


async def test_p2_a_preview_shows_rows_before_and_after_with_what_cascades_and_triggers_do(place):
    place.run(TRIGGER)
    writer = Writer(place.writer, exact=True)
    found = await writer.preview("UPDATE orders SET status = 'paid', changed_at = now() WHERE id IN (1, 2)")
    assert found.effect == "Adds 2 rows of public.audit, changes 2 rows of public.orders"
    assert known_facts(found)["sql"] == {
        "verb": "update",
        "verbs": ["insert", "update"],
        "tables": ["public.audit", "public.orders"],
    }
    assert f"public.audit: id = {LATER}, said = 1 was shipped" in plain_view(found.after)
    assert f"status = paid, cents = 100, changed_at = {LATER}" in plain_view(found.after)
    assert "1 | 2 | shipped | 100 | 2026-01-01" in plain_view(found.before)
    gone = await writer.preview("DELETE FROM customer WHERE id = 7")
    assert gone.effect == "Deletes 1 row of public.customer, deletes 10 rows of public.orders"
    assert gone.after is None
    assert known_facts(gone)["rows"] == 11


async def test_a_preview_of_one_table_is_a_table(place):
    found = await Writer(place.writer, exact=True).preview("UPDATE customer SET name = 'Mia' WHERE id = 3")
    assert (found.before.columns, found.before.rows) == (("id", "name"), (("3", "customer 3"),))
    assert found.after.rows == (("3", "Mia"),)


async def test_p2_looking_changes_nothing_and_says_the_same_twice(place):
    before = place.world()
    writer = Writer(place.writer, exact=True)
    for sql in ("INSERT INTO orders (customer_id, status) VALUES (1, 'paid')", "DELETE FROM orders"):
        assert await writer.preview(sql) == await writer.preview(sql)
    assert place.world() == before


async def test_rows_that_a_foreign_key_locks_are_not_changed_ones(place):
    place.run("CREATE TABLE part (id int PRIMARY KEY, of int REFERENCES part)")
    place.run("INSERT INTO part VALUES (1, NULL), (2, NULL)")
    place.run(f"GRANT ALL ON part TO {psycopg.conninfo.conninfo_to_dict(place.writer.url)['user']}")
    found = await Writer(place.writer, exact=True).preview("UPDATE part SET of = 1 WHERE id = 2")
    assert found.before.rows == (("2", None),)


async def test_p2_rows_that_are_changed_in_a_subtransaction_are_shown_and_compared(place):
    place.run("""CREATE FUNCTION also() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        BEGIN UPDATE customer SET name = 'also' WHERE id = (SELECT min(word::int) FROM secret);
        EXCEPTION WHEN unique_violation THEN NULL; END; RETURN new; END $$;
        CREATE TRIGGER also AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION also();
        UPDATE secret SET word = '11';
    """)
    trials, sql = Trials(place.writer), "UPDATE orders SET cents = 1 WHERE id = 1"
    effect = await trials.effect(sql)
    assert [(rows.table, rows.before[0][0], len(rows.after)) for rows in effect.rows] == [
        ("public.customer", "11", 1),
        ("public.orders", "1", 1),
    ]
    place.run("UPDATE secret SET word = '12'")
    before = place.world()
    with pytest.raises(Stale, match="did not do what was approved"):
        await write(place.writer, sql, "request-1", 2, partial(trials.check, basis_of(effect)))
    assert place.world() == before


async def test_p2_rows_that_are_counted_and_not_found_are_refused(place):
    place.run("""CREATE FUNCTION twice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE customer SET name = name || '!' WHERE id = new.id; RETURN new; END $$;
        CREATE TRIGGER twice AFTER UPDATE ON customer FOR EACH ROW WHEN (pg_trigger_depth() = 0)
        EXECUTE FUNCTION twice();
    """)
    with pytest.raises(Refused, match="counted 2 rows before and 2 after, and 1 and 1 are found"):
        await Writer(place.writer, exact=True).preview("UPDATE customer SET name = 'x' WHERE id = 1")


async def test_p5_a_trial_that_fails_tells_no_value(place):
    place.run(f"GRANT SELECT ON secret TO {psycopg.conninfo.conninfo_to_dict(place.writer.url)['user']}")
    with pytest.raises(Refused, match="SQLSTATE 22P02") as refused:
        await Writer(place.writer, exact=True).preview("UPDATE orders SET cents = (SELECT word::int FROM secret)")
    assert "xyzzy" not in str(refused.value)


async def test_partitions_go_by_the_name_of_their_table(place):
    place.run("""
        CREATE TABLE event (id int, day date) PARTITION BY RANGE (day);
        CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        INSERT INTO event VALUES (1, '2026-01-05'), (2, '2026-02-05');
    """)
    place.run(f"GRANT ALL ON event TO {psycopg.conninfo.conninfo_to_dict(place.writer.url)['user']}")
    found = await Writer(place.writer, exact=True).preview("DELETE FROM event")
    assert known_facts(found)["sql"]["tables"] == ["public.event"]
    assert len(found.before.rows) == 2


async def test_what_is_large_is_counted_and_shown_in_part(place):
    found = await Writer(place.writer, exact=True).preview("UPDATE orders SET cents = 0")
    assert found.effect == "Changes 200 rows of public.orders"
    assert len(found.before.rows) == 20
    assert found.facts[0].note == "20 of them are shown"
    place.run("INSERT INTO customer SELECT n, repeat('x', 5000) FROM generate_series(100, 700) n")
    many = await Writer(place.writer, exact=True).preview("DELETE FROM customer WHERE id >= 100")
    assert (known_facts(many)["rows"], many.before) == (601, None)


async def test_p2_what_changed_since_the_last_look_is_not_written(place):
    trials, sql = Trials(place.writer), "UPDATE customer SET name = upper(name) WHERE id < 3"
    basis = basis_of(await trials.effect(sql))
    place.run("UPDATE customer SET name = 'another' WHERE id = 2")
    before = place.world()
    with pytest.raises(Stale, match="did not do what was approved"):
        await write(place.writer, sql, "request-1", 2, partial(trials.check, basis))
    assert place.world() == before


async def test_p2_a_change_while_it_waits_is_asked_anew_with_the_difference(served, place, monkeypatch):
    served.scenario.add_server("postgres")
    monkeypatch.setattr(
        postgres_module, "GatedServer", lambda name, **options: GatedServer(name, gate=served.gate(name), **options)
    )
    sql = "UPDATE customer SET name = upper(name) WHERE id = 2"
    async with Client(create_postgres(place.reader, place.writer, exact=True)) as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("execute_write", {"sql": sql}))
        first = await served.pending()
        place.run("UPDATE customer SET name = 'another' WHERE id = 2")
        await served.decide()
        second = await served.pending()
        assert served.scenario.status(first.id).state == "stale"
        assert stored(second.preview).after.rows == (("2", "ANOTHER"),)
        assert place.run("SELECT name FROM customer WHERE id = 2") == [("another",)]
        await served.decide()
        with anyio.fail_after(20):
            result = await call
    assert result.structured_content["rows"] == 1
    assert place.run("SELECT name FROM customer WHERE id = 2") == [("ANOTHER",)]


NUMBER = st.integers(1, 210)
CUSTOMER = st.integers(1, 20)
CONDITION = st.one_of(
    NUMBER.map("id = {}".format),
    st.tuples(NUMBER, NUMBER).map(lambda ends: "id BETWEEN {} AND {}".format(*sorted(ends))),
    st.sampled_from(["status = 'paid'", "cents % 700 = 0", "customer_id = 3", "true"]),
)
CHANGE = st.sampled_from(
    ["status = 'shipped'", "cents = cents + 1, changed_at = now()", "customer_id = customer_id", "cents = id * 2"]
)
WRITES = st.one_of(
    st.tuples(CHANGE, CONDITION).map(lambda of: "UPDATE orders SET {} WHERE {}".format(*of)),
    CONDITION.map("DELETE FROM orders WHERE {}".format),
    CUSTOMER.map("DELETE FROM customer WHERE id = {}".format),
    CUSTOMER.map("INSERT INTO orders (customer_id, status) SELECT id, 'paid' FROM customer WHERE id <= {}".format),
    CUSTOMER.map(
        "INSERT INTO customer VALUES ({0}, 'new') ON CONFLICT (id) DO UPDATE SET name = customer.name || '!'".format
    ),
    st.tuples(CONDITION, NUMBER).map(
        lambda of: (
            "WITH gone AS (DELETE FROM orders WHERE {} AND id > {} RETURNING id) INSERT INTO audit (said) "
            "SELECT 'gone ' || id FROM gone".format(*of)
        )
    ),
    CUSTOMER.map(
        "MERGE INTO customer c USING (VALUES ({0}), ({0} + 5)) v (id) ON c.id = v.id "
        "WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'merged')".format
    ),
)


def lines(place, columns):
    """All rows of these tables as texts, their columns in this order."""
    return {
        table: Counter(place.run(f"SELECT {', '.join(f'{name}::text' for name in names)} FROM {table}"))
        for table, names in columns.items()
    }


def known(rows, names, table, anew):
    """Rows without the columns that each run makes anew."""
    kept = [index for index, name in enumerate(names) if (table, name) not in anew]
    found = Counter()
    for row, count in rows.items():
        found[tuple(row[index] for index in kept)] += count
    return found


@pytest.mark.slow
@pytest.mark.deep
@settings(max_examples=500, suppress_health_check=list(HealthCheck))
@given(sql=WRITES)
async def test_p2_the_effect_previewed_is_the_effect_found_on_five_hundred_writes(place, sql):
    await does_as_foreseen(place, sql)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(sql=WRITES)
async def test_p2_the_effect_previewed_is_the_effect_found(place, sql):
    await does_as_foreseen(place, sql)


async def does_as_foreseen(place, sql):
    """The database is as the writes before left it. What is predicted, applied to what was, is what is."""
    if not place.run("SELECT 1 FROM pg_proc WHERE proname = 'note'"):
        place.run(TRIGGER)
    if place.run("SELECT count(*) < 30 FROM orders") == [(True,)]:
        place.run("INSERT INTO customer SELECT n, 'c' FROM generate_series(1, 20) n ON CONFLICT DO NOTHING")
        place.run(
            "INSERT INTO orders SELECT n, n % 20 + 1, 'paid', n FROM generate_series(1, 99) n ON CONFLICT DO NOTHING"
        )
    trials = Trials(place.writer)
    columns = {
        "public.customer": ("id", "name"),
        "public.orders": ("id", "customer_id", "status", "cents", "changed_at"),
        "public.audit": ("id", "said"),
    }
    before = lines(place, columns)
    try:
        effect = await trials.effect(sql)
    except Refused as why:
        with pytest.raises(Refused) as refused:
            await write(place.writer, sql, uuid.uuid4().hex, None)
        assert refused.value.code == why.code
        assert lines(place, columns) == before
        return
    assert lines(place, columns) == before, "looking changed something"
    approved = known_facts(preview.exact(classified(sql), effect))["rows"]
    done = await write(place.writer, sql, uuid.uuid4().hex, approved, partial(trials.check, basis_of(effect)))
    assert done.rows == approved
    assert [(one.verb, one.table, one.rows) for one in done.changes] == [
        (one.verb, one.table, one.rows) for one in effect.changes
    ]
    after, anew = lines(place, columns), next(iter(trials._anew.values()))
    predicted = {rows.table: rows for rows in effect.rows}
    assert {change.table for change in effect.changes} == predicted.keys()
    for table, names in columns.items():
        expected = before[table]
        if table in predicted:
            assert predicted[table].columns == names
            expected = before[table] - Counter(predicted[table].before)
            assert expected.total() == before[table].total() - len(predicted[table].before), "rows that were not there"
            expected += Counter(predicted[table].after)
        assert known(expected, names, table, anew) == known(after[table], names, table, anew)
