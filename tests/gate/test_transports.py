"""The gate over each transport in both protocol eras: in memory, real stdio, real streamable HTTP."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError

from approvals import Budgets
from approvals.gate import wait
from approvals.gate.hosts import REPLAYED
from support import counting_server
from support.answer_table import facts
from support.over_http import http_client, http_server
from support.processes import PATIENCE, clean_environment
from support.relay import relayed

pytestmark = pytest.mark.databases("one")

Connect = Callable[[], AbstractAsyncContextManager[Client]]

SLOW = pytest.mark.slow


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "effects.log"


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request):
    return request.param


WAYS = [
    pytest.param((way, era), id=f"{way}-{era}", marks=SLOW if (way, era) == ("stdio", "legacy") else ())
    for way in ("memory", "stdio", "http")
    for era in ("legacy", "2026-07-28")
]


@pytest.fixture(params=WAYS)
async def connect(request, served, log) -> AsyncIterator[Connect]:
    """Opens one more client to the same installation, with the same agent's key."""
    way, era = request.param
    if way == "http":
        async with http_server(counting_server.create(log, gate=served.gate(agent=None))) as url:
            yield lambda: http_client(url, served, era)
    elif way == "stdio":
        yield lambda: Client(stdio(served, log), mode=era)
    else:
        mcp = counting_server.create(log, gate=served.gate())
        yield lambda: Client(mcp, mode=era)


def stdio(served, log: Path) -> StdioServerParameters:
    keys = served.scenario.keys
    gate = {"APPROVALS_URL": served.url, "APPROVALS_SERVER_KEY": keys["shop"], "APPROVALS_AGENT_KEY": keys["agent"]}
    return StdioServerParameters(
        command=sys.executable, args=[counting_server.__file__], env=clean_environment(**gate, EFFECTS=str(log))
    )


def text(result) -> str:
    return "\n".join(block.text for block in result.content)


@pytest.mark.parametrize(
    ("tool", "answer", "effect"),
    [
        ("sync_write", "wrote 7", "sync 7"),
        pytest.param("async_write", "wrote 7", "async 7", marks=SLOW),
        ("refund_order", None, "refund 7 500"),
        pytest.param("failing_write", "the carrier is closed", "failing 7", marks=SLOW),
    ],
)
async def test_p1_a_write_waits_for_a_person_runs_once_and_answers(served, connect, log, tool, answer, effect):
    with anyio.fail_after(PATIENCE):
        async with connect() as client, asyncio.TaskGroup() as tasks:
            call = tasks.create_task(client.call_tool(tool, {"order_id": 7}))
            row = await served.pending()
            assert not log.exists()
            assert row.agent_id is not None
            await served.decide()
            result = await call
    assert log.read_text().splitlines() == [effect]
    if answer is None:
        assert result.structured_content == {"order_id": 7, "refunded_cents": 500}
    else:
        assert answer in text(result)
    failed = tool == "failing_write"
    assert result.is_error is failed
    assert served.scenario.status(row.id).state == ("failed" if failed else "succeeded")


async def test_p7_a_denials_reason_reaches_the_agents_text(served, connect, log):
    with anyio.fail_after(PATIENCE):
        async with connect() as client, asyncio.TaskGroup() as tasks:
            call = tasks.create_task(client.call_tool("sync_write", {"order_id": 7}))
            await served.decide("deny", comment="use store credit instead")
            result = await call
    assert result.is_error
    assert "denied by Ann" in text(result)
    assert "use store credit instead" in text(result)
    assert facts(result)["status"] == "denied"
    assert not log.exists()


async def test_p3_a_client_that_hangs_up_and_repeats_gets_the_one_execution(served, connect, log, until):
    with anyio.fail_after(PATIENCE):
        scope = anyio.CancelScope()

        async def hang_up() -> None:
            with scope, contextlib.suppress(BaseExceptionGroup):
                async with connect() as client:
                    await client.call_tool("refund_order", {"order_id": 8})

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hang_up())
            row = await served.pending()
            await until(lambda: served.scenario.waiting(row.id) == 1)
            scope.cancel()
        await until(lambda: served.scenario.waiting(row.id) == 0)
        await served.decide()
        assert served.scenario.status(row.id).state == "approved"
        assert not log.exists()
        async with connect() as client:
            result = await client.call_tool("refund_order", {"order_id": 8})
    assert result.structured_content == {"order_id": 8, "refunded_cents": 500}
    assert log.read_text().splitlines() == ["refund 8 500"]
    assert served.scenario.status(row.id).state == "succeeded"


async def test_p3_a_call_that_its_client_cancels_leaves_the_request_and_nothing_runs_unseen(
    served, connect, log, until
):
    with anyio.fail_after(PATIENCE):
        async with connect() as client, asyncio.TaskGroup() as tasks:
            scope = anyio.CancelScope()

            async def give_up() -> None:
                with scope:
                    await client.call_tool("refund_order", {"order_id": 8})

            tasks.create_task(give_up())
            row = await served.pending()
            await until(lambda: served.scenario.waiting(row.id) == 1)
            scope.cancel()
            await until(lambda: served.scenario.waiting(row.id) == 0)
            await served.decide()
            assert served.scenario.status(row.id).state == "approved"
            assert not log.exists()
            result = await client.call_tool("refund_order", {"order_id": 8})
    assert result.structured_content == {"order_id": 8, "refunded_cents": 500}
    assert log.read_text().splitlines() == ["refund 8 500"]


async def test_p3_a_cut_connection_leaves_the_request_and_nothing_runs_unseen(served, log, era, until, monkeypatch):
    monkeypatch.setattr(wait, "PRESENCE_SECONDS", 0.05)
    async with http_server(counting_server.create(log, gate=served.gate(agent=None))) as url, relayed(url) as relay:

        async def be_cut_off() -> None:
            with contextlib.suppress(MCPError, BaseExceptionGroup, httpx2.HTTPError, anyio.ClosedResourceError):
                async with http_client(relay.url, served, era) as client:
                    await client.call_tool("refund_order", {"order_id": 8})

        with anyio.fail_after(PATIENCE):
            async with asyncio.TaskGroup() as tasks:
                cut_off = tasks.create_task(be_cut_off())
                row = await served.pending()
                await until(lambda: served.scenario.waiting(row.id) == 1)
                relay.cut()
                await until(lambda: served.scenario.waiting(row.id) == 0)
                await served.decide()
                cut_off.cancel()
            assert served.scenario.status(row.id).state == "approved"
            assert not log.exists()
            async with http_client(url, served, era) as client:
                result = await client.call_tool("refund_order", {"order_id": 8})
    assert result.structured_content == {"order_id": 8, "refunded_cents": 500}
    assert log.read_text().splitlines() == ["refund 8 500"]


@pytest.mark.parametrize(
    ("gives_up", "asks_for_progress"),
    [pytest.param(5, False, marks=SLOW), (60, False), pytest.param(300, True, marks=SLOW)],
)
async def test_p3_whenever_a_client_gives_up_its_repetition_gets_the_one_execution(
    served, log, era, gives_up, asks_for_progress, until
):
    """A hundredth of real clients' time-outs, and of the gate's budgets."""
    attempts, budgets = [], Budgets(plain=0.45, with_progress=2.4, beat=0.08, rounds=3)

    async def heard(*_: object) -> None:
        return

    async def ask(client: Client):
        while True:
            try:
                answer = await client.call_tool(
                    "refund_order",
                    {"order_id": 8},
                    read_timeout_seconds=gives_up / 100,
                    progress_callback=heard if asks_for_progress else None,
                )
            except MCPError as error:
                assert "timed out" in error.message
                attempts.append("timed out")
            else:
                if not answer.is_error:
                    return answer
                attempts.append(facts(answer)["status"])

    async with http_server(counting_server.create(log, gate=served.gate(agent=None, budgets=budgets))) as url:
        with anyio.fail_after(PATIENCE):
            async with http_client(url, served, era) as client, asyncio.TaskGroup() as tasks:
                await client.call_tool("look", {"order_id": 8})  # the gate is registered: real clients wait longer
                asking = tasks.create_task(ask(client))
                row = await served.pending()
                await until(lambda: len(attempts) >= (1 if asks_for_progress or era != "legacy" else 2))
                await served.decide()
                result = await asking
    assert set(attempts) <= {"timed out", "pending"}  # on a busy machine the longer ones may time out as well
    own = {name: value for name, value in result.structured_content.items() if name != REPLAYED}
    assert own == {"order_id": 8, "refunded_cents": 500}
    assert log.read_text().splitlines() == ["refund 8 500"]
    assert served.scenario.events(row.id).count("request.filed") == 1


async def test_a_read_runs_at_once_and_a_wrong_argument_asks_nobody(served, connect):
    with anyio.fail_after(PATIENCE):
        async with connect() as client:
            assert text(await client.call_tool("look", {"order_id": 1})) == "order 1"
            wrong = await client.call_tool("sync_write", {"order_id": 1, "extra": True})
    assert "no argument 'extra'" in text(wrong)


async def test_p5_over_http_a_caller_without_an_agents_key_is_let_nowhere(served, log):
    async with http_server(counting_server.create(log, gate=served.gate(agent=None))) as url:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        accept = {"Accept": "application/json, text/event-stream"}
        async with httpx2.AsyncClient(trust_env=False, headers=accept) as http:
            for key in ("", served.scenario.keys["shop"], "mcpa_000000000000_" + "A" * 43):
                answer = await http.post(url, json=body, headers={"Authorization": f"Bearer {key}"} if key else {})
                assert answer.status_code == 401
