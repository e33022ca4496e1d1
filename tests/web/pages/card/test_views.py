"""Views by shape: the value alone chooses them, nothing is cut unsaid, and no text breaks them."""

import pytest

from approvals.protocol.canonical import canonical, encode, redacted
from approvals.service.history.argument_rows import lines
from approvals_web.pages.card.views import MAX_VIEWS, change, table, views
from approvals_web.pages.card.views import sql as statements

HOSTILE = [
    "",
    " ",
    "<script>alert(1)</script>",
    "\u202e\u200b\x00\x1b[2J",
    "'" * 5000,
    "/*" * 5000,
    "$" * 5000,
    "((((" * 2000,
    "select " * 3000,
    "SELECT 1" + "\n" * 5000,
    "update x set " + "a=1," * 3000,
    "delete from t where '",
    "{{ 7*7 }}",
    "👩\u200d👩\u200d👧" * 500,
    "with a as (" * 800,
    " " * 5000,
    "--\n" * 3000,
    "/**/ " * 3000,
]


def only(arguments):
    (view,), more = views(encode(arguments))
    assert not more
    return view


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"amount_cents": 12000}, "120.00 (no currency given)"),
        ({"amount_cents": -5, "currency": "eur"}, "-0.05 EUR"),
        ({"amount": "50.00", "currency": "EUR"}, "50.00 EUR"),
        ({"amount": 1.5, "currency": "usd"}, "1.5 USD"),
        ({"amount": 2.0, "currency": "usd"}, "2.0 USD"),
        ({"amount_cents": 5000, "currency": "JPY"}, "5,000 JPY"),
        ({"amount": 5000, "currency": "usd"}, "5,000 USD"),
    ],
)
def test_money_reads_as_money(arguments, words):
    assert only(arguments).words == words


def test_an_amount_that_the_accepted_summary_knows_is_shown_as_it_says_it():
    found, _ = views({"amount_cents": 12000, "total_cents": 1, "currency": "EUR"}, {"amount_cents": "usd"})
    assert [(view.path, view.words, view.note) for view in found] == [("amount_cents", "$120.00", "")]
    (deep,), _ = views({"order": {"fee": 5}}, {"order.fee": "gbp"})
    assert (deep.path, deep.words) == ("order.fee", "£0.05")
    assert views({"amount": "x", "gone": redacted(b"p" * 32, "gone", 5)}, {"amount": "usd", "gone": "usd"}) == (
        [],
        False,
    )


def test_a_table_of_prices_is_a_table():
    rows = [{"sku": f"S{n}", "price_cents": n, "currency": "EUR"} for n in range(28)]
    (view,), more = views(encode({"rows": rows}))
    assert (view.kind, view.total, view.columns, more) == ("table", 28, ("sku", "price_cents", "currency"), False)
    nested = [{"total": {"amount_cents": n, "currency": "EUR"}, "tags": []} for n in range(9)]
    assert views(encode({"rows": nested})) == ([], False)


def test_an_amount_of_unknown_unit_says_so():
    assert "cents" in only({"amount": 5000, "currency": "usd"}).note
    assert only({"amount": "5.00", "currency": "usd"}).note == ""


@pytest.mark.parametrize(
    "arguments",
    [
        {"amount": 5},
        {"amount": True, "currency": "usd"},
        {"amount": "1e9", "currency": "usd"},
        {"amount": "\uff15", "currency": "usd"},
        {"amount": "5\n", "currency": "usd"},
        {"amount": "9" * 400, "currency": "usd"},
        {"amount": 5, "currency": "gold"},
        {"amount": redacted(b"p" * 32, "amount", "5"), "currency": "usd"},
        {"note": "update the docs, then set a date"},
        {"note": "Select a seat"},
        {"kind": "sql", "text": "hello"},
        {"rows": [{"a": 1}]},
        {"rows": [{"a": [1]}, {"a": [2]}]},
        {"rows": [{}, {}]},
        {"rows": [{"a": 1}, 2]},
        {"before": 1, "after": 2},
        {"old": "x"},
    ],
)
def test_what_is_no_such_value_stays_in_the_tree(arguments):
    plain = arguments if "amount" in arguments and isinstance(arguments["amount"], dict) else encode(arguments)
    assert views(plain) == ([], False)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_breaks_a_view_and_tokens_lose_nothing(hostile):
    assert "".join(text for _, text in statements.tokens(hostile)) == hostile
    list(statements.warnings(hostile))
    for arguments in (
        {"sql": hostile, hostile: hostile},
        {"old": hostile, "new": hostile + "x"},
        {"rows": [{hostile: hostile}, {"b": hostile}]},
        {"amount": hostile, "currency": hostile},
    ):
        found, _ = views(encode(arguments))
        shown, _ = lines(encode(arguments), {path for view in found for path in view.covers})
        assert len(found) <= MAX_VIEWS
        assert shown


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM orders", ["DELETE without WHERE: every row of the table."]),
        ("DELETE FROM orders WHERE id = 1", []),
        ("DELETE FROM orders -- WHERE id = 1", ["DELETE without WHERE: every row of the table."]),
        ("DELETE FROM orders /* where */", ["DELETE without WHERE: every row of the table."]),
        ("DELETE FROM orders RETURNING 'where'", ["DELETE without WHERE: every row of the table."]),
        ("update o set a = (select b from c where d = 1)", ["UPDATE without WHERE: every row of the table."]),
        ("UPDATE o SET a = 1 WHERE 1=1", ["UPDATE whose WHERE is always true: every row of the table."]),
        ("UPDATE o SET a = 1 WHERE true", ["UPDATE whose WHERE is always true: every row of the table."]),
        ("UPDATE o SET a = 1 WHERE id=2", []),
        ("WITH x AS (SELECT 1) DELETE FROM o", ["DELETE without WHERE: every row of the table."]),
        ("WITH x AS (DELETE FROM o) SELECT 1", ["DELETE without WHERE: every row of the table."]),
        ("SELECT a FROM b FOR UPDATE", []),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2", []),
        (
            "SELECT 1; DELETE FROM o;",
            ["2 SQL statements in one text.", "DELETE without WHERE: every row of the table."],
        ),
        ("SELECT ';' FROM t;", []),
        ("UPDATE a SET b=1; " * 3, ["3 SQL statements in one text.", "UPDATE without WHERE: every row of the table."]),
        ("DELETE FROM a " + "update " * 50, ["This statement is too long to look for a missing WHERE."]),
        ("drop table t", ["This is DROP: it changes the structure or the rights, not rows."]),
    ],
)
def test_sql_that_takes_a_whole_table_is_told(sql, said):
    assert list(only({"q": sql}).warnings) == said


def test_sql_is_coloured_and_what_is_cut_is_said():
    view = only({"q": "SELECT 'a' FROM b -- c"})
    assert [(kind, text) for kind, text in view.pieces if kind != "rest"] == [
        ("keyword", "SELECT"),
        ("text", "'a'"),
        ("keyword", "FROM"),
        ("comment", "-- c"),
    ]
    assert view.covers == ("q",)
    long = only({"q": "SELECT 1 FROM t WHERE " + "x" * statements.MAX_SHOWN})
    assert (long.more, long.cut) == (22, True)


def test_a_change_marks_what_goes_and_what_comes():
    view = only({"old_text": "a\nb\nc", "new_text": "a\nB\nc", "path": "x"})
    assert view.lines == (("same", "a"), ("gone", "b"), ("added", "B"), ("same", "c"))
    assert (view.covers, view.cut) == (("old_text", "new_text"), False)
    assert only({"before": "same", "after": "same"}).lines == ()


def test_a_change_with_lines_left_out_says_so():
    view = only({"old": "\n".join(map(str, range(50))), "new": "\n".join(map(str, range(49)))})
    assert view.cut
    assert (view.lines[0], view.lines[-1]) == (("skip", ""), ("gone", "49"))
    first = only({"old": "x\n" + "a\n" * 50, "new": "y\n" + "a\n" * 50})
    assert (first.lines[0], first.lines[-1], first.cut) == (("gone", "x"), ("skip", ""), True)
    many = only({"old": "\n".join(f"a{i}" for i in range(300)), "new": "\n".join(f"b{i}" for i in range(300))})
    assert (len(many.lines), many.more, many.cut) == (change.MAX_LINES, 400, True)
    assert views({"old": "\n" * 5000, "new": "x"}) == ([], False)


def test_a_table_has_every_row_or_says_how_many_more():
    view = only({"rows": [{"a": 1, "b": "1"}, {"a": 2**60}, {"b": None, "a": 1.0}]})
    assert view.columns == ("a", "b")
    assert view.rows == (("1", '"1"'), (str(2**60), None), ("1.0", "null"))
    assert (view.covers, view.cut) == (("rows",), False)
    long = only({"rows": [{"a": i} for i in range(50)]})
    assert (len(long.rows), long.more, long.cut) == (table.MAX_ROWS, 30, True)


def test_p2_what_a_view_shows_whole_is_named_in_the_tree_and_nothing_else_is_left_out():
    arguments = encode({"q": "SELECT 1", "limit": 5})
    found, _ = views(arguments)
    shown, _ = lines(arguments, {path for view in found for path in view.covers})
    assert [(line.path, line.value) for line in shown] == [("q", "above"), ("limit", "5")]


def test_many_views_are_counted():
    found, more = views({f"q{i:02}": "SELECT 1" for i in range(10)})
    assert (len(found), more) == (MAX_VIEWS, True)
    assert canonical(encode({"a": 1})) == b'{"a":1}'
