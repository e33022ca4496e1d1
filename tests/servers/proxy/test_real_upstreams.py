"""Servers that people have, from npm and PyPI: a read passes, a write waits, is denied, is approved and runs once."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from support.answer_table import facts
from support.processes import missing
from support.upstreams import UPSTREAMS, node, python

pytestmark = pytest.mark.slow


@dataclass
class Case:
    """A server, what reads and what writes there, and what its writes left."""

    command: list[str]
    read: tuple[str, dict[str, Any], str]
    write: tuple[str, dict[str, Any]]
    effects: Callable[[], int]


def filesystem(folder: Path) -> Case:
    (folder / "a.txt").write_text("hello")
    new = folder / "new.txt"
    write = ("write_file", {"path": str(new), "content": "x"})
    read = ("read_text_file", {"path": str(folder / "a.txt")}, "hello")
    return Case(node("filesystem", str(folder)), read, write, lambda: int(new.exists()))


def memory(folder: Path) -> Case:
    file = folder / "memory.jsonl"
    entity = {"name": "Mira", "entityType": "person", "observations": ["likes tea"]}
    command = ["env", f"MEMORY_FILE_PATH={file}", *node("memory")]
    read = ("read_graph", {}, "entities")
    write = ("create_entities", {"entities": [entity]})
    return Case(command, read, write, lambda: file.read_text().count("Mira") if file.exists() else 0)


def git(folder: Path) -> Case:
    program = shutil.which("git") or missing("git is missing")

    def run(*words: str) -> str:
        return subprocess.run([str(program), *words], cwd=folder, capture_output=True, text=True, check=True).stdout

    run("init", "-q")
    run("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "first")
    (folder / "a.txt").write_text("x")
    read = ("git_log", {"repo_path": str(folder)}, "first")
    write = ("git_add", {"repo_path": str(folder), "files": ["a.txt"]})
    return Case(python("-m", "mcp_server_git", "-r", str(folder)), read, write, lambda: run("ls-files").count("a.txt"))


def older(folder: Path) -> Case:
    log = folder / "log"
    read, write = ("look", {"name": "a"}, "saw a"), ("write", {"name": "a"})
    command = python(str(UPSTREAMS / "older.py"), str(log))
    return Case(command, read, write, lambda: len(log.read_text().split()) if log.exists() else 0)


@pytest.mark.parametrize("of", [filesystem, memory, git, older])
async def test_p1_reads_pass_and_writes_wait(proxied, tmp_path, of):
    folder = tmp_path / "work"
    folder.mkdir()
    case = await anyio.to_thread.run_sync(of, folder)
    name, arguments = case.write
    async with proxied.client(*case.command) as agent:
        with anyio.fail_after(60):
            tool, read, found = case.read
            result = await agent.call_tool(tool, read)
            assert found in text(result), result
            assert (await decided(proxied, agent, "deny", name, arguments)).is_error
            assert case.effects() == 0
            scenario = proxied.served.scenario
            scenario.clock.forward(601)  # past the cool-down
            result = await decided(proxied, agent, "approve", name, arguments)
            assert not result.is_error, result
            again = await agent.call_tool(name, arguments)
            assert facts(again)["executed"] is True
    assert case.effects() == 1


async def test_everything_that_the_reference_server_has_passes(proxied):
    async with proxied.client(*node("everything", "stdio")) as agent:
        with anyio.fail_after(60):
            tools = {tool.name: tool for tool in (await agent.list_tools()).tools}
            assert {"echo", "get-sum", "get_approval"} <= tools.keys()
            prompts = (await agent.list_prompts()).prompts
            assert prompts
            resources = (await agent.list_resources()).resources
            assert (await agent.read_resource(resources[0].uri)).contents
            assert "5" in text(await agent.call_tool("get-sum", {"a": 2, "b": 3}))


def text(result):
    return "\n".join(block.text for block in result.content if block.type == "text")


async def decided(proxied, agent, verdict, tool, arguments):
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool(tool, arguments))
        await proxied.served.decide(verdict, comment="because")
        return await call
