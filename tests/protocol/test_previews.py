"""Previews as data: what one may say, when two differ, and what people read of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from approvals.errors import NotPossible, TooMany
from approvals.protocol.canonical import digest
from approvals.protocol.messages import Filing
from approvals.protocol.preview_words import differences, margin, said
from approvals.protocol.previews import Fact, Preview, View, differs, dumped, known_facts, preview_hash, stored
from approvals.service.identity.admins import Operator
from approvals.service.requests import preview_refreshes, revisions

REFUND = Preview(
    effect="Refunds $120.00 to Mia Okafor for order 1042",
    object="Order 1042",
    object_id="1042",
    facts=(
        Fact(name="amount", value=12_000, currency="USD"),
        Fact(name="left", label="Left afterwards", value=8_000, currency="USD", note="of $200.00"),
    ),
    before=View(kind="table", columns=("refunded", "left"), rows=((0, "200.00"),)),
    reversible="by_hand",
    basis="paid 20000 0",
)


def changed(preview=REFUND, **fields):
    return Preview(**(dict(preview) | fields))


def rows(count, **more):
    facts = (Fact(name="rows", value=count, tolerance=50, unit="rows"),)
    return Preview(**({"effect": f"Deletes {count} rows", "facts": facts, "basis": str(count)} | more))


def test_p2_a_preview_is_under_the_digest_and_its_absence_leaves_the_digest_as_it_was():
    content = {"server": "shop", "tool": "refund", "tool_hash": "0" * 64, "arguments": {"order_id": 1042}}
    bare = digest(**content)
    assert digest(**content, preview=preview_hash(None)) == bare
    shown = digest(**content, preview=preview_hash(REFUND))
    assert shown != bare
    assert digest(**content, preview=preview_hash(changed(effect="Refunds $12.00"))) not in {bare, shown}


@pytest.mark.parametrize(
    "fields",
    [
        {"effect": "Refunds $120.00 to Mia Okafor for order 1043"},
        {"object": "Order 1043"},
        {"object_id": "1043"},
        {"facts": REFUND.facts[:1]},
        {"facts": REFUND.facts[::-1]},
        {"facts": (REFUND.facts[0], REFUND.facts[1].model_copy(update={"value": 7_999}))},
        {"facts": (REFUND.facts[0], REFUND.facts[1].model_copy(update={"currency": "EUR"}))},
        {"facts": (REFUND.facts[0], REFUND.facts[1].model_copy(update={"note": "of $100.00"}))},
        {"before": View(kind="table", columns=("refunded", "left"), rows=((1, "200.00"),))},
        {"after": View(text="nothing")},
        {"reversible": "no"},
        {"until": "today"},
        {"basis": "paid 20000 1"},
        {"hidden": "0" * 64},
    ],
)
def test_p2_whatever_a_preview_says_differently_is_another_effect(fields):
    other = changed(**fields)
    assert differs(REFUND, other)
    assert preview_hash(REFUND) != preview_hash(other)


def test_a_number_may_move_within_its_tolerance_and_what_tells_of_it_moves_along():
    assert not differs(rows(5_000), rows(5_050))
    assert not differs(rows(5_000), rows(4_950))
    assert differs(rows(5_000), rows(5_051))


PAID = (Fact(name="amount", value=10_000, currency="USD", tolerance=500), Fact(name="share", value=12.5, tolerance=1))


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("Refunds $100.00 to Mia", "Refunds $104.00 to Mia", True),
        ("Refunds $100 to Mia", "Refunds $104 to Mia", True),
        ("Refunds 12.5% ($100.00)", "Refunds 12.75% ($104.00)", True),
        ("Refunds part of order 7", "Refunds part of order 7", True),
        ("Refunds $100.00 to Mia", "Refunds $104.00 to Eve", False),
        ("Refunds $100.00 to Mia", "Refunds $105.00 to Mia", False),
        ("Refunds $100.00 for order 1042", "Refunds $104.00 for order 1043", False),
        ("Refunds part of order 1042", "Refunds part of order 1043", False),
        ("Refunds $100.00 to Mia", "Refunds $104.00 to Mia, and 104", False),
        ("Refunds a hundred", "Refunds a hundred and four", False),
    ],
)
def test_p2_of_a_sentence_only_the_number_that_moved_may_move(before, after, same):
    moved = [fact.model_copy(update={"value": value}) for fact, value in zip(PAID, (10_400, 12.75), strict=True)]
    was, now = Preview(effect=before, facts=PAID), Preview(effect=after, facts=tuple(moved))
    assert differs(was, now) is not same


def test_p2_the_tolerance_that_counts_is_the_one_that_was_approved():
    loose = Preview(effect="Deletes 9000 rows", facts=(Fact(name="rows", value=9_000, tolerance=9_999, unit="rows"),))
    assert differs(rows(5_000), loose)


def test_p2_where_no_number_moved_the_words_may_not_either():
    assert differs(rows(5_000), rows(5_000, effect="Deletes all customers"))
    assert differs(rows(5_000), rows(5_010, object="customers"))
    assert differs(rows(5_000), rows(5_010, after=View(text="nothing is left")))


@pytest.mark.parametrize("other", [True, 1.0, "1"])
def test_p2_values_of_other_types_are_other_values(other):
    one, another = (Preview(effect="x", facts=(Fact(name="n", value=value),)) for value in (1, other))
    assert differs(one, another)


numbers = st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = numbers | st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
lines = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(
    st.lists(values, max_size=8),
    lines,
    st.sampled_from([None, "yes", "no", "by_hand"]),
    st.lists(st.tuples(values, st.none() | values), max_size=5),
)
def test_p2_what_is_stored_and_what_travels_is_what_was_hashed(found, line, reversible, table):
    preview = Preview(
        effect=f"x{line}",
        object=line,
        facts=tuple(Fact(name=f"f{i}", value=value, note=line) for i, value in enumerate(found)),
        before=View(kind="table", columns=("a", "b"), rows=tuple(table)),
        reversible=reversible,
    )
    again = stored(dumped(preview).decode())
    travelled = Preview.model_validate_json(preview.model_dump_json())
    assert dumped(again) == dumped(travelled) == dumped(preview)
    assert not differs(preview, again)
    assert not differences(preview, travelled)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "Rows", "value": 1}, "match pattern"),
        ({"name": "n", "value": float("inf")}, "finite"),
        ({"name": "n", "value": 2**53}, "as text"),
        ({"name": "n", "value": 12.5, "currency": "USD"}, "smallest unit"),
        ({"name": "n", "value": True, "currency": "USD"}, "smallest unit"),
        ({"name": "n", "value": "x", "tolerance": 1}, "only a number"),
        ({"name": "n", "value": True, "tolerance": 1}, "only a number"),
        ({"name": "n", "value": 1, "currency": "usd"}, "match pattern"),
        ({"name": "n", "value": "x" * 501}, "500"),
    ],
)
def test_a_fact_that_nobody_could_read_right_is_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        Fact(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"effect": ""}, "at least 1"),
        ({"facts": (Fact(name="n", value=1), Fact(name="n", value=2))}, "a name of its own"),
        ({"facts": tuple(Fact(name=f"n{i}", value=i) for i in range(9))}, "at most 8"),
        ({"facts": (Fact(name="sql.verb", value="x"), Fact(name="sql", value=1))}, "inside of another fact"),
        ({"before": View(text="ü" * 16_000), "after": View(text="x" * 16_000)}, "32,768 bytes"),
    ],
)
def test_a_preview_is_bounded(fields, words):
    with pytest.raises(ValidationError, match=words):
        Preview(**({"effect": "x"} | fields))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "table", "text": "x"}, "no text"),
        ({"kind": "json", "columns": ("a",)}, "only a view of kind"),
        ({"kind": "table", "columns": ("a",), "rows": ((1, 2),)}, "for each column"),
    ],
)
def test_a_view_is_of_one_kind(fields, words):
    with pytest.raises(ValidationError, match=words):
        View(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value": 12_000, "currency": "USD"}, "$120.00"),
        ({"value": -5, "currency": "EUR"}, "-€0.05"),
        ({"value": 12_000, "currency": "JPY"}, "12,000 JPY"),
        ({"value": 12_000, "currency": "KWD"}, "12.000 KWD"),
        ({"value": 1_234_500, "currency": "SEK"}, "12,345.00 SEK"),
        ({"value": 5_012, "unit": "rows"}, "5,012 rows"),
        ({"value": 0.25}, "0.25"),
        ({"value": True}, "yes"),
        ({"value": "Mia Okafor"}, "Mia Okafor"),
    ],
)
def test_a_fact_is_said_as_people_write_it(fields, words):
    assert said(Fact(name="n", **fields)) == words


def test_a_tolerance_is_said_in_the_facts_own_unit():
    assert margin(Fact(name="n", value=5_012, unit="rows", tolerance=50)) == "50 rows"
    assert margin(Fact(name="n", value=5_012, currency="USD", tolerance=50)) == "$0.50"
    assert margin(Fact(name="n", value=5_012)) == ""


def test_the_difference_of_two_previews_names_what_changed_and_nothing_else():
    now = changed(
        effect="Refunds $120.00 to Mia Okafor for order 1042, and nothing is left",
        facts=(REFUND.facts[0], Fact(name="left", label="Left afterwards", value=0, currency="USD")),
    )
    assert [(one.label, one.was, one.now) for one in differences(REFUND, now)] == [
        ("Effect", REFUND.effect, now.effect),
        ("Left afterwards", "$80.00 (of $200.00)", "$0.00"),
    ]


def test_two_previews_that_differ_in_nothing_that_people_read_say_so_by_what_they_were_computed_from():
    (one,) = differences(REFUND, changed(basis="paid 20000 1"))
    assert (one.label, one.was, one.now) == ("Computed from", "paid 20000 0", "paid 20000 1")


def effect(scenario, preview=REFUND, **changes):
    return scenario.file(scenario.filing(preview=preview, **changes))


def test_p2_a_decision_binds_the_effect_that_was_shown(scenario):
    one, other = effect(scenario), effect(scenario, changed(effect="Refunds $1.00"), arguments={"order_id": 7})
    shown = scenario.status(one.request_id)
    assert shown.preview_hash == preview_hash(REFUND)
    row = scenario.row(one.request_id)
    content = {"server": row.server, "tool": row.tool, "tool_hash": row.tool_hash}
    arguments = {"order_id": 1042, "amount_cents": 12000}
    assert shown.digest == digest(**content, arguments=arguments, preview=preview_hash(REFUND))
    assert other.request_id != one.request_id


def test_p2_the_same_call_with_another_effect_voids_the_votes_that_were_for_the_first(scenario):
    first = effect(scenario)
    scenario.need(first.request_id, quorum=2)
    before = scenario.decide(first.request_id)
    now = changed(facts=(REFUND.facts[0],))
    again = effect(scenario, now)
    after = scenario.row(first.request_id)
    assert again.request_id == first.request_id
    assert after.content_version == before.content_version + 1
    assert stored(after.preview) == now
    assert scenario.events(first.request_id)[-1] == "request.revised"
    assert not scenario.read(lambda reader: scenario.service.authority.enough(reader, after))


def test_the_same_call_with_the_same_effect_changes_nothing(scenario):
    first = effect(scenario)
    before = scenario.row(first.request_id)
    effect(scenario)
    assert scenario.row(first.request_id).content_version == before.content_version


def test_a_number_that_moves_within_its_tolerance_leaves_what_people_look_at_as_it_is(scenario):
    first = effect(scenario, rows(5_000))
    effect(scenario, rows(5_049))
    row = scenario.row(first.request_id)
    assert (row.content_version, stored(row.preview)) == (1, rows(5_000))
    effect(scenario, rows(5_051))
    row = scenario.row(first.request_id)
    assert (row.content_version, stored(row.preview)) == (2, rows(5_051))


def test_a_preview_that_fails_blocks_nothing_and_takes_no_earlier_one_away(scenario):
    failing = {"preview": None, "no_preview": "the shop's database is away"}
    first = scenario.file(scenario.filing(**failing))
    assert scenario.row(first.request_id).no_preview == "the shop's database is away"
    effect(scenario)
    assert (scenario.row(first.request_id).no_preview, scenario.row(first.request_id).content_version) == ("", 2)
    scenario.file(scenario.filing(**failing))
    assert stored(scenario.row(first.request_id).preview) == REFUND


def test_p2_an_approved_effect_stays_the_approved_one_whatever_the_same_call_would_do_now(scenario):
    first = effect(scenario)
    scenario.decide(first.request_id)
    again = effect(scenario, changed(effect="Refunds $1.00"))
    row = scenario.row(first.request_id)
    assert again.request_id == first.request_id
    assert (row.state, stored(row.preview)) == ("approved", REFUND)


def test_p3_a_stale_permission_is_used_up_and_the_same_call_is_asked_anew(scenario):
    first = effect(scenario)
    scenario.decide(first.request_id)
    scenario.claim(first.request_id)
    scenario.report(first.request_id, "stale", error="its effect is another by now", result=None)
    assert scenario.status(first.request_id).state == "stale"
    assert scenario.status(first.request_id).ended_because == "its effect is another by now"
    again = effect(scenario, changed(effect="Refunds $1.00"))
    assert again.created
    assert scenario.status(again.request_id).state == "pending"
    assert scenario.status(again.request_id).replaces == first.request_id
    assert scenario.claim(first.request_id, "claim-0002") is not None


def test_p8_a_preview_is_erased_with_the_other_contents(scenario):
    first = effect(scenario)
    scenario.withdraw(first.request_id)
    scenario.write(lambda tx: scenario.service.erasures.contents(tx, first.request_id, Operator("test"), "asked"))
    assert scenario.row(first.request_id).preview == ""


def test_p2_verifying_finds_a_preview_that_was_changed_behind_the_record(scenario):
    first = effect(scenario)
    assert scenario.verify_record().intact
    scenario.tampered_with = True
    scenario.run("UPDATE request SET preview = replace(preview, '120.00', '1.00') WHERE id = :id", id=first.request_id)
    assert any("its preview" in fault for fault in scenario.verify_record().faults)


def test_a_filing_takes_a_preview_as_json_and_nothing_it_does_not_know():
    fields = {"session": "s" * 8, "call_id": "c" * 8, "tool": "t", "tool_hash": "0" * 64, "arguments": {}}
    filing = Filing(**fields, preview=REFUND)
    assert Filing.model_validate_json(filing.model_dump_json()) == filing
    with pytest.raises(ValidationError):
        Filing.model_validate(fields | {"preview": {"effect": "x", "html": "<b>"}})


def test_p5_facts_with_dots_and_of_several_words_are_what_conditions_reach_for():
    facts = (
        Fact(name="sql.verb", value="delete"),
        Fact(name="sql.tables", value=("public.a",)),
        Fact(name="n", value=1),
    )
    preview = stored(dumped(Preview(effect="x", facts=facts)).decode())
    assert known_facts(preview) == {"sql": {"verb": "delete", "tables": ["public.a"]}, "n": 1}
    assert said(facts[1]) == "public.a"
    assert differs(
        preview, preview.model_copy(update={"facts": (facts[0], Fact(name="sql.tables", value=()), facts[2])})
    )


@pytest.mark.parametrize("name", ["sql.", ".sql", "sql..verb", "Sql", "sql.Verb", "a" * 41])
def test_a_fact_has_a_name_that_conditions_can_write(name):
    with pytest.raises(ValidationError):
        Fact(name=name, value=1)


def test_p5_an_effect_that_never_holds_still_is_shown_a_bounded_number_of_times(scenario, monkeypatch):
    monkeypatch.setattr(revisions, "MOST", 5)

    def file(amount, **more):
        return scenario.file(scenario.filing(preview=Preview(effect=f"Takes {amount}"), **more))

    first = file(0).request_id
    for amount in (1, 2, 3):
        file(amount)
    for _ in range(2):
        file(3, refreshes=first)
    with pytest.raises(TooMany, match="5 times while it waited") as most:
        file(4)
    assert 3_500 < most.value.extra["retry_after_seconds"] <= 3_601
    for again in (3, 4):
        with pytest.raises(TooMany, match="5 times"):
            file(again, refreshes=first)
    with pytest.raises(NotPossible, match="5 times"):
        scenario.write(lambda tx: preview_refreshes.check(tx, first, scenario.person("ann")))
    assert file(3).request_id == first, "what it shows by now can still be waited for"
    row = scenario.row(first)
    assert (row.state, row.content_version, json.loads(row.preview)["effect"]) == ("pending", 4, "Takes 3")
    assert len(scenario.rows("SELECT id FROM audit_event WHERE subject = :id", id=first)) == 6
