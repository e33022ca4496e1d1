"""Requests are found by their words, on both databases, soon after they were filed and until they are erased."""

import pytest

from approvals.errors import Invalid
from approvals.protocol.canonical import redacted
from approvals.service.audit import chain
from approvals.service.history import fulltext, search
from approvals.service.history.search import Sought
from approvals.service.storage.statements import Row

pytestmark = pytest.mark.databases("both")


def filed(house, number, **changes):
    house.clock.forward(1)
    return house.file(house.filing({"order_id": number, "amount_cents": 100}, **changes)).request_id


def index(house):
    while house.write(lambda tx: chain.link(tx, house.service.keyring.audit)):
        pass
    while house.write(fulltext.sweep):
        pass


def found(house, said, **more):
    sought = Sought(words=tuple(fulltext.split(said)), **more)
    return [row.id for row in house.read(lambda reader: search.page(reader, sought)).rows]


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
def test_it_is_found_by_any_words_that_people_see_of_it(house, said):
    wanted = filed(house, 77, reason="the parcel is lost: final Straße, or x near it")
    filed(house, 78, tool="refund_order", reason="something else")
    index(house)
    assert wanted in found(house, said)


@pytest.mark.parametrize("said", ["parce", "78", "parcel nothing", "rcel", "10 0000000001"])
def test_it_is_not_found_by_parts_of_words_or_by_words_of_others(house, said):
    wanted = filed(house, 77, reason="the parcel is lost")
    filed(house, 78, reason="something else")
    index(house)
    assert wanted not in found(house, said)


def test_what_is_told_of_twice_is_indexed_once(house):
    request_id = filed(house, 77)
    index(house)
    house.decide(request_id)
    index(house)
    house.run("UPDATE meta SET value = '0' WHERE name = 'words_indexed_to'")
    index(house)
    assert found(house, "refund") == [request_id]
    assert not house.read(fulltext.behind)


def test_p8_words_that_were_redacted_are_not_in_it(house):
    hidden = redacted(b"pepper", "note", "swordfish")
    house.clock.forward(1)
    house.file(house.filing({"order_id": 5, "note": hidden}))
    index(house)
    (row,) = house.rows("SELECT words FROM request_words")
    words = row[0].split()
    assert "note" in words
    assert not {"swordfish", "redacted", "length"} & set(words)


def test_p8_what_is_erased_is_found_by_its_words_no_more(house):
    kept, request_id = filed(house, 78), filed(house, 77)
    index(house)
    house.withdraw(request_id)
    house.write(lambda tx: house.service.erasures.contents(tx, request_id, "cli:ops", "erased on demand"))
    index(house)
    assert found(house, "refund") == [kept]
    assert house.rows("SELECT 1 FROM request_text WHERE rowid > 1") == []


def test_pages_of_it_meet_without_a_gap_or_an_overlap(house):
    ids = [filed(house, number) for number in range(1, 8)]
    index(house)
    sought, before, seen = Sought(words=("refund",)), None, []
    while True:
        page = house.read(lambda reader: search.page(reader, sought, before=before, limit=3))  # noqa: B023 — at once
        seen += [row.id for row in page.rows]
        before = page.after
        if before is None:
            break
    assert seen == ids[::-1]


def test_words_narrow_together_with_the_other_filters(house):
    ids = [filed(house, number) for number in (1, 2)]
    house.decide(ids[0], "deny", comment="no")
    index(house)
    assert found(house, "refund", state="denied") == [ids[0]]
    assert found(house, "refund", server="other") == []


@pytest.mark.parametrize("before", ["x", "-1", "1" * 30, "01a3185c-5000-7000-81a9-a48490354c29", "²"])
def test_a_place_that_no_look_ended_at_is_refused(house, before):
    with pytest.raises(Invalid):
        house.read(lambda reader: search.page(reader, Sought(words=("refund",)), before=before))


def test_words_are_capped_in_length_and_number():
    row = {"summary": "h" * 500, "server": "s", "tool": "t", "reason": None, "arguments": "{}"}
    assert fulltext.of_request(Row(row))[0] == "h" * fulltext.LONGEST
    many = " ".join(f"w{number}" for number in range(5_000))
    assert len(fulltext.of_request(Row(row | {"reason": many}))) == fulltext.MOST_WORDS
    assert fulltext.split("h" * 500) == ["h" * fulltext.LONGEST]
