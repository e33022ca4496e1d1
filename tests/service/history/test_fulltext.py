"""Requests are found by their words, on both databases, soon after they were filed and until they are erased."""

import json

import pytest

from approvals.errors import Invalid
from approvals.protocol.canonical import encode, redacted
from approvals.service.audit import chain
from approvals.service.history import fulltext, search
from approvals.service.history.search import Sought
from approvals.service.identity.admins import Operator
from approvals.service.storage.statements import Row

pytestmark = pytest.mark.databases("both")


def filed(scenario, number, **changes):
    scenario.clock.forward(1)
    return scenario.file(scenario.filing({"order_id": number, "amount_cents": 100}, **changes)).request_id


def index(scenario):
    while scenario.write(lambda tx: chain.link(tx, scenario.service.keyring.audit)):
        pass
    while scenario.write(fulltext.sweep):
        pass


def found(scenario, said, **more):
    sought = Sought(words=tuple(fulltext.split(said)), **more)
    return [row.id for row in scenario.read(lambda reader: search.page(reader, sought)).rows]


@pytest.mark.parametrize(
    "said",
    [
        "refund",
        "REFUND order",
        "refund_order",
        "shop.refund-order",
        "77",
        "parcel",
        "ﬁnal straße",
        "STRASSE FINAL",
        'parcel" OR "x',
        "lost* NEAR(parcel)",
    ],
)
def test_it_is_found_by_any_words_that_people_see_of_it(scenario, said):
    wanted = filed(scenario, 77, reason="the parcel is lost: final Straße, or x near it")
    filed(scenario, 78, tool="refund_order", reason="something else")
    index(scenario)
    assert wanted in found(scenario, said)


@pytest.mark.parametrize("said", ["parce", "78", "parcel nothing", "rcel", "10 0000000001"])
def test_it_is_not_found_by_parts_of_words_or_by_words_of_others(scenario, said):
    wanted = filed(scenario, 77, reason="the parcel is lost")
    filed(scenario, 78, reason="something else")
    index(scenario)
    assert wanted not in found(scenario, said)


def test_what_is_told_of_twice_is_indexed_once(scenario):
    request_id = filed(scenario, 77)
    index(scenario)
    scenario.decide(request_id)
    index(scenario)
    scenario.run("UPDATE meta SET value = '0' WHERE name = 'words_indexed_to'")
    index(scenario)
    assert found(scenario, "refund") == [request_id]
    assert not scenario.read(fulltext.behind)


def test_p8_words_that_were_redacted_are_not_in_it(scenario):
    hidden = redacted(b"pepper", "note", "swordfish")
    scenario.clock.forward(1)
    scenario.file(scenario.filing({"order_id": 5, "note": hidden}))
    index(scenario)
    (row,) = scenario.rows("SELECT words FROM request_words")
    words = row[0].split()
    assert "note" in words
    assert not {"swordfish", "redacted", "length"} & set(words)


def test_p8_what_is_erased_is_found_by_its_words_no_more(scenario):
    kept, request_id = filed(scenario, 78), filed(scenario, 77)
    index(scenario)
    scenario.withdraw(request_id)
    scenario.write(lambda tx: scenario.service.erasures.contents(tx, request_id, Operator("ops"), "erased on demand"))
    index(scenario)
    assert found(scenario, "refund") == [kept]
    assert scenario.rows("SELECT 1 FROM request_text WHERE rowid > 1") == []


def test_pages_of_it_meet_without_a_gap_or_an_overlap(scenario):
    ids = [filed(scenario, number) for number in range(1, 8)]
    index(scenario)
    sought, before, seen = Sought(words=("refund",)), None, []
    while True:
        page = scenario.read(lambda reader: search.page(reader, sought, before=before, limit=3))  # noqa: B023 — at once
        seen += [row.id for row in page.rows]
        before = page.after
        if before is None:
            break
    assert seen == ids[::-1]


def test_words_narrow_together_with_the_other_filters(scenario):
    ids = [filed(scenario, number) for number in (1, 2)]
    scenario.decide(ids[0], "deny", comment="no")
    index(scenario)
    assert found(scenario, "refund", state="denied") == [ids[0]]
    assert found(scenario, "refund", server="other") == []


@pytest.mark.parametrize("before", ["x", "-1", "1" * 30, "01a3185c-5000-7000-81a9-a48490354c29", "²"])
def test_a_place_that_no_look_ended_at_is_refused(scenario, before):
    with pytest.raises(Invalid):
        scenario.read(lambda reader: search.page(reader, Sought(words=("refund",)), before=before))


def test_p8_an_argument_in_the_shape_of_a_secret_is_found_by_its_words_and_a_secret_is_not():
    arguments = encode({"q": {"$redacted": "DROP", "length": 7}}) | {"pin": redacted(b"p" * 32, "pin", "hunter2")}
    row = {"summary": "", "server": "s", "tool": "t", "reason": None, "arguments": json.dumps(arguments)}
    assert fulltext.of_request(Row(row)) == ["s", "t", "q", "redacted", "drop", "length", "7", "pin"]


def test_words_are_capped_in_length_and_number():
    row = {"summary": "h" * 500, "server": "s", "tool": "t", "reason": None, "arguments": "{}"}
    assert fulltext.of_request(Row(row))[0] == "h" * fulltext.LONGEST
    many = " ".join(f"w{number}" for number in range(5_000))
    assert len(fulltext.of_request(Row(row | {"reason": many}))) == fulltext.MOST_WORDS
    assert fulltext.split("h" * 500) == ["h" * fulltext.LONGEST]
