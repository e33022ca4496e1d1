"""Models and migrations say the same; constraints hold whatever the code does."""

import contextlib
import sqlite3

import psycopg
import pytest
import sqlalchemy
from alembic import command

from approvals.errors import Unavailable
from approvals.service.storage import migrate

pytestmark = pytest.mark.databases("both")


def test_models_and_migrations_agree(database_url):
    command.check(migrate.configuration(database_url))


def test_every_constraint_and_index_has_a_name_and_no_two_are_equal(database_url):
    scheme, rest = database_url.split("://", 1)
    engine = sqlalchemy.create_engine(f"{'sqlite' if scheme == 'sqlite' else 'postgresql+psycopg'}://{rest}")
    found = sqlalchemy.inspect(engine)
    tables = [name for name in found.get_table_names() if not name.startswith(("alembic", "request_text"))]
    names = [
        constraint["name"]
        for table in tables
        for constraint in (
            found.get_pk_constraint(table),
            *found.get_foreign_keys(table),
            *found.get_check_constraints(table),
            *found.get_unique_constraints(table),
            *(index for index in found.get_indexes(table) if not index.get("duplicates_constraint")),
        )
    ]
    engine.dispose()
    if scheme == "sqlite":  # its counted keys are written in their column, where a name has no place
        names = [name for name in names if name is not None]
    assert None not in names
    assert len(names) == len(set(names)) > 140
    assert max(map(len, names)) <= 63, "what PostgreSQL keeps of a name"


def test_going_down_leaves_nothing_and_up_again_works(database_url):
    command.downgrade(migrate.configuration(database_url), "base")
    migrate.upgrade(database_url)
    command.check(migrate.configuration(database_url))


def test_p5_a_database_of_another_version_is_left_alone(database_url):
    scheme, rest = database_url.split("://", 1)
    engine = sqlalchemy.create_engine(f"{'sqlite' if scheme == 'sqlite' else 'postgresql+psycopg'}://{rest}")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(Unavailable, match="another version"):
        migrate.upgrade(database_url)


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
            " grant_terms, suggestion, channel, auth_method, auth_at, session_id, address, card_hash, decided_at)"
            " SELECT 'x', request_id, content_version, digest, user_id, verdict, comment, may_ask_again,"
            " grant_terms, suggestion, channel, auth_method, auth_at, session_id, address, card_hash, decided_at"
            " FROM decision LIMIT 1",
        ),
        ("p1 a key belongs to one principal", "UPDATE credential SET user_id = (SELECT id FROM user_account LIMIT 1)"),
        ("a known state", "UPDATE request SET state = 'maybe'"),
    ],
)
def test_p3_the_database_itself_refuses(scenario, promise, statement):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.file(scenario.filing({"order_id": 5, "amount_cents": 1}))
    with contextlib.closing(scenario.service.database.connect()) as connection:
        if not scenario.service.database.shared:
            connection.execute("PRAGMA foreign_keys = OFF")
        with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError), match=r"(?i)unique|check"):
            connection.execute(statement)
