"""What statements are called, for people and rules: unclassified rather than wrong."""

import pytest

from approvals_server.postgres.changes import Change, beyond, expectation, gravest, sentence, verbs
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.preview import expected
from approvals_server.postgres.statement import LONGEST, Statement, classified
from approvals_server.postgres.text import single


@pytest.mark.parametrize(
    ("sql", "verb", "tables", "has_where"),
    [
        ("DELETE FROM orders WHERE id = 1", "delete", ("public.orders",), True),
        ("DELETE FROM shop.orders", "delete", ("shop.orders",), False),
        ("UPDATE orders SET a = 1 WHERE true", "update", ("public.orders",), False),
        ("UPDATE orders SET a = 1 WHERE 1 = 1", "update", ("public.orders",), False),
        ("DELETE FROM orders WHERE id = id", "delete", ("public.orders",), False),
        ("DELETE FROM orders WHERE (id = 1 OR true)", "delete", ("public.orders",), False),
        ("DELETE FROM orders WHERE NOT (id <> id)", "delete", ("public.orders",), False),
        ("DELETE FROM orders WHERE id = id AND (id = 1 OR a = 2)", "delete", ("public.orders",), True),
        ("INSERT INTO a SELECT * FROM b WHERE id = 1", "insert", ("public.a", "public.b"), False),
        ("WITH x AS (DELETE FROM a) UPDATE b SET c = 1 WHERE d = 2", "update", ("public.a", "public.b"), False),
        ("TRUNCATE a, b", "truncate", ("public.a", "public.b"), False),
        ("DROP TABLE orders", "drop", ("public.orders",), False),
        ("DO $$ BEGIN END $$", "unclassified", (), False),
        ("UPDATE a SET b = 1; DELETE FROM c", "unclassified", (), False),
        ("nonsense", "unclassified", (), False),
        ("", "unclassified", (), False),
        ("SELECT " + "(" * 9000 + "1" + ")" * 9000, "unclassified", (), False),
        ("DELETE FROM a WHERE " + "NOT " * 4900 + "b", "unclassified", (), False),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_a_statement_is_called_what_it_plainly_is_and_else_unclassified(sql, verb, tables, has_where):
    assert len(sql) <= LONGEST
    assert classified(sql) == Statement(verb, tables, has_where)


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "SELECT 1;", " SELECT 1 ;; \n", "SELECT 1; -- x", "SELECT 1 /* a /* ; */ b */;; -- x\n;"]
)
def test_what_follows_one_statement_is_left_out(sql):
    assert single(sql) == "SELECT 1"


def test_an_effect_is_told_in_a_sentence_whose_numbers_are_those_of_the_facts():
    one = (Change("delete", "public.a", 1200),)
    two = (*one, Change("insert", "public.b", 34))
    assert expectation(one) == "Deletes about 1,200 rows of public.a"
    assert expectation(two) == "Deletes rows of public.a, adds rows of public.b: about 1,234 in all"
    assert sentence(two) == "Deletes 1,200 rows of public.a, adds 34 rows of public.b"
    assert expectation(()) == sentence(()) == ""
    assert (gravest(two), gravest(())) == ("delete", None)


def test_what_only_looks_like_an_end_stays():
    for sql in ("SELECT ';'", "SELECT $a$;--$a$", 'SELECT 1 AS ";"', "SELECT E'\\';--'"):
        assert single(f"{sql};") == sql


def test_rows_that_may_be_added_or_changed_are_told_once_and_by_all_verbs():
    upsert = (Change("update", "public.a", 5, ("insert",)),)
    assert expectation(upsert) == "Changes or adds about 5 rows of public.a"
    assert verbs(upsert) == ("insert", "update")
    assert not beyond([Change("insert", "public.a", 2), Change("update", "public.a", 3)], upsert)
    assert beyond([Change("insert", "public.a", 3), Change("update", "public.a", 3)], upsert)
    assert beyond([Change("delete", "public.a", 1)], upsert)
    assert beyond([Change("update", "public.b", 1)], upsert)


def test_p5_more_tables_than_a_rule_could_see_are_refused():
    with pytest.raises(Refused, match="changes 21 tables"):
        expected(Statement(), [Change("delete", f"public.t{n}", 1) for n in range(21)])
