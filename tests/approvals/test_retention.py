"""What is erased when, what stays, and that the record stays provable."""

import contextlib
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from approvals.errors import Invalid, NotPossible
from approvals.protocol.messages import CallRecords
from approvals.service.audit import chain
from approvals.service.identity.users import require_user
from approvals.service.retention import erasure
from approvals.service.retention.schedule import DAY, KINDS, Retention
from approvals.service.storage.postgres import DIALECT
from approvals.service.storage.sqlite import DIALECT as SQLITE
from approvals.service.storage.tables import Execution, Request, table_of
from approvals_web.serve import serve
from approvals_web.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "retention.md"
WORDS = ("parcel-47", "comment-48", "result-49", "error-50", "471112", "note-51", "check-52", "sealed-53")


def test_the_documented_table_is_the_one_that_is_obeyed():
    lines = ["| what | kept | then | setting |", "|---|---|---|---|"]
    lines += [
        f"| {kind.what} | {kind.kept} | {kind.then} | {f'`{kind.name}`' if kind.name else ''} |" for kind in KINDS
    ]
    assert "\n".join(lines) in PAGE.read_text(encoding="utf-8")


def test_what_is_not_named_keeps_its_default():
    kept = Retention.parse(" calls=12h , contents=never,")
    assert kept.seconds == {"calls": 12 * 3600, "contents": None, "sessions": 30 * DAY, "deliveries": 30 * DAY}
    assert (
        Retention.parse("").seconds
        == Retention().seconds
        == {
            "calls": 90 * DAY,
            "contents": 365 * DAY,
            "sessions": 30 * DAY,
            "deliveries": 30 * DAY,
        }
    )


@pytest.mark.parametrize(
    "text",
    [
        *("calls", "calls=", "calls=90", "calls=-1d", "calls=1.5d", "calls=0h", "contents=1h", "contents=23h"),
        *("words=1d", "calls=1d,calls=2d", "calls = forever", "facts=1d", "calls=9999999d", "calls=\u0663d"),
    ],
)
def test_p5_a_retention_that_cannot_be_read_is_refused_before_anything_starts(text, tmp_path):
    database = tmp_path / "approvals.db"
    with pytest.raises(Invalid, match="APPROVALS_RETENTION") as refused:
        serve(Settings(database_url=f"sqlite:///{database}", retention=text), demo=False)
    assert "calls=90d" in refused.value.hint
    assert not database.exists()


def everything(house):
    """All that the tables hold, as text."""
    return "".join(repr(house.rows(f'SELECT * FROM "{name}"')) for name in SQLModel.metadata.tables)


def sweep(house):
    done = 0
    while found := house.write(house.service.erasures.sweep):
        done += found
    return done


def proven(house):
    """The chain's finding after linking what is new."""
    while house.write(lambda tx: chain.link(tx, house.service.keyring.audit)):
        pass
    return house.read(lambda reader: chain.verify(reader, house.service.keyring.audit)).finding


@pytest.fixture
def wordy(house):
    """Ended requests whose every kind of content has a word of its own."""
    done = house.file(house.filing({"order_id": 471112, "amount_cents": 5}, reason="parcel-47"))
    house.decide(done.request_id, comment="comment-48")
    house.claim(done.request_id)
    house.report(done.request_id, result="result-49", error="error-50", sealed_result="sealed-53")
    lost = house.lose(house.filing({"order_id": 471112, "amount_cents": 6}))
    house.verify(lost, "unclear", "check-52")
    house.settle(lost, "failed", "note-51")
    denied = house.file(house.filing({"order_id": 471112, "amount_cents": 7}))
    house.decide(denied.request_id, "deny", comment="comment-48")
    assert [word for word in WORDS if word not in everything(house)] == []
    return [done.request_id, lost, denied.request_id]


def test_p8_contents_are_erased_when_their_time_is_over_and_the_chain_stays_whole(house, wordy):
    proven(house)
    house.clock.forward(365 * DAY - 3600)
    sweep(house)
    left = [word for word in WORDS if word in everything(house)]
    assert left == [word for word in WORDS if word != "sealed-53"]
    house.clock.forward(3600)
    assert sweep(house) > 0
    assert sweep(house) == 0
    assert [word for word in WORDS if word in everything(house)] == []
    assert proven(house) is None
    status = house.status(wordy[0])
    assert (status.erased, status.state, status.decided_by) == (True, "succeeded", "Ann")
    assert (status.summary, status.result) == ("shop.refund_order (contents erased)", None)
    assert len(status.digest) == 64
    assert [house.events(one)[-1] for one in wordy] == ["request.erased"] * 3


def test_p8_a_payload_that_was_erased_without_saying_so_is_found(house, wordy):
    house.clock.forward(365 * DAY)
    sweep(house)
    assert proven(house) is None
    house.tamper("UPDATE audit_event SET subject = 'event:999999' WHERE kind = 'audit.erased'")
    finding = proven(house)
    assert (finding.what, "payload" in finding.detail) == ("removed", True)


def test_what_is_open_is_never_erased(house):
    filed = house.file(house.filing({"order_id": 471112, "amount_cents": 1}))
    house.clock.forward(3000 * DAY)
    house.sweep()  # it expires today
    sweep(house)
    assert "471112" in house.row(filed.request_id).arguments
    lost = house.lose(house.filing({"order_id": 1, "amount_cents": 1}))
    house.clock.forward(3000 * DAY)
    sweep(house)
    assert house.row(lost).erased_at is None


def test_never_is_never(house, wordy):
    house.service.erasures._retention = Retention.parse("calls=never,contents=never,sessions=never")
    house.clock.forward(10_000 * DAY)
    sweep(house)
    assert [word for word in WORDS if word not in everything(house)] == ["sealed-53"]


def test_a_sealed_result_is_kept_while_it_may_be_replayed_and_no_longer(house):
    filed = house.file()
    house.decide(filed.request_id)
    house.claim(filed.request_id)
    house.report(filed.request_id, sealed_result="c2VhbGVk")
    house.clock.forward(599)
    assert sweep(house) == 0
    assert house.file().replayed
    assert house.status(filed.request_id).sealed_result == "c2VhbGVk"
    house.clock.forward(1)
    assert sweep(house) == 1
    status = house.status(filed.request_id)
    assert (status.sealed_result, status.result, status.erased) == (None, "refunded", False)
    assert house.file().created


@pytest.mark.parametrize("end", ["denied", "withdrawn", "succeeded", "settled"])
def test_sealed_arguments_are_kept_while_they_may_be_needed_and_no_longer(house, end):
    filed = house.file(house.filing(sealed_arguments="c2VhbGVk"))
    if end == "denied":
        house.decide(filed.request_id, "deny", comment="no")
    elif end == "withdrawn":
        house.withdraw(filed.request_id)
    else:
        house.decide(filed.request_id)
        house.claim(filed.request_id)
        if end == "settled":
            house.clock.forward(91)
            house.sweep()
            assert house.row(filed.request_id).sealed_arguments == "c2VhbGVk"
            house.settle(filed.request_id, "not_executed")
        else:
            house.report(filed.request_id)
    assert house.row(filed.request_id).sealed_arguments is None


def record(house, number, words):
    call = {"number": number, "ago": 0, "method": "tools/call", "arguments": words, "outcome": "ok"}
    batch = CallRecords(session=house.session, calls=[call], high_water=number)
    house.write(lambda tx: house.service.calls.record(tx, house.installation(), batch))


def test_p8_records_of_calls_lose_their_arguments_after_their_time_and_their_numbers_stay(house):
    for number in range(1, 60):
        record(house, number, f"words-{number:03}")
    house.clock.forward(45 * DAY)
    record(house, 60, "words-060")
    house.clock.forward(45 * DAY)
    assert sweep(house) > 0
    assert sweep(house) == 0
    held = everything(house)
    assert [number for number in range(1, 61) if f"words-{number:03}" in held] == [60]
    assert '"first":17,"last":17,"session":"session-0001"' in held
    assert proven(house) is None
    house.clock.forward(45 * DAY)
    sweep(house)
    assert "words-060" not in everything(house)
    assert proven(house) is None


def test_ended_sessions_and_spent_links_go_and_live_ones_stay(house):
    service = house.service
    user = house.read(lambda reader: require_user(reader, "ann"))

    def sign_in(tx):
        return service.people.sign_in(tx, user, "password", "203.0.113.9", "agent-string")

    house.write(sign_in)
    spent = house.write(lambda tx: service.sign_in_links.make(tx, "test", "invite", name="carl", roles="reviewer"))
    house.write(lambda tx: service.sign_in_links.spend(tx, spent))
    house.clock.forward(29 * DAY)
    house.write(sign_in)
    house.write(lambda tx: service.sign_in_links.make(tx, "test", "invite", name="dora", roles="reviewer"))
    house.clock.forward(9 * DAY)
    sweep(house)
    connection = house.service.database.connect()
    sessions = connection.execute("SELECT count(*) FROM web_session").fetchone()[0]
    links = connection.execute("SELECT name FROM sign_in_link").fetchall()
    connection.close()
    assert (sessions, links) == (1, [("dora",)])
    assert house.events("retention") == ["sessions.deleted"] * len(house.events("retention"))


def test_contents_are_erased_on_demand_once_and_only_when_ended(house, wordy):
    filed = house.file(house.filing({"order_id": 8, "amount_cents": 8}))

    def erase(request_id):
        house.write(lambda tx: house.service.erasures.contents(tx, request_id, "cli:ops", "erased on demand"))

    with pytest.raises(NotPossible, match="only what has ended"):
        erase(filed.request_id)
    erase(wordy[2])
    with pytest.raises(NotPossible, match="before"):
        erase(wordy[2])
    assert house.status(wordy[2]).comment is None
    assert house.status(wordy[0]).comment == "comment-48"
    assert proven(house) is None


def test_erasing_forgets_for_whom_an_agent_said_it_acted(house):
    filing = house.filing({"order_id": 9, "amount_cents": 9}, on_behalf_of="carl@example.com", agent_session="run-carl")
    filed = house.file(filing)
    house.decide(filed.request_id, "deny", comment="no")
    house.write(lambda tx: house.service.erasures.contents(tx, filed.request_id, "cli:ops", "erased on demand"))
    row = house.row(filed.request_id)
    assert (row.on_behalf_of, row.agent_session, row.trace_id) == ("", "", "")
    assert "carl" not in everything(house)


def test_two_sweeps_at_once_erase_and_record_each_request_once(house, wordy):
    house.clock.forward(365 * DAY)
    other = house.service.erasures
    sweep(house)
    house.write(other.sweep)
    assert [house.events(one).count("request.erased") for one in wordy] == [1, 1, 1]


@pytest.mark.parametrize("statement", ["_UNSEAL", "_OLD", "_AFTER", "_ABOUT", "_ERASE_EXECUTION"])
def test_a_sweep_finds_what_is_due_by_an_index(house, statement):
    names = {"now": 1, "before": 1, "after": 1, "subject": "x", "of": "x", "param_1": 1}
    postgres = house.service.database.shared
    compiled = getattr(erasure, statement).compiled(DIALECT if postgres else SQLITE)
    plan, slow = ("", "Seq Scan") if postgres else ("QUERY PLAN ", "SCAN")
    with contextlib.closing(house.service.database.connect()) as connection:
        if postgres:
            connection.execute("SET enable_seqscan = off")  # so few rows would be read one after another
        rows = connection.execute(f"EXPLAIN {plan}{compiled.sql}", compiled.bind(names)).fetchall()
    steps = [str(row[-1]) for row in rows]
    assert not [step for step in steps if slow in step], steps


def test_erasing_touches_every_text_column_that_holds_words():
    of_the_rule = {"snapshot", "grants", "notify", "reminders", "reviewers"}
    known = {
        "arguments",
        "sealed_arguments",
        "preview",
        "no_preview",
        "summary",
        "reason",
        "client",
        "facts",
        "comment",
    }
    known |= {"ended_because"}
    assert {column.name for column in table_of(Request).columns if str(column.type) == "TEXT"} == known | of_the_rule
    known = {"settled_note", "contradiction", "checked_note", "result", "error", "sealed_result"}
    assert {column.name for column in table_of(Execution).columns if str(column.type) == "TEXT"} == known
