"""P8: whoever changes the database behind the service's back is found, and told what was changed; nobody else is."""

import contextlib
import sqlite3
from hashlib import sha256

import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner

from approvals.errors import Unauthenticated
from approvals.policy.grant_terms import Anything, GrantTerms
from approvals.protocol.messages import Decision
from approvals.service.audit import chain
from approvals.service.audit.seals import SEALED
from approvals.service.identity import sessions, sign_in_links
from approvals.service.identity.admins import Operator
from approvals.service.identity.sessions import person_of
from approvals.service.identity.users import require_user
from approvals.service.requests.decisions import Seen
from approvals.service.storage.postgres_transaction import PostgresReader
from approvals.service.storage.sqlite import AS_STORED, SqliteReader
from approvals.service.storage.tables import SignInLink, WebSession
from approvals.service.verification import verify
from approvals_web.cli.commands import app
from support.forgeries import FORGERIES
from support.lived_in import live

NOT_SEALED = {
    *("audit_event", "audit_payload", "audit_link", "policy_version", "tool_definition"),  # have proofs of their own
    *("gate_session", "session_tool", "waiting_call", "freeze_confirmation"),  # what gate processes say of themselves
    *("sign_in_attempts", "spent_login", "slack_code"),  # one-time, and gone
    *(
        "delivery",
        "slack_message",
        "freeze_telling",
        "vote_telling",
        "admin_notice",
        "request_words",
        "meta",
    ),  # told or found by what is under seal
}


def test_p8_every_table_is_under_seal_or_known_not_to_be():
    assert set(SQLModel.metadata.tables) == {*SEALED, *NOT_SEALED}


class Forger:
    """Owns the database, not the key: without triggers and foreign keys. What is done is undone."""

    def __init__(self, scenario):
        self.scenario, self.made = scenario, live(scenario)
        people = dict(scenario.rows("SELECT handle, id FROM user_account"))
        agents = dict(scenario.rows("SELECT name, id FROM agent"))
        self.names = self.made | people | agents
        assert scenario.verify_record().faults == ()

    def odd(self, column, value):
        """What is said when every row of `table.column` holds a value of another type; None where it cannot."""
        table, _, name = column.partition(".")
        with contextlib.suppress(sqlite3.IntegrityError):
            unchecked = "PRAGMA ignore_check_constraints = ON"
            return self.found([unchecked, f'UPDATE "{table}" SET "{name}" = {value} WHERE rowid = 1'])
        return None

    def found(self, statements):
        """The faults that `verify` names after these statements."""
        database, key = self.scenario.service.database, self.scenario.service.keyring.audit
        with contextlib.closing(database.connect()) as connection:
            connection.execute(
                "SET session_replication_role = replica" if database.shared else "PRAGMA foreign_keys = OFF"
            )
            connection.execute("BEGIN")
            if not database.shared:
                connection.text_factory = AS_STORED
                self.scenario.drop_triggers(connection)
            for statement in statements:
                done = connection.execute(statement.format(**self.names))
                assert done.rowcount != 0, statement
            reader = (PostgresReader if database.shared else SqliteReader)(connection, self.scenario.clock.now())
            found = verify.of(reader, key)
            connection.execute("ROLLBACK")
        return found.faults


def test_p8_every_forgery_is_found_and_named(scenario):
    forger = Forger(scenario)
    for what, (given, said) in FORGERIES.items():
        faults = forger.found([given] if isinstance(given, str) else given)
        assert any(_says(said.format(n="*", **forger.names), fault) for fault in faults), (what, said, faults)
    scenario.tampered_with = False  # all was undone


ODD = (
    *("agent.groups", "request.arguments", "request.reviewers", "request.expires_at", "permission.created_at"),
    *("permission.source", "execution.result", "standing_grant.terms", "standing_grant.expires_at", "decision.channel"),
    *("standing_grant.used", "user_account.roles", "web_session.id", "policy_version.text", "tool_definition.body"),
    *("audit_event.at", "audit_event.mac", "audit_event.subject", "audit_payload.body", "audit_payload.salt"),
    *("audit_link.mac", "audit_link.event_id"),
)
"""Columns that verifying reads, one of each kind."""


def test_p8_a_value_of_no_type_of_ours_is_a_fault_with_a_name_and_stops_nothing(scenario):
    if scenario.service.database.shared:
        pytest.skip("PostgreSQL keeps to its columns' types")
    forger = Forger(scenario)
    user = scenario.read(lambda reader: require_user(reader, "ann"))
    scenario.write(lambda tx: sessions.sign_in(tx, scenario.service.keyring, user, "password", "", ""))
    for column in ODD:
        for value in ("x'00ff'", "'x'", "CAST(x'ff' AS TEXT)", "1e999", "-1"):
            faults = forger.odd(column, value)
            assert faults != (), (column, value)
    scenario.tampered_with = False  # all was undone


def _says(said, fault):
    """Whether a fault says so; `*` is any number."""
    first, *rest = said.split("*")
    return first in fault and all(part in fault.partition(first)[2] for part in rest)


def test_p8_a_copy_of_an_event_is_refused_by_the_sequencer_and_said(scenario, caplog):
    """A database without its constraints would take it; the events of a lifted freeze are then written twice."""
    live(scenario)
    scenario.verify_record()
    rebuilt = ["CREATE TABLE copies AS SELECT * FROM audit_event", "DROP TABLE audit_event CASCADE"]
    if not scenario.service.database.shared:
        rebuilt[1] = "DROP TABLE audit_event"
    scenario.tamper(
        *rebuilt,
        "ALTER TABLE copies RENAME TO audit_event",
        "INSERT INTO audit_event SELECT 9999, at, kind, actor, subject, payload_hash, key_id, algorithm, mac"
        " FROM audit_event WHERE kind = 'freeze.lifted' AND subject = 'freeze:all'",
    )
    refused = set()
    for _ in range(2):
        assert scenario.write(lambda tx: chain.link(tx, scenario.service.keyring.audit, refused=refused)) is None
    assert refused == {9999}
    assert [record.message for record in caplog.records if "linked" in record.message] == [
        "audit event 9999 is not linked: it is a copy of another"
    ]
    (fault,) = scenario.verify_record().faults
    assert "event 9999 is a copy of another" in fault


def test_p8_what_was_changed_and_changed_back_is_found_where_the_service_went_on_with_it(scenario):
    """A quorum is lowered, one person approves, and it is raised again: the event that approved says what it found."""
    made = live(scenario)
    scenario.run(
        "UPDATE request SET quorum = 0, reviewers = :none WHERE id = :id", none='{"quorum":1}', id=made["half"]
    )
    before = scenario.row(made["half"])
    assert scenario.decide(made["half"], who="bob").state == "approved"
    scenario.run("UPDATE request SET quorum = 2 WHERE id = :id", id=made["half"])
    assert before.quorum == 0
    faults = scenario.verify_record().faults
    assert any(
        "request " + made["half"] + " was changed after event" in fault and "before" in fault for fault in faults
    )


def test_p8_an_approval_by_somebody_who_was_made_a_reviewer_for_a_moment_is_found(scenario):
    made = live(scenario)
    scenario.clock.forward(120)
    scenario.run("UPDATE user_account SET roles = 'reviewer' WHERE handle = 'cat'")
    scenario.decide(made["pending"], who="cat")
    scenario.run("UPDATE user_account SET roles = 'viewer' WHERE handle = 'cat'")
    assert scenario.verify_record().faults == (
        f"request {made['pending']}: it needed the approval of 1, and 0 who could give it are on record",
    )


def test_p1_whoever_writes_the_database_can_neither_put_a_session_in_nor_make_theirs_anothers(scenario):
    live(scenario)
    keyring = scenario.service.keyring
    ann, cat = (scenario.read(lambda reader, who=who: require_user(reader, who)) for who in ("ann", "cat"))
    cookie = scenario.write(lambda tx: sessions.sign_in(tx, keyring, cat, "password", "", ""))
    assert scenario.read(lambda reader: person_of(reader, keyring, cookie, "")).id == cat.id
    scenario.run("UPDATE web_session SET user_id = :id", id=ann.id)
    forged = f"{ann.id}.forged"
    scenario.run("UPDATE web_session SET id = :id", id=sha256(forged.encode()).hexdigest())
    assert scenario.read(lambda reader: person_of(reader, keyring, forged, "")) is None
    scenario.run("UPDATE web_session SET id = :id", id=keyring.session(cookie))
    for tried in (cookie, cookie.replace(cat.id, ann.id)):
        assert scenario.read(lambda reader, tried=tried: person_of(reader, keyring, tried, "")) is None


def test_p8_an_approval_through_a_session_that_was_put_in_for_a_moment_is_found(scenario):
    """Even if somebody could make up a cookie: that the person was never signed in is on record."""
    made = live(scenario)
    ann = scenario.person()
    cookie, row = f"{ann.id}.forged", {"user_id": ann.id, "method": "password", "user_agent": "", "address": ""}
    times = {
        "authenticated_at": scenario.clock.now(),
        "created_at": scenario.clock.now(),
        "last_seen_at": scenario.clock.now(),
    }
    session = row | times | {"expires_at": scenario.clock.now() * 2, "id": scenario.service.keyring.session(cookie)}
    scenario.write(lambda tx: tx.insert(WebSession, **session))
    person = scenario.read(lambda reader: person_of(reader, scenario.service.keyring, cookie, ""))
    asked = scenario.row(made["pending"])
    decision = Decision(verdict="approve", content_version=asked.content_version, digest=asked.digest)
    scenario.write(lambda tx: scenario.service.decisions.decide(tx, made["pending"], person, decision, Seen()))
    assert scenario.verify_record().faults[-1] == f"web_session {session['id']} was inserted: no event tells of it"
    scenario.run("DELETE FROM web_session")
    assert scenario.verify_record().faults == (
        f"request {made['pending']}: it needed the approval of 1, and 0 who could give it are on record",
    )


def test_p8_an_admin_by_an_invitation_that_was_put_in_for_a_moment_is_found(scenario):
    live(scenario)
    link = {"purpose": "invite", "roles": "admin", "name": "eve", "made_by": "cli:test", "created_at": 0}
    token = sha256(b"forged").hexdigest()
    scenario.write(lambda tx: tx.insert(SignInLink, id=token, expires_at=scenario.clock.now() * 2, **link))
    scenario.write(lambda tx: sign_in_links.spend(tx, "forged"))
    scenario.run("DELETE FROM sign_in_link")
    (fault,) = scenario.verify_record().faults
    assert fault.startswith(f"sign_in_link {token} was changed without an event, before event")


def test_p8_a_use_beyond_a_grant_that_was_widened_for_a_moment_is_found(scenario):
    asked, ann = scenario.row(live(scenario)["pending"]), scenario.person()
    decision = Decision(verdict="approve", content_version=asked.content_version, digest=asked.digest)
    terms = GrantTerms(2, 15, {"order_id": Anything(), "amount_cents": Anything()}).dump()
    scenario.write(lambda tx: scenario.service.decisions.decide(tx, asked.id, ann, decision, Seen(), terms))
    ((grant,),) = scenario.rows("SELECT id FROM standing_grant WHERE request_id = :id", id=asked.id)
    scenario.run("UPDATE standing_grant SET max_uses = 10 WHERE id = :id", id=grant)
    for order in (30, 31, 32):
        filed = scenario.file(scenario.filing({"order_id": order, "amount_cents": 300}))
        assert scenario.row(filed.request_id).state == "approved"
    unchecked = "PRAGMA ignore_check_constraints = ON"
    if scenario.service.database.shared:
        unchecked = "ALTER TABLE standing_grant DROP CONSTRAINT standing_grant_counted"
    scenario.tamper(unchecked, f"UPDATE standing_grant SET max_uses = 2 WHERE id = '{grant}'")
    faults = scenario.verify_record().faults
    assert any(f"standing_grant {grant} was changed after" in fault and "(grant.used)" in fault for fault in faults)
    assert f"standing_grant {grant} was used more often than it allows" in faults


def test_p8_a_sign_in_by_a_password_that_was_put_in_for_a_moment_is_found(scenario):
    live(scenario)
    bob = scenario.read(lambda reader: require_user(reader, "bob"))
    scenario.run("UPDATE user_account SET password_hash = 'mine' WHERE id = :id", id=bob.id)
    with pytest.raises(Unauthenticated, match="just changed"):
        scenario.write(lambda tx: sessions.sign_in(tx, scenario.service.keyring, bob, "password", "", ""))
    swapped = scenario.read(lambda reader: require_user(reader, "bob"))
    scenario.write(lambda tx: sessions.sign_in(tx, scenario.service.keyring, swapped, "password", "", ""))
    scenario.run("UPDATE user_account SET password_hash = :was WHERE id = :id", id=bob.id, was=bob.password_hash)
    faults = scenario.verify_record().faults
    assert any(f"user_account {bob.id} was changed after" in fault and "(user.signed_in)" in fault for fault in faults)


def test_p8_a_claim_under_a_freeze_that_was_lifted_for_a_moment_is_found(scenario):
    made = live(scenario)
    scenario.write(lambda tx: scenario.service.freezes.make(tx, Operator("test"), "all", "", "hold", ""))
    scenario.run("UPDATE request SET state = 'approved', attach_key = call_key WHERE id = :id", id=made["approved"])
    scenario.run('UPDATE "freeze" SET lifted_at = made_at')
    assert scenario.claim(made["approved"]) is None
    scenario.run("UPDATE \"freeze\" SET lifted_at = NULL WHERE scope = 'all' AND mode = 'hold'")
    assert any("was written while it was frozen" in fault for fault in scenario.verify_record().faults)


@pytest.mark.parametrize("forged", [False, True])
def test_p8_the_command_names_what_was_forged_and_fails(scenario, monkeypatch, forged):
    made = live(scenario)
    monkeypatch.setenv("APPROVALS_SECRET_KEY", scenario.service.keyring._secret.decode())
    if forged:
        scenario.run("UPDATE request SET state = 'approved' WHERE id = :id", id=made["pending"])
    done = CliRunner().invoke(app, ["audit", "verify", "--database-url", scenario.url])
    assert done.exit_code == forged
    said = f"NOT INTACT: request {made['pending']} was changed after event" if forged else "Intact: "
    assert said in done.output


def test_p5_a_public_address_that_the_service_did_not_write_is_found_and_printed_to_nobody(scenario, monkeypatch):
    monkeypatch.setenv("APPROVALS_SECRET_KEY", scenario.service.keyring._secret.decode())
    monkeypatch.delenv("APPROVALS_PUBLIC_URL", raising=False)
    added = ["server", "add", "till", "--database-url", scenario.url, "--label"]
    scenario.write(scenario.service.record_address)
    assert f"APPROVALS_URL={scenario.service.public_url}\n" in CliRunner().invoke(app, [*added, "one"]).output
    own = scenario.rows("SELECT value FROM meta WHERE name = 'public_url'")[0][0]
    for forged in ("https://evil.example", own.replace("http", "https")):
        scenario.run("UPDATE meta SET value = :value WHERE name = 'public_url'", value=forged)
        assert scenario.verify_record().faults == (
            "the public address was changed: start the service, which writes it anew",
        )
    done = CliRunner().invoke(app, [*added, "two"])
    assert done.exit_code == 0
    assert "APPROVALS_URL=http://127.0.0.1:8700\n" in done.output
    scenario.write(scenario.service.record_address)
    scenario.check_record()


def test_p8_honest_lives_raise_no_alarm_whatever_is_erased_rotated_or_restored(scenario):
    live(scenario)
    scenario.clock.forward(400 * 24 * 3600)
    while scenario.write(scenario.service.expiry.sweep) or scenario.write(scenario.service.erasures.sweep):
        pass
    scenario.check_record()
    scenario.write(lambda tx: scenario.service.restorations.record(tx, Operator("test")))
    while scenario.write(scenario.service.restorations.close):
        pass
    scenario.check_record()
