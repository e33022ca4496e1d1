"""Each attack on the read path is refused by the database, or harmless: nothing is changed, locked, heard or leaked."""

import dataclasses
from pathlib import Path

import anyio
import psycopg
import pytest

from approvals_server.postgres.errors import Refused
from approvals_server.postgres.search import search
from servers.postgres import attacks

pytestmark = pytest.mark.databases("one")
DOC = Path(__file__).parents[3] / "docs" / "servers" / "postgres.md"
LEFT = """
SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')
     + (SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND state = 'active')
"""
SETUP = """
CREATE FUNCTION clean() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; RETURN 1; END $$;
CREATE FUNCTION clean_as_owner() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN DELETE FROM orders; RETURN 1; END $$;
CREATE FUNCTION clean_at_planning() RETURNS bigint LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER AS
    $$ BEGIN DELETE FROM orders; RETURN 1; END $$;
CREATE SEQUENCE open_seq;
"""


@pytest.fixture(scope="module")
def attacked(lasting_place):
    place = lasting_place
    place.run(SETUP)
    place.run(f"GRANT ALL ON SEQUENCE open_seq TO {psycopg.conninfo.conninfo_to_dict(place.reader.url)['user']}")
    return dataclasses.replace(place, reader=dataclasses.replace(place.reader, read_seconds=0.5))


@pytest.mark.parametrize("attack", [pytest.param(attack, id=attack.name) for attack in attacks.ATTACKS])
async def test_p5_an_attack_on_the_read_path_is_refused_or_harmless(attacked, attack):
    before = attacked.world(), attacked.run("SELECT last_value, is_called FROM open_seq")
    with psycopg.connect(attacked.url, autocommit=True) as listening:
        listening.execute("LISTEN orders")
        if attack.outcome == attacks.REFUSED:
            with pytest.raises(Refused) as refused:
                await search(attacked.reader, attack.sql, 0, 20)
            assert attack.says in str(refused.value)
            assert "xyzzy" not in str(refused.value)
        else:
            found = await search(attacked.reader, attack.sql, 0, 20)
            assert len(found.model_dump_json()) < 60_000
        assert list(listening.notifies(timeout=0)) == []
    assert (attacked.world(), attacked.run("SELECT last_value, is_called FROM open_seq")) == before
    user = psycopg.conninfo.conninfo_to_dict(attacked.reader.url)["user"]
    with anyio.fail_after(10):  # a connection that was closed is the server's for a moment more
        while attacked.run(LEFT, user) != [(0,)]:
            await anyio.sleep(0.01)


async def test_p5_a_role_that_may_write_cannot_write_through_a_query_either(attacked):
    """Were it misconfigured after the start, the transaction still would not let it."""
    owner = dataclasses.replace(attacked.writer, url=attacked.url)
    for sql in ("SELECT clean()", "SELECT nextval('open_seq')", "SELECT * FROM orders FOR UPDATE"):
        with pytest.raises(Refused, match="read-only"):
            await search(owner, sql, 0, 20)


def test_the_written_table_of_attacks_is_the_one_that_is_tested():
    assert attacks.table() in DOC.read_text(), "write it anew: python tests/servers/postgres/attacks.py"
