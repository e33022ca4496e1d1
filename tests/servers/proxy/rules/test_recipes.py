"""The recipes that come along, before the servers that they are for."""

import asyncio
import contextlib
import json
import shutil
import sqlite3
import subprocess

import anyio
import pytest

from approvals.protocol.previews import stored
from approvals_server.proxy.rules.recipes import name_for, recipe
from support.processes import missing
from support.upstreams import node, program, python

pytestmark = pytest.mark.slow


def text(result):
    return "\n".join(block.text for block in result.content if block.type == "text")


class Desk:
    """One upstream with its recipe, and an agent before it."""

    def __init__(self, proxied, agent):
        self.proxied = proxied
        self.agent = agent

    async def foreseen(self, tool, /, meanwhile=None, **arguments):
        """The preview of a call, which then runs; with `meanwhile` done before it is decided, that of the second."""
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(self.agent.call_tool(tool, arguments))
            with anyio.fail_after(60):
                row = await self.proxied.served.pending()
                assert row.no_preview == ""
                if meanwhile is not None:
                    meanwhile()
                    first = row
                    await self.proxied.served.decide("approve", comment="ok")
                    while (row := await self.proxied.served.pending()).id == first.id:
                        pass
                    assert self.proxied.served.scenario.status(first.id).state == "stale"
                await self.proxied.served.decide("approve", comment="ok")
                result = await call
        assert not result.is_error, text(result)
        return stored(row.preview)


@pytest.fixture
async def before(proxied):
    async with contextlib.AsyncExitStack() as stack:

        async def start(command):
            name = name_for(command)
            assert name != "none"
            agent = await stack.enter_async_context(proxied.client(*command, rules=recipe(name)))
            return Desk(proxied, agent)

        yield start


async def test_filesystem(before, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    file = folder / "a.txt"
    desk = await before(await anyio.to_thread.run_sync(node, "filesystem", str(folder)))

    created = await desk.foreseen("write_file", path=str(file), content="one\n")
    assert created.effect == f"Creates {file}"
    assert created.before.text == ""

    replaced = await desk.foreseen(
        "write_file", path=str(file), content="two\n", meanwhile=lambda: file.write_text("other\n")
    )
    assert replaced.effect == f"Replaces {file}"
    assert (replaced.before.text, replaced.after.text) == ("other\n", "two\n")

    edited = await desk.foreseen("edit_file", path=str(file), edits=[{"oldText": "two", "newText": "three"}])
    assert "-two" in edited.after.text
    assert "+three" in edited.after.text

    moved = await desk.foreseen("move_file", source=str(file), destination=str(folder / "b.txt"))
    assert "size: 6" in moved.before.text

    made = await desk.foreseen("create_directory", path=str(folder / "new"))
    assert made.effect.startswith("Creates the folder")
    assert (folder / "b.txt").read_text() == "three\n"


async def test_git(before, tmp_path):
    git = shutil.which("git") or missing("git is missing")

    def run(*words):
        done = subprocess.run([str(git), *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    run("init", "-q", "-b", "main")
    run("config", "user.name", "a")
    run("config", "user.email", "a@example.com")
    run("commit", "-q", "--allow-empty", "-m", "first")
    (tmp_path / "a.txt").write_text("x\n")
    desk = await before(await anyio.to_thread.run_sync(python, "-m", "mcp_server_git", "-r", str(tmp_path)))
    repo = {"repo_path": str(tmp_path)}

    assert "a.txt" in (await desk.foreseen("git_add", **repo, files=["a.txt"])).before.text
    committed = await desk.foreseen("git_commit", **repo, message="Add x")
    assert committed.effect == f"Commits what is staged in {tmp_path}: Add x"
    assert "+x" in committed.after.text
    assert "main" in (await desk.foreseen("git_create_branch", **repo, branch_name="side")).before.text
    assert "Switches" in (await desk.foreseen("git_checkout", **repo, branch_name="side")).effect
    (tmp_path / "a.txt").write_text("y\n")
    run("add", "a.txt")
    assert "+y" in (await desk.foreseen("git_reset", **repo)).before.text
    assert run("log", "--format=%s").split("\n")[0] == "Add x"


async def test_memory(before, tmp_path):
    file = tmp_path / "memory.jsonl"
    server = await anyio.to_thread.run_sync(node, "memory")
    desk = await before(["env", f"MEMORY_FILE_PATH={file}", *server])
    mira = {"name": "Mira", "entityType": "person", "observations": ["likes tea"]}

    created = await desk.foreseen("create_entities", entities=[mira])
    assert created.effect == "Remembers Mira, as far as they are new"
    added = await desk.foreseen("add_observations", observations=[{"entityName": "Mira", "contents": ["sings"]}])
    assert json.loads(added.before.text)["entities"][0]["observations"] == ["likes tea"]
    related = await desk.foreseen(
        "create_relations", relations=[{"from": "Mira", "to": "Mira", "relationType": "knows"}]
    )
    assert related.effect == "Relates Mira to Mira"
    forgotten = await desk.foreseen("delete_entities", entityNames=["Mira"])
    assert "sings" in forgotten.before.text
    assert "knows" in forgotten.before.text
    assert "Mira" not in file.read_text()


async def test_sqlite(before, tmp_path):
    file = tmp_path / "notes.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE notes (id INTEGER, words TEXT)")
        database.execute("INSERT INTO notes VALUES (1, 'hello')")
    database.close()
    desk = await before(await anyio.to_thread.run_sync(program, "mcp-server-sqlite", "--db-path", str(file)))

    deleted = await desk.foreseen("write_query", query="DELETE FROM notes WHERE id = 1")
    assert deleted.effect == "Changes the table notes"
    assert "hello" in deleted.before.text
    assert "'rows_in_all': 1" in deleted.before.text
    created = await desk.foreseen("create_table", query="CREATE TABLE more (id INTEGER)")
    assert "notes" in created.before.text
