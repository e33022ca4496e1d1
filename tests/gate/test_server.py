"""GatedServer through real MCP clients in both protocol eras, with the real service over HTTP."""

import asyncio
import json
from typing import Annotated

import anyio
import pytest
from mcp import Client
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import AfterValidator, BaseModel
from sqlalchemy import select
from sqlmodel import SQLModel

from approvals import (
    Approval,
    Budgets,
    Gate,
    GatedServer,
    current_request_id,
)
from approvals.gate import hosts
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Request, table_of
from support.answer_table import facts

pytestmark = pytest.mark.databases("one")

ERAS = ["legacy", "2026-07-28"]
ALL = Statement(select(table_of(Request)))


class Refund(BaseModel):
    order_id: int
    refunded_cents: int


class Line(BaseModel):
    sku: str
    count: int = 1


class Shop:
    """A gated server whose effects can be counted."""

    def __init__(self, gate: Gate) -> None:
        self.ran: list[tuple[object, ...]] = []
        self.ids: list[str | None] = []
        self.mcp = GatedServer("shop", gate=gate)
        self.proceed = asyncio.Event()
        self.proceed.set()

        @self.mcp.tool(approval=Approval(summary="Refund {amount_cents:usd} of order {order_id}"))
        async def refund_order(order_id: int, amount_cents: int = 500) -> Refund:
            """Refund."""
            self.ids.append(current_request_id())
            await self.proceed.wait()
            self.ran.append((order_id, amount_cents))
            return Refund(order_id=order_id, refunded_cents=amount_cents)

        @self.mcp.tool()
        def delete_order(order_id: int) -> str:
            """Delete, synchronously."""
            self.ran.append(("delete", order_id))
            return f"deleted {order_id}"

        @self.mcp.tool()
        async def ship_order(order_id: int) -> str:
            """Ship, and fail."""
            self.ran.append(("ship", order_id))
            raise ToolError("the carrier is closed")

        @self.mcp.tool()
        def add_lines(lines: list[Line], note: str = "") -> int:
            """Nested arguments."""
            self.ran.append(("lines", lines))
            return len(lines)

        @self.mcp.tool(approval=Approval(secret=["password"]))
        def set_password(user: str, password: str) -> str:
            """A secret argument."""
            self.ran.append((user, password))
            return f"{password} is set"

        @self.mcp.tool()
        def count_up(number: Annotated[int, AfterValidator(lambda n: n + 1)]) -> int:
            """A validator that changes its argument."""
            return number

        @self.mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
        def look(order_id: int) -> str:
            """Read."""
            self.ran.append(("look", order_id))
            return f"order {order_id}"

        @self.mcp.resource("shop://policy")
        def policy() -> str:
            return "no returns"


@pytest.fixture
def shop(served):
    return Shop(served.gate())


def text(result) -> str:
    return "\n".join(block.text for block in result.content)


@pytest.mark.parametrize("era", ERAS)
async def test_a_write_waits_until_a_person_approves_and_then_runs(served, shop, era):
    async with Client(shop.mcp, mode=era) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("refund_order", {"order_id": 1042, "approval_reason": "lost"}))
        row = await served.pending()
        assert (row.summary, row.reason, shop.ran) == ("Refund $5.00 of order 1042", "lost", [])
        await served.decide()
        with anyio.fail_after(5):
            result = await call
        assert result.structured_content == {"order_id": 1042, "refunded_cents": 500}
        assert shop.ran == [(1042, 500)]
        assert shop.ids == [row.id]
        assert served.scenario.status(row.id).state == "succeeded"


@pytest.mark.parametrize("era", ERAS)
async def test_p7_a_denials_reason_reaches_the_agents_text(served, shop, era):
    async with Client(shop.mcp, mode=era) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("refund_order", {"order_id": 7}))
        await served.decide("deny", comment="use store credit")
        with anyio.fail_after(5):
            result = await call
        assert result.is_error
        assert "denied by Ann" in text(result)
        assert "use store credit" in text(result)
        assert facts(result)["status"] == "denied"
        assert shop.ran == []
        again = await client.call_tool("refund_order", {"order_id": 7})
        assert facts(again)["ask_again_in_seconds"] > 0


FIFTY = [
    pytest.param("delete_order", {"order_id": 1}, marks=pytest.mark.slow),
    ("refund_order", {"order_id": 1}),
]


def own(result):
    """The tool's structured result without the words of a replay."""
    return {name: value for name, value in result.structured_content.items() if name != hosts.REPLAYED}


@pytest.mark.parametrize(("tool", "arguments"), FIFTY)
async def test_p3_fifty_identical_calls_share_one_card_one_execution_and_one_answer(served, shop, tool, arguments):
    async with Client(shop.mcp) as client, asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(client.call_tool(tool, arguments)) for _ in range(50)]
        await served.decide()
        with anyio.fail_after(40):  # below the 45 s after which a call that nobody woke would come back
            results = [await call for call in calls]
        told = {str(own(result)) + text(result).split("[replayed]")[0] for result in results}
        assert len(shop.ran) == 1
        assert not any(result.is_error for result in results)
        assert len(told - {str(own(results[0]))}) <= 1


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_that_raises_reports_failed_and_its_replay_is_equal(served, shop, era):
    async with Client(shop.mcp, mode=era) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("ship_order", {"order_id": 3}))
        row = await served.pending()
        await served.decide()
        result = await call
        assert result.is_error
        assert "the carrier is closed" in text(result)
        assert served.scenario.status(row.id).state == "failed"
        again = await client.call_tool("ship_order", {"order_id": 3})
        assert "[replayed]" in text(again)
        assert again.content[1:] == result.content[:-1]
        assert "It ran and failed" in result.content[-1].text
        assert shop.ran == [("ship", 3)]


async def test_p3_a_finished_call_is_replayed_with_its_structured_result_whole(served, shop):
    async with Client(shop.mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("refund_order", {"order_id": 5}))
        row = await served.pending()
        await served.decide()
        first = await call
        again = await client.call_tool("refund_order", {"order_id": 5, "amount_cents": 500})
        assert again.structured_content == {hosts.REPLAYED: again.content[0].text} | first.structured_content
        assert "[replayed]" in text(again)
        assert len(shop.ran) == 1
        repeat = {"order_id": 5, "approval_repeat": row.id}
        on_purpose = tasks.create_task(client.call_tool("refund_order", repeat))
        await served.decide()
        assert "[replayed]" not in text(await on_purpose)
        assert len(shop.ran) == 2


async def test_reads_run_at_once_and_are_on_record(served, shop):
    async with Client(shop.mcp) as client:
        assert text(await client.call_tool("look", {"order_id": 9})) == "order 9"
        await client.read_resource("shop://policy")
    assert served.scenario.events("shop").count("calls.recorded") >= 1
    recorded = records(served)
    assert ("tools/call", "look") in recorded
    assert ("resources/read", "shop://policy") in recorded
    assert "session.closed" in served.scenario.events("shop")


def records(served):
    connection = served.scenario.service.database.connect()
    rows = connection.execute(
        "SELECT body FROM audit_payload JOIN audit_event USING (payload_hash) WHERE kind = 'calls.recorded'"
    ).fetchall()
    connection.close()
    return [(call["method"], call["target"]) for (body,) in rows for call in json.loads(body)["calls"]]


@pytest.mark.parametrize(
    ("tool", "arguments", "complaint"),
    [
        ("refund_order", {"order_id": 1, "currency": "EUR"}, "no argument 'currency'"),
        ("refund_order", {"order_id": "one"}, "order_id"),
        ("refund_order", {}, "order_id"),
        ("add_lines", {"lines": [{"sku": "a", "price": 1}]}, "'lines[0].price'"),
    ],
)
async def test_p2_a_call_that_cannot_run_as_shown_asks_nobody(served, shop, tool, arguments, complaint):
    async with Client(shop.mcp) as client:
        result = await client.call_tool(tool, arguments)
        assert result.is_error
        assert complaint in text(result)
        assert facts(result)["status"] == "invalid"
    assert served.scenario.read(lambda reader: reader.all(ALL)) == []


async def test_p2_coerced_and_defaulted_arguments_are_one_call_and_run_as_shown(served, shop):
    async with Client(shop.mcp) as client, asyncio.TaskGroup() as tasks:
        one = tasks.create_task(client.call_tool("add_lines", {"lines": [{"sku": "a"}]}))
        two = tasks.create_task(client.call_tool("add_lines", {"lines": '[{"sku": "a", "count": "1"}]', "note": ""}))
        row = await served.pending()
        assert row.arguments == '{"lines":[{"count":1,"sku":"a"}],"note":""}'
        await served.decide()
        await one, await two
        assert shop.ran == [("lines", [Line(sku="a", count=1)])]


async def test_p8_secrets_never_leave_the_gates_process(served, shop):
    async with Client(shop.mcp) as client, asyncio.TaskGroup() as tasks:
        key = "sk_live_0123456789abcdefghij"
        call = tasks.create_task(client.call_tool("set_password", {"user": f"x {key}", "password": "hunter2 hunter2"}))
        row = await served.pending()
        await served.decide()
        result = await call
        assert text(result) == "hunter2 hunter2 is set"
        assert shop.ran == [(f"x {key}", "hunter2 hunter2")]
        assert row.hidden == len(f"x {key}")
    everything = [served.scenario.rows(f'SELECT * FROM "{table}"') for table in SQLModel.metadata.tables]
    assert key not in str(everything)
    assert '"password":{"$redacted"' in row.arguments


async def test_a_cancelled_call_leaves_the_request_and_its_repetition_gets_the_one_execution(served, shop, until):
    async with Client(shop.mcp) as client, asyncio.TaskGroup() as tasks:
        scope = anyio.CancelScope()

        async def hang_up() -> None:
            with scope:
                await client.call_tool("refund_order", {"order_id": 8})

        tasks.create_task(hang_up())
        row = await served.pending()
        await until(lambda: served.scenario.waiting(row.id) == 1)
        scope.cancel()
        await until(lambda: served.scenario.waiting(row.id) == 0)
        again = tasks.create_task(client.call_tool("refund_order", {"order_id": 8}))
        await served.decide()
        with anyio.fail_after(5):
            assert (await again).structured_content["order_id"] == 8
        assert served.scenario.status(row.id).state == "succeeded"
        assert len(shop.ran) == 1


async def test_p3_an_approval_is_claimed_only_for_an_attached_caller(served):
    shop = Shop(served.gate(budgets=Budgets(plain=0.05)))
    async with Client(shop.mcp) as client:
        pending = await client.call_tool("refund_order", {"order_id": 8})
        assert facts(pending)["status"] == "pending"
        assert text(pending).startswith("NOT EXECUTED: waiting for a person's approval")
        row = await served.decide()
        looked = await client.call_tool("get_approval", {"request_id": row.id})
        assert facts(looked)["status"] == "approved"
        assert shop.ran == []
        done = await client.call_tool("refund_order", {"order_id": 8})
        assert done.structured_content == {"order_id": 8, "refunded_cents": 500}


async def test_get_approval_answers_only_for_the_callers_own_requests(served, shop):
    other = served.scenario.file()
    async with Client(shop.mcp) as client:
        result = await client.call_tool("get_approval", {"request_id": other.request_id})
        assert facts(result)["status"] == "not_found"


async def test_progress_is_reported_to_a_client_that_asked_for_it(served, until):
    shop = Shop(served.gate(budgets=Budgets(beat=0.01)))
    seen = []

    async def progress(value, total, message):
        seen.append((value, message))

    async with Client(shop.mcp, mode="legacy") as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("refund_order", {"order_id": 8}, progress_callback=progress))
        await served.pending()
        await until(lambda: len(seen) >= 3)
        await served.decide()
        await call
    values = [value for value, _ in seen]
    assert values == sorted(set(values))
    assert "Refund $5.00 of order 8" in seen[0][1]


async def test_p5_without_settings_every_call_is_refused_with_what_to_set(monkeypatch):
    monkeypatch.delenv("APPROVALS_URL", raising=False)
    monkeypatch.delenv("APPROVALS_SERVER_KEY", raising=False)
    shop = Shop(None)
    async with Client(shop.mcp) as client:
        for tool in ("refund_order", "look"):
            result = await client.call_tool(tool, {"order_id": 1})
            assert result.is_error
            assert "APPROVALS_URL" in text(result)
            assert facts(result)["status"] == "not_configured"
    assert shop.ran == []


async def test_p5_with_a_wrong_setting_every_call_is_refused_with_its_name(monkeypatch, served):
    for name, value in {"URL": served.url, "SERVER_KEY": served.scenario.keys["shop"], "HOLD": "soon"}.items():
        monkeypatch.setenv(f"APPROVALS_{name}", value)
    shop = Shop(None)
    async with Client(shop.mcp) as client:
        result = await client.call_tool("refund_order", {"order_id": 1})
    assert facts(result)["status"] == "not_configured"
    assert "APPROVALS_HOLD has 'soon'" in text(result)


async def test_p5_with_the_service_down_nothing_runs_and_the_next_call_works_when_it_is_back(scenario, serve):
    async with serve() as served:
        url = served.url
        shop = Shop(served.gate())
    async with Client(shop.mcp) as client:
        for tool in ("refund_order", "look"):
            result = await client.call_tool(tool, {"order_id": 1})
            assert facts(result)["status"] == "unavailable"
            assert text(result).startswith("NOT EXECUTED")
        assert shop.ran == []
        async with serve(url):
            assert text(await client.call_tool("look", {"order_id": 1})) == "order 1"


async def test_the_words_for_the_reviewer_are_offered_on_writes_only(shop):
    async with Client(shop.mcp) as client:
        tools = {tool.name: tool.input_schema["properties"] for tool in (await client.list_tools()).tools}
        assert {"approval_reason", "approval_repeat"} <= tools["refund_order"].keys()
        assert "approval_reason" not in tools["look"]
        assert "get_approval" in tools
