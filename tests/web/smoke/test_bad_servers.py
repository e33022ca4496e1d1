"""Each bad server is red, for its own reason and in words that say what to do."""

import sys
from pathlib import Path

import anyio
import pytest

from approvals_web.smoke.report import Result
from approvals_web.smoke.room import opened
from approvals_web.smoke.trial import tried
from support.processes import clean_environment

pytestmark = pytest.mark.slow

BAD = {
    "bad name": ("name", "note_keeper", "no verb"),
    "no description": ("description", "read_notes", "6 characters"),
    "no annotations": ("annotations", "read_notes", "does not say"),
    "lying annotations": ("annotations", "add_note", "says that it only reads"),
    "twins": ("overlap", "read_notes", "list_notes"),
    "unstructured": ("structure", "read_notes", "no output schema"),
    "failing read": ("read", "read_notes", "gives an error"),
    "endless read": ("cap", "read_notes", "100,000"),
    "no gate": ("write waits", "add_note", "behind no gate"),
    "open schemas": ("schema", "add_note", "does not declare"),
    "writes first": ("nothing changed", "read_notes", "reads differently"),
}
FIXTURE = Path(__file__).parents[2] / "support" / "bad_servers.py"


@pytest.fixture(scope="module")
def room():
    with opened() as made:
        yield made


async def look(room, kind, notes):
    name = kind.replace(" ", "-")
    settings = clean_environment(**room.settings(name))
    command = [sys.executable, str(FIXTURE), kind, str(notes)]
    with anyio.fail_after(60):
        return await tried(command, settings, {}, lambda: room.tested(name))


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_server_is_red_with_the_right_words(room, tmp_path, kind):
    report = await look(room, kind, tmp_path / "notes")
    check, tool, words = BAD[kind]
    assert not report.passed
    found = [one for one in report.faults if (one.check, one.tool) == (check, tool)]
    assert found and words in found[0].words and found[0].fix, [one.line for one in report.faults]
    assert (tmp_path / "notes").exists() is (kind == "writes first"), "nothing was to be written"


async def test_the_same_server_without_its_fault_is_green(room, tmp_path):
    report = await look(room, "good", tmp_path / "notes")
    assert report.passed, [one.line for one in report.faults]
    assert set(report.tested) == {"read_notes", "add_note"}
    assert all(one.tool_hash and one.code_version for one in report.tested.values())
    assert [one.check for one in report.findings if one.result is Result.OPEN] == ["read credential"]


async def test_p5_a_server_that_does_not_start_is_red_and_says_what_it_said(room):
    report = await tried([sys.executable, "-c", "exit('no database')"], clean_environment(), {}, dict)
    assert not report.passed and "no database" in report.faults[0].words
