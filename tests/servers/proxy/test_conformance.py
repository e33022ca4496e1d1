"""The MCP conformance suite finds the same with the proxy before a server as without it."""

import json
import subprocess
from pathlib import Path

import anyio
import pytest

from support import typescript
from support.conformance_server import server
from support.listening import listening
from support.node import node_22
from support.processes import clean_environment

pytestmark = pytest.mark.slow

SUITE = Path(__file__).parents[2] / "conformance"


def verdicts(url, folder, *chosen):
    """What the suite says of a server: for each scenario, whether all its checks hold that apply."""
    installed = typescript.installed(SUITE)
    program = installed / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    command = (
        node_22(installed),
        str(program),
        "server",
        "--url",
        url,
        *(chosen or ("--suite", "all")),
        "-o",
        str(folder),
    )
    environment = clean_environment(NO_PROXY="127.0.0.1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
    files = {file.parent.name.partition("-20")[0]: json.loads(file.read_text()) for file in folder.rglob("checks.json")}
    assert len(files) == (1 if chosen else 32), done.stdout[-2000:] + done.stderr[-2000:]
    return {name: not any(check["status"] == "FAILURE" for check in checks) for name, checks in files.items()}


def with_key(app, key):
    """The suite sends no key."""

    async def keyed(scope, receive, send):
        if scope["type"] == "http":
            headers = [*scope["headers"], (b"authorization", f"Bearer {key}".encode())]
            scope = {**scope, "headers": headers}
        await app(scope, receive, send)

    return keyed


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # sessions end while their streams begin
@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
async def test_the_suite_says_the_same_of_a_server_behind_the_proxy(proxied, tmp_path):
    key = proxied.served.scenario.keys["agent"]

    async def asked(url, name, *chosen):
        return await anyio.to_thread.run_sync(verdicts, url, tmp_path / name, *chosen)

    async with (
        listening(server().streamable_http_app(), "on") as behind,
        proxied.front(f"{behind}/mcp", lambda app: with_key(app, key)) as url,
    ):
        direct, through = await asked(f"{behind}/mcp", "direct"), await asked(url, "through")
        for name in [name for name in direct if through[name] != direct[name]]:  # a busy machine answers too late
            chosen = ("--scenario", name.removeprefix("server-"))
            direct |= await asked(f"{behind}/mcp", f"direct {name}", *chosen)
            through |= await asked(url, f"through {name}", *chosen)
    assert sum(direct.values()) >= 24, direct
    assert through == direct
