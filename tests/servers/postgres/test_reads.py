"""The reads of approvals-postgres, and what cannot be done through them, on a real PostgreSQL."""

import asyncio

import anyio
import anyio.lowlevel
import psycopg
import pytest
from mcp.server.mcpserver.exceptions import ToolError

from approvals_server import retries
from approvals_server.postgres import postgres as postgres_module
from approvals_server.postgres.catalogue import table
from approvals_server.postgres.postgres import create_postgres
from approvals_server.postgres.search import search
from approvals_server.retries import Away

pytestmark = pytest.mark.databases("one")


async def test_tables_are_listed_page_by_page_as_far_as_the_role_may_read(reading):
    first = await reading("list_tables", limit=2)
    assert [table.name for table in first.tables] == ["audit", "customer"]
    second = await reading("list_tables", limit=2, cursor=first.next_cursor)
    assert [(table.name, table.comment) for table in second.tables] == [("orders", "What was ordered.")]
    assert second.next_cursor is None
    assert (second.tables[0].estimated_rows, second.tables[0].kind) == (200, "table")
    assert second.tables[0].bytes > 0


async def test_a_table_has_columns_keys_and_indexes(reading):
    table = await reading("get_table", table="orders")
    assert [(column.name, column.type, column.nullable) for column in table.columns][:2] == [
        ("id", "integer", False),
        ("customer_id", "integer", False),
    ]
    assert [key.definition for key in table.keys if "FOREIGN" in key.definition] == [
        "FOREIGN KEY (customer_id) REFERENCES customer(id) ON DELETE CASCADE"
    ]
    assert "CREATE UNIQUE INDEX" in table.indexes[0].definition
    with pytest.raises(ToolError, match=r"no table public\.secret"):
        await reading("get_table", table="secret")


async def test_columns_that_the_role_may_not_read_are_not_told_of(place):
    user = psycopg.conninfo.conninfo_to_dict(place.reader.url)["user"]
    place.run(f"""
        CREATE TABLE person (id int PRIMARY KEY, name text, iban text UNIQUE DEFAULT 'DE00' CHECK (iban <> ''));
        CREATE INDEX ON person (name);
        CREATE INDEX ON person (lower(iban));
        CREATE INDEX ON person (id) WHERE iban > 'A';
        REVOKE SELECT ON person FROM {user};
        GRANT SELECT (id, name) ON person TO {user};
    """)
    found = await table(place.reader, "public", "person")
    assert [column.name for column in found.columns] == ["id", "name"]
    assert "iban" not in found.model_dump_json()
    assert [key.name for key in found.keys] == ["person_pkey"]
    assert [index.name for index in found.indexes] == ["person_name_idx", "person_pkey"]


async def test_a_query_is_answered_in_pages_with_a_summary(reading):
    sql = "SELECT id, status, cents, NULL AS nothing, 1 AS status FROM orders ORDER BY id;"
    found = await reading("search_postgres", sql=sql, limit=3)
    assert found.rows == [[1, "shipped", 100, None, 1], [2, "cancelled", 200, None, 1], [3, "paid", 300, None, 1]]
    assert (found.rows_looked_at, found.more_rows) == (200, False)
    number, status, _, nothing, _ = found.columns
    assert (number.type, number.minimum, number.maximum, number.distinct) == ("integer", 1, 200, 200)
    assert (status.type, status.distinct, nothing.nulls) == ("text", 3, 200)
    following = await reading("search_postgres", sql=sql, limit=3, cursor=found.next_cursor)
    assert [row[0] for row in following.rows] == [4, 5, 6]
    last = await reading("search_postgres", sql="SELECT 1 AS one")
    assert last.next_cursor is None
    with pytest.raises(ToolError, match="another question"):
        await reading("search_postgres", sql="SELECT 1", cursor=found.next_cursor)
    with pytest.raises(ToolError, match="none of ours"):
        await reading("search_postgres", sql="SELECT 1", cursor="bm9uc2Vuc2U=")


async def test_values_of_every_kind_come_as_plain_cells(reading):
    sql = """SELECT 9007199254740993::bigint, 1.50::numeric, 'NaN'::float8, true, '{"a": 1}'::jsonb, ARRAY[1, 2],
        '\\x00ff'::bytea, repeat('x', 1000), '2026-01-01'::date, NULL::int"""
    (row,) = (await reading("search_postgres", sql=sql)).rows
    assert row[:7] == ["9007199254740993", "1.50", "nan", True, '{"a": 1}', "{1,2}", "\\x00ff"]
    assert row[7] == "x" * 399 + "…"
    assert row[8:] == ["2026-01-01", None]


async def test_a_plan_says_how_tables_are_read_and_what_a_write_would_change(reading):
    found = await reading("explain_query", sql="SELECT * FROM orders WHERE id = 5")
    assert (found.scans[0].table, found.scans[0].estimated_rows) == ("public.orders", 1)
    assert "orders" in found.plan
    with pytest.raises(ToolError, match="permission denied"):
        await reading("explain_query", sql="DELETE FROM orders")


async def test_what_the_database_does_not_understand_is_said_in_its_words(reading):
    with pytest.raises(ToolError, match="syntax error"):
        await reading("search_postgres", sql="SELEKT 1")
    with pytest.raises(ToolError, match='column "nmae" does not exist'):
        await reading("search_postgres", sql="SELECT nmae FROM customer")


async def test_numbers_are_compared_as_numbers_though_exact_ones_come_as_text(reading):
    sql = "SELECT n::numeric, (n * 9007199254740993)::bigint, 'NaN'::float8 FROM generate_series(9, 11) n"
    exact, large, odd = (await reading("search_postgres", sql=sql)).columns
    assert (exact.minimum, exact.maximum) == ("9", "11")
    assert (large.minimum, large.maximum) == (str(9 * 9007199254740993), str(11 * 9007199254740993))
    assert (odd.minimum, odd.distinct) == ("nan", 1)


async def test_minimum_and_maximum_are_in_the_order_of_the_type_and_rows_in_that_of_the_query(reading):
    sql = """SELECT * FROM (VALUES ('$10.00'::money, '10 days'::interval, '192.168.0.10'::inet, '0044-03-15 BC'::date,
            10::oid, ARRAY[10], '{"a": 1}'::jsonb, true, 'b'),
        ('$9.00', '9 days', '192.168.0.9', '20000-01-01', 9, ARRAY[9], '{"a": 2}', false, 'a'),
        (NULL, '1 month', NULL, 'infinity', NULL, NULL, NULL, NULL, NULL)) AS v"""
    found = await reading("search_postgres", sql=sql)
    assert [row[4] for row in found.rows] == ["10", "9", None]
    assert [(column.minimum, column.maximum) for column in found.columns] == [
        ("$9.00", "$10.00"),
        ("9 days", "1 mon"),
        ("192.168.0.9/32", "192.168.0.10/32"),
        ("0044-03-15 BC", "infinity"),
        ("9", "10"),
        (None, None),
        (None, None),
        (False, True),
        ("a", "b"),
    ]
    assert [column.nulls for column in found.columns] == [1, 0, 1, 0, 1, 1, 1, 1, 1]
    many = "SELECT date '2026-01-01' + (n * 7919) % 3000 AS day, n FROM generate_series(0, 2999) n"
    page = await reading("search_postgres", sql=many, limit=3)
    assert ([row[1] for row in page.rows], page.rows_looked_at) == ([0, 1, 2], 1000)
    beyond = await reading("search_postgres", sql=many, limit=3, cursor=page.next_cursor)
    assert [row[1] for row in beyond.rows] == [3, 4, 5]


async def test_no_more_reads_than_it_has_connections_for_run_at_once(lasting_place, monkeypatch):
    running, most = [0], [0]

    async def counted(role, sql, skipped, limit):
        running[0] += 1
        most[0] = max(most[0], running[0])
        await anyio.lowlevel.checkpoint()
        running[0] -= 1
        return await original(role, "SELECT 1 AS one", 0, 1)

    original = postgres_module.search.search
    monkeypatch.setattr(postgres_module.search, "search", counted)
    monkeypatch.setattr(postgres_module, "READS_AT_ONCE", 2)
    tool = create_postgres(lasting_place.reader)._tool_manager.get_tool("search_postgres")
    await asyncio.gather(*(tool.run({"sql": "SELECT 1"}, context=None) for _ in range(6)))
    assert most == [2]


async def test_a_read_that_a_replica_breaks_off_is_tried_again(place):
    place.run("""CREATE FUNCTION overtaken() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'canceling statement due to conflict with recovery' USING ERRCODE = '40001'; END $$""")
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    with pytest.raises(Away, match="broke the read off"):
        await retries.read(lambda: search(place.reader, "SELECT overtaken()", 0, 1), sleep)
    assert slept == [*retries.PAUSES]


@pytest.mark.parametrize("sql", ["SELECT 1 FROM customer WHERE name = repeat('x', {})", "SELECT repeat('x', {})"])
async def test_p5_a_plan_with_large_values_in_it_does_not_come_into_this_process(reading, sql):
    """Its size is counted in the database."""
    with pytest.raises(ToolError, match="are looked at: leave out"):
        await reading("explain_query", sql=sql.format(6_000_000))
    assert (await reading("explain_query", sql=sql.format(1_000))).scans is not None
