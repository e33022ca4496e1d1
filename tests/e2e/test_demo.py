"""`serve --demo`: what a newcomer meets, today and after the next run."""

import contextlib
import json
import re
import socket
import time

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from support.processes import CLI, free_port


def configuration(service):
    """The printed client configuration, as a client reads it."""
    start = service.lines.index("{")
    end = service.lines.index("}", start)
    return json.loads("\n".join(service.lines[start : end + 1]))["mcpServers"]["shop"]


def gone(port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            continue
        return True
    return False


def pending(installed):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        rows = installed.rows("SELECT id, summary FROM request WHERE state = 'pending'")
        if rows:
            return rows
    return []


async def refund(config, order_id):
    http = httpx2.AsyncClient(headers=config["headers"], timeout=30, trust_env=False)
    async with http, Client(streamable_http_client(config["url"], http_client=http)) as client:
        return await client.call_tool("refund_order", {"order_id": order_id, "amount_cents": 100})


@pytest.mark.slow
async def test_the_demo_shows_one_waiting_call_and_its_configuration_works_on_after_a_crash(installed):
    shop_port = str(free_port())
    service = await anyio.to_thread.run_sync(lambda: installed.serve("--demo", APPROVALS_DEMO_PORT=shop_port))
    for start in ("Sign in: ", "Shop MCP server: ", "Agent key: mcpa_", "Client configuration", "Or: claude mcp add"):
        service.line(start)
    reviewer = installed.sign_in(service)
    config = configuration(service)
    assert config["url"] == service.line("Shop MCP server:").removeprefix("Shop MCP server: ")
    assert config["headers"]["Authorization"] == "Bearer " + service.line("Agent key:").removeprefix("Agent key: ")
    ((request_id, summary),) = pending(installed)
    assert summary == "Refund $120.00 of order 1042"
    service.kill()
    assert gone(int(shop_port)), "the shop outlived the service that started it"

    service = await anyio.to_thread.run_sync(lambda: installed.serve("--demo", APPROVALS_DEMO_PORT=shop_port))
    service.line("Or: claude mcp add")
    assert re.search(r"setup\?t=", service.line("Sign in:")), "with --demo there is always a link"
    assert configuration(service) == config
    assert [row[0] for row in pending(installed)] == [request_id], "taken up again, not filed twice"
    assert installed.decide(reviewer, request_id).status_code == 303
    service.line("demo agent: ")
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            answers = []

            async def ask():
                answers.append(await refund(config, 1043))

            tasks.start_soon(ask)
            ((second, _),) = await anyio.to_thread.run_sync(pending, installed)
            assert installed.decide(reviewer, second).status_code == 303
    assert answers[0].structured_content["refunded_now_cents"] == 100
    states = dict(installed.rows("SELECT id, state FROM request"))
    assert states == {request_id: "succeeded", second: "succeeded"}
    reviewer.close()
    assert service.stop() == 0
    assert gone(int(shop_port))
    assert not [line for line in service.lines if "Fatal" in line or "Traceback" in line]


def test_p5_the_demo_says_nothing_where_its_shops_port_is_anothers(installed):
    """Whoever listens there would be sent the agent's key."""
    with socket.create_server(("127.0.0.1", 0)) as another:
        port = another.getsockname()[1]
        command = (*CLI, "serve", "--demo", "--port", str(installed.port))
        service = installed.start(command, APPROVALS_DEMO_PORT=str(port))
        service.line(f"approvals: Port {port} of 127.0.0.1 cannot be used: Address already in use.")
        assert service.wait() == 1
        another.setblocking(False)
        with pytest.raises(BlockingIOError):
            another.accept()
    assert "APPROVALS_DEMO_PORT=" in service.lines[-1]
    assert not [line for line in service.lines if "mcpa_" in line or "Sign in" in line]


OTHERS = [pytest.param(host, marks=pytest.mark.slow) for host in ("::", "192.0.2.1")]


@pytest.mark.parametrize("host", ["0.0.0.0", *OTHERS])  # noqa: S104
def test_p5_the_demo_is_not_for_other_machines(installed, host):
    said = installed.cli("serve", "--demo", "--host", host, code=1)
    assert f"--demo is for this machine alone, and APPROVALS_HOST is '{host}'." in said
    assert list(installed.folder.iterdir()) == []
