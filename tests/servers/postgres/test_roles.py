"""The server starts with roles that may what they must and no more, which are those that `init` prints."""

import subprocess
import sys

import pytest

from approvals_server.postgres.role import Role
from approvals_server.postgres.roles import refusals
from support.processes import clean_environment

pytestmark = pytest.mark.databases("one")


def name(role):
    return next(part.removeprefix("user=") for part in role.url.split() if part.startswith("user="))


async def test_the_roles_that_init_prints_are_fit(place):
    assert await refusals(place.reader, place.writer) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("GRANT DELETE ON orders TO {role}", "The read role is not fit: it can write public.orders."),
        ("GRANT UPDATE (status) ON orders TO {role}", "it can write public.orders"),
        ("GRANT INSERT ON orders TO PUBLIC", "it can write public.orders"),
        ("CREATE ROLE {role}_more; GRANT DELETE ON audit TO {role}_more; GRANT {role}_more TO {role}", "public.audit"),
        ("GRANT CREATE ON SCHEMA public TO {role}", "it can create tables in the schema public"),
        ("ALTER ROLE {role} SUPERUSER", "powers beyond reading"),
        ("ALTER ROLE {role} CREATEROLE", "createrole"),
        ("GRANT pg_execute_server_program TO {role}", "it is a member of pg_execute_server_program"),
        ("GRANT EXECUTE ON FUNCTION pg_cancel_backend TO PUBLIC", "it may execute pg_cancel_backend(integer)"),
        ("GRANT EXECUTE ON FUNCTION pg_logical_emit_message(bool, text, text, bool) TO {role}", "REVOKE EXECUTE"),
        ("GRANT pg_write_all_data TO {role}", "public.audit, public.customer"),
    ],
)
async def test_p5_a_read_role_that_could_write_is_refused(place, change, said):
    role = name(place.reader)
    try:
        place.run(change.format(role=role))
        assert said in " ".join(await refusals(place.reader, None))
    finally:
        place.run(f"DROP OWNED BY {role}_more; DROP ROLE {role}_more" if "_more" in change else "SELECT 1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER ROLE {role} SUPERUSER", "The write role is not fit: it is a role with powers beyond writing rows"),
        ("ALTER ROLE {role} BYPASSRLS", "bypassrls"),
        ("GRANT EXECUTE ON FUNCTION pg_terminate_backend TO {role}", "pg_terminate_backend"),
        ("GRANT pg_write_server_files TO {role}", "pg_write_server_files"),
        ("REVOKE INSERT ON approvals.write_marker FROM {role}", "approvals-postgres init"),
        ("DROP TABLE approvals.write_marker", "approvals-postgres init"),
    ],
)
async def test_p5_a_write_role_that_may_too_much_or_too_little_is_refused(place, change, said):
    place.run(change.format(role=name(place.writer)))
    assert said in " ".join(await refusals(place.reader, place.writer))


async def test_a_database_that_is_away_is_said_without_its_address(tmp_path):
    away = Role(f"postgresql://somebody:hunter2@/nowhere?host={tmp_path}")
    assert await refusals(away, None) == ["The read role cannot be tried: The database cannot be reached now."]


def command(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "approvals_server.postgres.cli", *words],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_p5_it_does_not_start_with_a_role_that_can_write_and_never_says_its_address(place):
    done = command(POSTGRES_READ_URL=place.writer.url)
    assert done.returncode == 1
    assert "approvals-postgres: The read role is not fit: it can write" in done.stderr
    assert place.writer.url not in done.stderr
    assert "POSTGRES_READ_URL is not set" in command().stderr
    assert "cannot be read" in command(POSTGRES_READ_URL="file:/nowhere").stderr
    wrong = command(POSTGRES_READ_URL="postgresql://somebody:hunter2@[nowhere")
    assert (wrong.returncode, "hunter2" in wrong.stderr + wrong.stdout) == (1, False)
    assert "The address is none that can be read" in wrong.stderr
    assert "--name is empty" in command("--name", " ").stderr
    assert "is not HOST:PORT" in command("--http", "127.0.0.1:99999").stderr


@pytest.mark.parametrize(
    "url", ["postgresql//somebody:hunter2@x", "postgresql://somebody:hunter2\udcff@x/y", "postgresql://x/y?hunter2=1"]
)
async def test_an_address_that_cannot_be_read_is_said_without_it(url):
    (why,) = await refusals(Role(url), None)
    assert "The address is none that can be read" in why
    assert "hunter2" not in why


@pytest.mark.slow
def test_init_prints_the_sql_with_the_tables_that_may_be_written():
    done = command("init", "--schema", "shop", "--writes", 'shop.or"ders')
    assert 'GRANT SELECT ON ALL TABLES IN SCHEMA "shop" TO "approvals_read";' in done.stdout
    assert 'GRANT SELECT, INSERT, UPDATE, DELETE ON "shop"."or""ders" TO "approvals_write";' in done.stdout
    assert "approvals_write" not in command("init").stdout
    assert "is not SCHEMA.TABLE" in command("init", "--writes", "orders").stderr
