"""An approval counts for the code that it was given for."""

import functools
import importlib
import os
import subprocess
import sys
import types

import anyio
import pytest
from mcp import Client

from approvals import GatedServer
from approvals.errors import Stale
from approvals.gate.code_version import code_version

AGAIN = "The server's code changed after it was approved. Call again: it is asked anew."


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Writes modules, and imports one of them afresh."""
    monkeypatch.syspath_prepend(tmp_path)

    def load(name, files):
        for module in [known for known in sys.modules if known.split(".")[0] in {"cellar", "lone_tool", "lone_helper"}]:
            monkeypatch.delitem(sys.modules, module)
        for path, content in files.items():
            place = tmp_path / path
            place.parent.mkdir(exist_ok=True)
            place.write_text(content)
        importlib.invalidate_caches()
        importlib.import_module("approvals.gate.code_version")._folder.cache_clear()  # as in another process
        return importlib.import_module(name)

    return load


TOOL = "from cellar import barrel\ndef pour(): return barrel.FULL\n"


def in_package(sources, full=1):
    files = {"cellar/__init__.py": "", "cellar/tap.py": TOOL, "cellar/barrel.py": f"FULL = {full}\n"}
    return sources("cellar.tap", files).pour


def alone(sources, full=1):
    files = {"lone_tool.py": "import lone_helper\ndef pour(): return 1\n", "lone_helper.py": f"FULL = {full}\n"}
    return sources("lone_tool", files).pour


def test_p2_the_code_version_changes_with_any_source_of_the_tools_package(sources, tmp_path):
    before = code_version(in_package(sources), "1")
    assert code_version(in_package(sources), "1") == before
    assert code_version(in_package(sources), "2") != before
    assert code_version(in_package(sources, 22), "1") != before
    assert code_version(functools.partial(in_package(sources)), "1") == before
    (tmp_path / "cellar/notes.txt").write_text("not code")
    (tmp_path / "cellar/tap.pyc").write_text("not source")
    assert code_version(in_package(sources), "1") == before
    (tmp_path / "cellar/valve.so").write_text("code")
    assert code_version(in_package(sources), "1") != before


def test_p2_the_code_version_of_a_lone_module_changes_with_the_modules_beside_it(sources, tmp_path):
    before = code_version(alone(sources), "1")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper/other.py").write_text("FULL = 3\n")
    assert code_version(alone(sources), "1") == before
    assert code_version(alone(sources, 2), "1") != before


def test_a_function_without_any_source_has_the_version_of_its_server(sources):
    assert code_version(print, "1") == code_version(len, "1") != code_version(len, "2")
    made = types.FunctionType((lambda: 1).__code__, {"__name__": "nowhere"})
    assert code_version(made, "1") == code_version(len, "1")


def test_every_process_of_a_deployment_finds_the_same_code_version():
    asked = "from approvals.gate.code_version import code_version as v; import approvals_server.shop.shop as s"
    found = {
        subprocess.run(
            [sys.executable, "-c", f"{asked}; print(v(s.create_shop, '1'))"],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
        ).stdout
        for seed, folder in (("0", "."), ("1", "/"))
    }
    assert len(found) == 1


def test_p2_an_approval_does_not_survive_a_change_of_the_servers_code(scenario):
    scenario.register(code="A")
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.register(code="B")
    refused = scenario.claim(filed.request_id)
    assert isinstance(refused, Stale)
    assert f"{refused.detail} {refused.hint}" == AGAIN
    row = scenario.row(filed.request_id)
    assert (row.state, row.ended_because) == ("revoked", "The server's code changed after it was approved.")
    assert scenario.rows("SELECT count(*) FROM execution") == [(0,)]


def test_p2_another_process_with_other_code_cannot_use_an_approval(scenario):
    scenario.register(code="A")
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.register(code="B", session="session-0002")
    assert isinstance(scenario.claim(filed.request_id, session="session-0002"), Stale)


def test_p2_a_repeat_that_meets_other_code_is_asked_anew_and_waiting_votes_are_void(scenario):
    scenario.register(code="A")
    pending = scenario.file()
    scenario.need(pending.request_id, quorum=2)
    scenario.decide(pending.request_id)
    scenario.register(code="B")
    assert scenario.file().request_id == pending.request_id
    row = scenario.row(pending.request_id)
    assert (row.state, row.content_version, row.code_version) == ("pending", 2, "B")
    scenario.decide(pending.request_id, who="bob")
    scenario.register(code="C")
    anew = scenario.file()
    assert anew.request_id != pending.request_id
    assert scenario.row(pending.request_id).ended_because == "the server's code changed after it was approved"


def test_p2_the_same_code_in_a_new_process_uses_the_approval(scenario):
    scenario.register(code="A")
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.register(code="A", session="session-0002")
    assert scenario.claim(filed.request_id, session="session-0002") is None


def test_a_server_that_binds_no_code_keeps_its_approvals(scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.register(session="session-0002")
    assert scenario.claim(filed.request_id, session="session-0002") is None


def said(result):
    return "\n".join(block.text for block in result.content)


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_p2_a_release_while_a_call_waits_is_asked_anew_end_to_end(served, sources, tmp_path, era):
    mcp = GatedServer("shop", gate=served.gate())
    mcp.add_tool(in_package(sources))
    async with Client(mcp, mode=era) as client, anyio.create_task_group() as tasks:
        answers = []

        async def ask():
            answers.append(await client.call_tool("pour", {}))

        tasks.start_soon(ask)
        first = await served.pending()
        mcp.remove_tool("pour")
        mcp.add_tool(in_package(sources, 22))
        await served.decide()
        while not answers:
            await anyio.lowlevel.checkpoint()
        assert "NOT EXECUTED" in said(answers[0])
        assert "again" in said(answers[0])
        tasks.start_soon(ask)
        second = await served.pending()
        assert second.id != first.id
        await served.decide()
        while len(answers) < 2:
            await anyio.lowlevel.checkpoint()
        assert said(answers[1]) == "22"
    assert served.scenario.row(first.id).state in {"revoked", "not_executed"}
