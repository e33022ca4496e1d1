"""Models and migrations say the same; constraints hold whatever the code does."""

import contextlib
import sqlite3

import psycopg
import pytest
from alembic import command

from approvals.service.storage import migrate


def test_models_and_migrations_agree(database_url):
    command.check(migrate.configuration(database_url))


def test_migrating_twice_changes_nothing(database_url):
    migrate.upgrade(database_url)


@pytest.mark.parametrize(
    ("promise", "statement"),
    [
        (
            "p3 one permission a request",
            "INSERT INTO permission (id, request_id, source, content_version, digest, created_at)"
            " SELECT 'x', request_id, source, content_version, digest, created_at FROM permission LIMIT 1",
        ),
        (
            "p3 one execution a permission",
            "INSERT INTO execution (id, permission_id, request_id, claim_id, session_id,"
            " claimed_at, lease_until) SELECT 'x', permission_id, 'y', 'z', session_id, 1, 1 FROM execution LIMIT 1",
        ),
        ("p3 one open request a call", "UPDATE request SET attach_key = 'same'"),
        (
            "p1 one vote a person and content",
            "INSERT INTO decision (id, request_id, content_version, digest, user_id, verdict, comment, may_ask_again,"
            " grant_terms, channel, auth_method, auth_at, session_id, address, card_hash, decided_at)"
            " SELECT 'x', request_id, content_version, digest, user_id, verdict, comment, may_ask_again,"
            " grant_terms, channel, auth_method, auth_at, session_id, address, card_hash, decided_at"
            " FROM decision LIMIT 1",
        ),
        ("p1 a key belongs to one principal", "UPDATE credential SET user_id = (SELECT id FROM user_account LIMIT 1)"),
        ("a known state", "UPDATE request SET state = 'maybe'"),
    ],
)
def test_p3_the_database_itself_refuses(house, promise, statement):
    filed = house.file()
    house.decide(filed.request_id)
    house.claim(filed.request_id)
    house.file(house.filing({"order_id": 5, "amount_cents": 1}))
    with contextlib.closing(house.service.database.connect()) as connection:
        if not house.service.database.shared:
            connection.execute("PRAGMA foreign_keys = OFF")
        with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError), match=r"(?i)unique|check"):
            connection.execute(statement)
