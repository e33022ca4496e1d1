"""P8: what was recorded cannot be changed, removed, inserted, reordered or cut off unseen."""

import contextlib
import json
import sqlite3

import psycopg
import pytest
from sqlalchemy import text
from sqlmodel import SQLModel

from approvals.service.audit import chain
from approvals.service.audit.kinds import Kind
from approvals.service.audit.log import erase_payload
from approvals.service.identity import sessions
from approvals.service.identity.sessions import person_of
from approvals.service.identity.users import require_user
from approvals.service.storage.statements import Statement

OF_7 = "payload_hash = (SELECT payload_hash FROM audit_event WHERE id = 7)"


@pytest.fixture
def log(scenario):
    """Ten linked events about calls, and the head."""
    for number in range(5):
        filed = scenario.file(scenario.filing({"order_id": number, "amount_cents": 1}))
        scenario.decide(filed.request_id)
    while scenario.write(lambda tx: chain.link(tx, scenario.service.keyring.audit)):
        pass
    return scenario


def verify(scenario, head=None):
    return scenario.read(lambda reader: chain.verify(reader, scenario.service.keyring.audit, head))


def test_p8_an_untouched_chain_verifies_and_names_its_head(log):
    found = verify(log)
    assert (found.finding, found.unlinked) == (None, 0)
    assert found.head is not None
    assert verify(log, found.head).finding is None


def test_p8_new_events_are_counted_until_they_are_linked(log):
    log.file(log.filing({"order_id": 99, "amount_cents": 1}))
    assert verify(log).unlinked == 1


@pytest.mark.parametrize(
    ("statements", "what", "seq"),
    [
        (["UPDATE audit_event SET actor = 'user:mallory' WHERE id = 7"], "changed", 7),
        (["UPDATE audit_event SET at = at + 1 WHERE id = 7"], "changed", 7),
        (["UPDATE audit_payload SET body = '{}' WHERE " + OF_7], "changed", 7),
        (["DELETE FROM audit_payload WHERE " + OF_7], "removed", 7),
        (["DELETE FROM audit_event WHERE id = 7"], "removed", 7),
        (["DELETE FROM audit_link WHERE seq = 7", "DELETE FROM audit_event WHERE id = 7"], "removed", 7),
        (["UPDATE audit_link SET mac = (SELECT mac FROM audit_link WHERE seq = 8) WHERE seq = 7"], "changed", 7),
        (
            [
                "UPDATE audit_link SET event_id = -1 WHERE seq = 7",
                "UPDATE audit_link SET event_id = 7 WHERE seq = 8",
                "UPDATE audit_link SET event_id = 8 WHERE seq = 7",
            ],
            "changed",
            7,
        ),
        (
            [
                "INSERT INTO audit_event SELECT 1000, at, 'request.approved', actor, subject, 'forged', key_id,"
                " algorithm, mac FROM audit_event WHERE id = 7"
            ],
            "inserted",
            None,
        ),
        (
            [
                "INSERT INTO audit_event SELECT 0, at, kind, actor, subject, 'forged', key_id, algorithm, mac"
                " FROM audit_event WHERE id = 7"
            ],
            "inserted",
            None,
        ),
    ],
)
def test_p8_the_first_record_that_was_tampered_with_is_found(log, statements, what, seq):
    log.tamper(*statements)
    finding = verify(log).finding
    assert finding is not None
    assert finding.what == what
    assert seq is None or finding.seq == seq


def test_p8_a_forged_event_is_never_linked(log):
    log.tamper(
        "INSERT INTO audit_event SELECT 1000, at, 'request.approved', actor, subject, 'forged', key_id, algorithm, mac"
        " FROM audit_event WHERE id = 7",
    )
    log.file(log.filing({"order_id": 99, "amount_cents": 1}))
    log.write(lambda tx: chain.link(tx, log.service.keyring.audit))
    finding = verify(log).finding
    assert finding is not None
    assert finding.what == "inserted"


def test_p8_a_cut_off_end_is_found_by_a_head_kept_elsewhere(log):
    head = verify(log).head
    assert head is not None
    log.tamper(
        "DELETE FROM audit_link WHERE seq > 8",
        "DELETE FROM audit_payload WHERE payload_hash IN (SELECT payload_hash FROM audit_event WHERE id > 8)",
        "DELETE FROM audit_event WHERE id > 8",
    )
    assert verify(log).finding is None
    finding = verify(log, chain.Head.parse(str(head))).finding
    assert (finding.what, finding.seq) == ("cut off", 9)


def test_p8_a_rewritten_history_is_found_by_a_head_kept_elsewhere(log):
    assert verify(log, chain.Head(5, "0" * 64)).finding.seq == 5


def test_p8_an_erased_payload_leaves_the_chain_whole(log):
    def erase(tx):
        (event,) = tx.all(Statement(text("SELECT * FROM audit_event WHERE id = 7")))
        ((body,),) = log.rows("SELECT body FROM audit_payload WHERE " + OF_7)
        erase_payload(tx, event, "test", json.loads(body))

    log.write(erase)
    assert log.rows("SELECT 1 FROM audit_payload WHERE " + OF_7) == []
    assert verify(log).finding is None


APPEND_ONLY = ["audit_event", "audit_link", "audit_payload", "tool_definition", "policy_version"]
EVERYWHERE = (
    "DELETE FROM {table}",
    "UPDATE {table} SET {column} = {column}",
    "INSERT INTO {table} SELECT * FROM {table} WHERE true "
    "ON CONFLICT ({key}) DO UPDATE SET {column} = {table}.{column}",
)
ELSE = {False: "REPLACE INTO {table} SELECT * FROM {table}", True: "TRUNCATE {table} CASCADE"}
"""On SQLite, and on PostgreSQL."""


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_p8_records_are_append_only(log, table):
    """`REPLACE` deletes what is in its way, and SQLite tells no DELETE trigger of it."""
    columns = SQLModel.metadata.tables[table].columns
    names = {"table": table, "column": columns.keys()[0], "key": ", ".join(c.name for c in columns if c.primary_key)}
    before = log.rows(f"SELECT * FROM {table}")
    changes = (*EVERYWHERE, ELSE[log.service.database.shared])
    for statement in changes[table == "audit_payload" :]:  # payloads may be erased
        refused = pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException), match="append-only")
        with contextlib.closing(log.service.database.connect()) as connection, refused:
            connection.execute(statement.format(**names))
    assert log.rows(f"SELECT * FROM {table}") == before != []


def test_p8_a_gate_that_died_is_itself_a_record(scenario):
    scenario.clock.forward(61)
    scenario.write(scenario.service.expiry.lose_silent)
    scenario.write(scenario.service.expiry.lose_silent)
    assert scenario.events(scenario.installation().id) == ["session.lost"]


@pytest.mark.parametrize("text", ["", "7", "7:abc", "x:" + "0" * 64])
def test_a_head_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"head|invalid literal"):
        chain.Head.parse(text)


def test_p8_text_that_is_none_in_one_event_stops_no_other_one_and_is_reported(log):
    if log.service.database.shared:
        pytest.skip("PostgreSQL takes no text that is none")
    log.file(log.filing({"order_id": 98, "amount_cents": 1}))
    spoiled = log.rows("SELECT max(id) FROM audit_event")[0][0]
    later = log.file(log.filing({"order_id": 99, "amount_cents": 1}))
    log.tamper(f"UPDATE audit_event SET actor = CAST(x'ff' AS TEXT) WHERE id = {spoiled}")
    while log.write(lambda tx: chain.link(tx, log.service.keyring.audit)):
        pass
    linked = "SELECT count(*) FROM audit_link JOIN audit_event ON event_id = audit_event.id WHERE subject = :id"
    assert log.rows(linked, id=later.request_id) == [(1,)]
    assert log.rows("SELECT count(*) FROM audit_link WHERE event_id = :id", id=spoiled) == [(0,)]
    found = log.service.database.as_of_now(lambda reader: chain.verify(reader, log.service.keyring.audit))
    assert f"event {spoiled} was not written by this service" in str(found.finding)


def test_p8_what_a_person_does_names_the_session_by_which_they_did_it_and_not_what_opens_it(scenario):
    user = scenario.read(lambda reader: require_user(reader, "ann"))
    opens = scenario.write(lambda tx: sessions.sign_in(tx, scenario.service.keyring, user, "password", "", ""))
    ann = scenario.read(lambda reader: person_of(reader, scenario.service.keyring, opens, ""))
    scenario.write(lambda tx: scenario.service.freezes.make(tx, ann, "all", "", "refuse", ""))
    ((actor, body),) = scenario.rows(
        "SELECT actor, body FROM audit_event JOIN audit_payload USING (payload_hash) WHERE kind = 'freeze.made'"
    )
    assert (actor, json.loads(body)["by_session"]) == (f"user:{user.id}", ann.session_id)
    assert opens.partition(".")[2] not in body and ann.session_id != opens


@pytest.mark.parametrize(("events", "steps"), [(1, 1), (chain.BATCH - 1, 1), (chain.BATCH, 2), (chain.BATCH + 1, 2)])
async def test_p8_all_that_is_there_is_linked_and_what_is_not_there_is_not_looked_for(
    scenario, monkeypatch, events, steps
):
    scenario.write(lambda tx: chain.link(tx, scenario.service.keyring.audit))
    scenario.write(lambda tx: [tx.record(Kind.SERVER_ADDED, "test", str(number)) for number in range(events)])
    original, linked = chain.link, []

    def link(*arguments):
        linked.append(original(*arguments))
        return linked[-1]

    monkeypatch.setattr(chain, "link", link)
    scenario.service.database.start()
    try:
        await scenario.service.link_events()
    finally:
        scenario.service.database.stop()
    assert len(linked) == steps
    assert verify(scenario).unlinked == 0
