"""What all servers share: cursors that fit one question, credentials by reference, reads that are tried again."""

import asyncio

import pytest
from mcp.server.mcpserver.exceptions import ToolError

from approvals.errors import NotConfigured
from approvals_server import retries
from approvals_server.credentials import credential
from approvals_server.paging import LONGEST, cursor_at, place_of
from approvals_server.retries import PAUSES, Away


@pytest.mark.parametrize("place", [[3], ["public", "orders"], ["Ünïcode", "x" * 63]])
def test_a_cursor_names_a_place_in_one_question(place):
    cursor = cursor_at(place, "tables", "x")
    assert len(cursor) < LONGEST
    assert place_of(cursor, "tables", "x") == place
    assert place_of("", "tables", "x") is None
    with pytest.raises(ToolError, match="another question"):
        place_of(cursor, "tables", "y")


@pytest.mark.parametrize("cursor", ["x", "W10=", "bnVsbA==", "é", "W1tdLCAxXQ==", "=" * 50, "[" * 900])
def test_p5_what_is_no_cursor_is_refused_with_words(cursor):
    with pytest.raises(ToolError, match="cursor"):
        place_of(cursor, "tables")


def test_a_credential_comes_from_the_environment_by_value_or_by_reference(tmp_path):
    file = tmp_path / "secret"
    file.write_text("word\n")
    empty = tmp_path / "empty"
    empty.touch()
    environment = {"A": f"file:{file}", "B": "plain", "C": " ", "D": f"file:{empty}", "E": "file:/nowhere"}
    assert [credential(name, environment) for name in ("A", "B", "C", "D", "Z")] == ["word", "plain", None, None, None]
    with pytest.raises(NotConfigured, match=r"^E: The secret file /nowhere cannot be read"):
        credential("E", environment)


@pytest.mark.parametrize("away", [0, 1, 2, 3])
async def test_a_read_is_tried_three_times_and_what_was_refused_is_not_tried_again(away):
    tries, slept = [], []

    async def attempt():
        tries.append(1)
        if len(tries) <= away:
            raise Away("away")
        return "here"

    async def sleep(seconds):
        slept.append(seconds)

    if away < 3:
        assert await retries.read(attempt, sleep) == "here"
    else:
        with pytest.raises(Away):
            await retries.read(attempt, sleep)
    assert tuple(slept) == PAUSES[:away]

    async def refused():
        tries.append(1)
        raise ValueError

    tries.clear()
    with pytest.raises(ValueError):
        await retries.read(refused, asyncio.sleep)
    assert len(tries) == 1
