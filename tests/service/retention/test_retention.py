"""What is erased when, what stays, and that the record stays provable."""

import contextlib
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from approvals.errors import Invalid, NotPossible
from approvals.protocol.messages import CallRecords
from approvals.service.audit import chain
from approvals.service.identity import sessions, sign_in_links
from approvals.service.identity.admins import Operator
from approvals.service.identity.users import require_user
from approvals.service.retention import erasure
from approvals.service.retention.schedule import DAY, KINDS, Retention
from approvals.service.storage.postgres_transaction import DIALECT
from approvals.service.storage.sqlite import DIALECT as SQLITE
from approvals.service.storage.tables import DecisionRow, Edit, Execution, Request, table_of
from approvals_web.serve import serve
from approvals_web.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "retention.md"
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


def everything(scenario):
    """All that the tables hold, as text."""
    return "".join(repr(scenario.rows(f'SELECT * FROM "{name}"')) for name in SQLModel.metadata.tables)


def sweep(scenario):
    done = 0
    while found := scenario.write(scenario.service.erasures.sweep):
        done += found
    return done


def proven(scenario):
    """The chain's finding after linking what is new."""
    while scenario.write(lambda tx: chain.link(tx, scenario.service.keyring.audit)):
        pass
    return scenario.read(lambda reader: chain.verify(reader, scenario.service.keyring.audit)).finding


@pytest.fixture
def wordy(scenario):
    """Ended requests whose every kind of content has a word of its own."""
    done = scenario.file(scenario.filing({"order_id": 471112, "amount_cents": 5}, reason="parcel-47"))
    scenario.decide(done.request_id, comment="comment-48")
    scenario.claim(done.request_id)
    scenario.report(done.request_id, result="result-49", error="error-50", sealed_result="sealed-53")
    lost = scenario.lose(scenario.filing({"order_id": 471112, "amount_cents": 6}))
    scenario.verify(lost, "unclear", "check-52")
    scenario.settle(lost, "failed", "note-51")
    denied = scenario.file(scenario.filing({"order_id": 471112, "amount_cents": 7}))
    scenario.decide(denied.request_id, "deny", comment="comment-48")
    assert [word for word in WORDS if word not in everything(scenario)] == []
    return [done.request_id, lost, denied.request_id]


def test_p8_contents_are_erased_when_their_time_is_over_and_the_chain_stays_whole(scenario, wordy):
    proven(scenario)
    scenario.clock.forward(365 * DAY - 3600)
    sweep(scenario)
    left = [word for word in WORDS if word in everything(scenario)]
    assert left == [word for word in WORDS if word != "sealed-53"]
    scenario.clock.forward(3600)
    assert sweep(scenario) > 0
    assert sweep(scenario) == 0
    assert [word for word in WORDS if word in everything(scenario)] == []
    assert proven(scenario) is None
    status = scenario.status(wordy[0])
    assert (status.erased, status.state, status.decided_by) == (True, "succeeded", "Ann")
    assert (status.summary, status.result) == ("shop.refund_order (contents erased)", None)
    assert len(status.digest) == 64
    assert [scenario.events(one)[-1] for one in wordy] == ["request.erased"] * 3


def test_p8_a_payload_that_was_erased_without_saying_so_is_found(scenario, wordy):
    scenario.clock.forward(365 * DAY)
    sweep(scenario)
    assert proven(scenario) is None
    scenario.tamper("UPDATE audit_event SET subject = 'event:999999' WHERE kind = 'audit.erased'")
    finding = proven(scenario)
    assert (finding.what, "payload" in finding.detail) == ("removed", True)


def test_what_is_open_is_never_erased(scenario):
    filed = scenario.file(scenario.filing({"order_id": 471112, "amount_cents": 1}))
    scenario.clock.forward(3000 * DAY)
    scenario.sweep()  # it expires today
    sweep(scenario)
    assert "471112" in scenario.row(filed.request_id).arguments
    lost = scenario.lose(scenario.filing({"order_id": 1, "amount_cents": 1}))
    scenario.clock.forward(3000 * DAY)
    sweep(scenario)
    assert scenario.row(lost).erased_at is None


def test_never_is_never(scenario, wordy):
    scenario.service.erasures._retention = Retention.parse("calls=never,contents=never,sessions=never")
    scenario.clock.forward(10_000 * DAY)
    sweep(scenario)
    assert [word for word in WORDS if word not in everything(scenario)] == ["sealed-53"]


def test_a_sealed_result_is_kept_while_it_may_be_replayed_and_no_longer(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.report(filed.request_id, sealed_result="c2VhbGVk")
    scenario.clock.forward(599)
    assert sweep(scenario) == 0
    assert scenario.file().replayed
    assert scenario.status(filed.request_id).sealed_result == "c2VhbGVk"
    scenario.clock.forward(1)
    assert sweep(scenario) == 1
    status = scenario.status(filed.request_id)
    assert (status.sealed_result, status.result, status.erased) == (None, "refunded", False)
    assert scenario.file().created


@pytest.mark.parametrize("end", ["denied", "withdrawn", "succeeded", "settled"])
def test_sealed_arguments_are_kept_while_they_may_be_needed_and_no_longer(scenario, end):
    filed = scenario.file(scenario.filing(sealed_arguments="c2VhbGVk"))
    if end == "denied":
        scenario.decide(filed.request_id, "deny", comment="no")
    elif end == "withdrawn":
        scenario.withdraw(filed.request_id)
    else:
        scenario.decide(filed.request_id)
        scenario.claim(filed.request_id)
        if end == "settled":
            scenario.clock.forward(91)
            scenario.sweep()
            assert scenario.row(filed.request_id).sealed_arguments == "c2VhbGVk"
            scenario.settle(filed.request_id, "not_executed")
        else:
            scenario.report(filed.request_id)
    assert scenario.row(filed.request_id).sealed_arguments is None


def record(scenario, number, words):
    call = {"number": number, "ago": 0, "method": "tools/call", "arguments": words, "outcome": "ok"}
    batch = CallRecords(session=scenario.session, calls=[call], high_water=number)
    scenario.write(lambda tx: scenario.service.calls.record(tx, scenario.installation(), batch))


def test_p8_records_of_calls_lose_their_arguments_after_their_time_and_their_numbers_stay(scenario):
    for number in range(1, 60):
        record(scenario, number, f"words-{number:03}")
    scenario.clock.forward(45 * DAY)
    record(scenario, 60, "words-060")
    scenario.clock.forward(45 * DAY)
    assert sweep(scenario) > 0
    assert sweep(scenario) == 0
    held = everything(scenario)
    assert [number for number in range(1, 61) if f"words-{number:03}" in held] == [60]
    assert '"first":17,"last":17,"session":"session-0001"' in held
    assert proven(scenario) is None
    scenario.clock.forward(45 * DAY)
    sweep(scenario)
    assert "words-060" not in everything(scenario)
    assert proven(scenario) is None


def test_ended_sessions_and_spent_links_go_and_live_ones_stay(scenario):
    service = scenario.service
    user = scenario.read(lambda reader: require_user(reader, "ann"))

    def sign_in(tx):
        return sessions.sign_in(tx, service.keyring, user, "password", "203.0.113.9", "agent-string")

    scenario.write(sign_in)
    spent = scenario.write(lambda tx: sign_in_links.make(tx, Operator("test"), "invite", name="carl", roles="reviewer"))
    scenario.write(lambda tx: sign_in_links.spend(tx, spent))
    scenario.clock.forward(29 * DAY)
    scenario.write(sign_in)
    scenario.write(lambda tx: sign_in_links.make(tx, Operator("test"), "invite", name="dora", roles="reviewer"))
    scenario.clock.forward(9 * DAY)
    sweep(scenario)
    connection = scenario.service.database.connect()
    browsers = connection.execute("SELECT count(*) FROM web_session").fetchone()[0]
    links = connection.execute("SELECT name FROM sign_in_link").fetchall()
    connection.close()
    assert (browsers, links) == (1, [("dora",)])
    assert scenario.events("retention") == ["sessions.deleted"] * len(scenario.events("retention"))


def test_contents_are_erased_on_demand_once_and_only_when_ended(scenario, wordy):
    filed = scenario.file(scenario.filing({"order_id": 8, "amount_cents": 8}))

    def erase(request_id):
        scenario.write(
            lambda tx: scenario.service.erasures.contents(tx, request_id, Operator("ops"), "erased on demand")
        )

    with pytest.raises(NotPossible, match="only what has ended"):
        erase(filed.request_id)
    erase(wordy[2])
    with pytest.raises(NotPossible, match="before"):
        erase(wordy[2])
    assert scenario.status(wordy[2]).comment is None
    assert scenario.status(wordy[0]).comment == "comment-48"
    assert proven(scenario) is None


def test_erasing_forgets_for_whom_an_agent_said_it_acted(scenario):
    filing = scenario.filing(
        {"order_id": 9, "amount_cents": 9}, on_behalf_of="carl@example.com", agent_session="run-carl"
    )
    filed = scenario.file(filing)
    scenario.decide(filed.request_id, "deny", comment="no")
    scenario.write(
        lambda tx: scenario.service.erasures.contents(tx, filed.request_id, Operator("ops"), "erased on demand")
    )
    row = scenario.row(filed.request_id)
    assert (row.on_behalf_of, row.agent_session, row.trace_id) == ("", "", "")
    assert "carl" not in everything(scenario)


def test_two_sweeps_at_once_erase_and_record_each_request_once(scenario, wordy):
    scenario.clock.forward(365 * DAY)
    other = scenario.service.erasures
    sweep(scenario)
    scenario.write(other.sweep)
    assert [scenario.events(one).count("request.erased") for one in wordy] == [1, 1, 1]


@pytest.mark.parametrize("statement", ["_UNSEAL", "_OLD", "_AFTER", "_ABOUT", "_ERASE_EXECUTION"])
def test_a_sweep_finds_what_is_due_by_an_index(scenario, statement):
    names = {"now": 1, "before": 1, "after": 1, "subject": "x", "of": "x", "param_1": 1}
    postgres = scenario.service.database.shared
    compiled = getattr(erasure, statement).compiled(DIALECT if postgres else SQLITE)
    plan, slow = ("", "Seq Scan") if postgres else ("QUERY PLAN ", "SCAN")
    with contextlib.closing(scenario.service.database.connect()) as connection:
        if postgres:
            connection.execute("SET enable_seqscan = off")  # so few rows would be read one after another
        rows = connection.execute(f"EXPLAIN {plan}{compiled.sql}", compiled.bind(names)).fetchall()
    steps = [str(row[-1]) for row in rows]
    assert not [step for step in steps if slow in step], steps


def test_erasing_touches_every_text_column_that_holds_words():
    of_the_rule = {"snapshot", "grants", "notify", "reminders", "reviewers", "edits"}
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
    known |= {"ended_because", "proposed", "edited", "suggestion"}
    assert {column.name for column in table_of(Request).columns if str(column.type) == "TEXT"} == known | of_the_rule
    known = {"settled_note", "contradiction", "checked_note", "result", "error", "sealed_result"}
    assert {column.name for column in table_of(Execution).columns if str(column.type) == "TEXT"} == known
    known = {"arguments", "reason", "refused"}
    assert {column.name for column in table_of(Edit).columns if str(column.type) == "TEXT"} == known
    known = {"comment", "grant_terms", "suggestion"}
    assert {column.name for column in table_of(DecisionRow).columns if str(column.type) == "TEXT"} == known
