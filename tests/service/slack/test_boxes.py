"""What a message says would run, on a screen of any width: no part of a value reads as another value."""

import re

from hypothesis import given
from hypothesis import strategies as st

from approvals.service.slack.boxes import NARROW, boxes
from approvals.service.slack.text import inline

WORDS = st.one_of(
    st.text("ab:*. \n\u00a0\u3000é1", max_size=60), st.text("a: ", max_size=200), st.sampled_from(["1042", "x: 1"])
)
ROWS = st.lists(st.tuples(WORDS.filter(str.strip), WORDS), max_size=8)


@given(ROWS)
def test_p2_each_value_is_read_back_as_the_one_that_would_run(rows):
    said, whole = boxes("*Arguments:*", rows, 100_000)
    shown = [(plain(inline(name, 300)), value) for name, value in rows]
    assert whole and sorted(read(said.removeprefix("*Arguments:*"))) == sorted(shown)


@given(ROWS)
def test_p2_no_line_of_several_values_is_broken_by_a_phone(rows):
    said, _ = boxes("*Arguments:*", rows, 100_000)
    for heading, block in parts(said.removeprefix("*Arguments:*")):
        assert heading or all(len(line) <= NARROW for line in block.split("\n"))


@given(ROWS)
def test_p2_no_block_without_a_name_stands_below_one_with_a_name(rows):
    said, _ = boxes("*Arguments:*", rows, 100_000)
    named = [bool(heading) for heading, _ in parts(said.removeprefix("*Arguments:*"))]
    assert named == sorted(named) and named.count(False) <= 1


def test_a_sentence_that_could_be_taken_for_a_name_and_its_value_is_called_one():
    for sentence in ("Refund: $1.00", "Pays Mia" + " " * 30 + "Refund: $1.00", "Pays\nMia"):
        said, _ = boxes("*What it would change:*", [("", sentence), ("Refund", "$120.00")], 2800)
        assert said.endswith(f"```\nRefund: $120.00\n```\n*In words:*\n```\n{sentence}\n```")
    said, _ = boxes("*What it would change:*", [("", "Pays Mia"), ("Refund", "$120.00")], 2800)
    assert "In words" not in said


def test_p2_blanks_push_no_part_of_a_value_to_where_another_would_stand():
    said, _ = boxes(
        "*Arguments:*", [("order_id", "1042" + " " * 22 + "amount_cents: 500"), ("amount_cents", "90000")], 2800
    )
    assert said.startswith("*Arguments:*\n```\namount_cents: 90000\n```\n*order_\u200bid:*\n```\n1042 ")


def test_what_is_cut_says_so_wherever_it_is_cut():
    for most in range(20, 300):
        said, whole = boxes("*Arguments:*", [("a", "1"), ("b", "x" * 60), ("c", "2\n3")], most)
        assert whole is ("1" in said and "x" * 60 in said and "2\n3" in said) and len(said) <= max(most, 12)
    assert whole


def parts(said):
    return re.findall(r"\n(?:\*((?:(?!```).)+):\*\n)?```\n(.*?)\n```(?=\n|$)", said, flags=re.DOTALL)


def read(said):
    found = []
    for heading, block in parts(said):
        found += [(plain(heading), block)] if heading else [tuple(line.split(": ", 1)) for line in block.split("\n")]
    return [(plain(name), value) for name, value in found]


def plain(name):
    return name.replace("\u200b", "").replace("\u00a0", " ")
