"""`approvals smoke` as its users run it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio.to_thread
import pytest
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

from support.listening import listening
from support.processes import clean_environment

pytestmark = pytest.mark.slow


def smoke(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "approvals_web.cli", "smoke", *arguments],
        env=clean_environment(APPROVALS_URL="http://127.0.0.1:1", APPROVALS_SERVER_KEY="mcps_of_the_real_service"),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_shop_is_green_and_its_data_is_as_before(tmp_path):
    shop = (sys.executable, "-m", "approvals_server.shop.cli", "--database-url", f"sqlite:///{tmp_path / 'shop.db'}")
    done = smoke("--json", "--call", 'get_order={"order_id": 1042}', "--", *shop)
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["passed"], done.stdout + done.stderr
    denied = {one["tool"] for one in said["findings"] if one["check"] == "write waits"}
    assert denied == {"refund_order", "delete_customer"} <= set(said["tested"])
    assert {"passed"} == {one["result"] for one in said["findings"] if one["check"] != "read credential"}


def test_p5_a_command_that_is_none_is_red_with_a_fix():
    done = smoke("--", "/no/such/command")
    assert done.returncode == 1 and "Fix: Start it by hand" in done.stdout and "Traceback" not in done.stderr


def test_arguments_that_are_no_json_are_refused_with_an_example():
    done = smoke("--call", "get_order=1042", "--", "true")
    assert done.returncode == 1 and "For example get_order=" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_whoever_stops_it_finds_no_folder_and_no_process_of_it(tmp_path, tmp_path_factory, number):
    asked = tmp_path_factory.mktemp("server") / "asked"
    deaf = (
        sys.executable,
        "-c",
        "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)",
        asked,
    )
    command = [sys.executable, "-m", "approvals_web.cli", "smoke", "--name", "deaf", "--", *deaf]
    running = subprocess.Popen(command, env=clean_environment(TMPDIR=str(tmp_path)), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not asked.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
    assert [one for one in Path("/proc").glob("[0-9]*/cwd") if _leads(one).startswith(str(tmp_path))] == []
    assert not any(str(asked).encode() in _command(one) for one in Path("/proc").glob("[0-9]*/cmdline"))


def _command(line):
    try:
        return line.read_bytes()
    except OSError:
        return b""


def _leads(link):
    try:
        return str(link.readlink())
    except OSError:
        return ""


async def test_p5_at_an_address_the_reads_are_called_and_no_write_is(tmp_path):
    called = []
    mcp = MCPServer("numbers", log_level="ERROR")

    @mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
    def get_number() -> dict[str, int]:
        called.append("get_number")
        return {"number": 1}

    @mcp.tool()
    def set_number(number: int) -> dict[str, int]:
        called.append("set_number")
        return {"number": number}

    async with listening(mcp.streamable_http_app(), "on") as url:
        done = await anyio.to_thread.run_sync(smoke, "--json", f"{url}/mcp")
    assert set(called) == {"get_number"} and done.returncode == 1, done.stderr
    (write,) = [one for one in json.loads(done.stdout)["findings"] if one["check"] == "write waits"]
    assert (write["tool"], write["fix"].split(":")[0]) == ("set_number", "Test the command that starts it")
