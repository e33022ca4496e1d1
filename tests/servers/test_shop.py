"""The shop: what authors start from. Its tools, through a real MCP client and the real service."""

import asyncio
import subprocess
import sys

import anyio
import pytest
from mcp import Client

from approvals import GatedServer
from approvals.protocol.preview_words import differences, said
from approvals.protocol.previews import stored
from approvals_server.shop import previews
from approvals_server.shop import shop as shop_module
from approvals_server.shop.data import Changed, Shop
from approvals_server.shop.shop import create_shop
from support.answer_table import facts


@pytest.fixture
def shop(tmp_path):
    return Shop(f"sqlite:///{tmp_path}/shop.db")


@pytest.fixture
async def agent(served, shop, monkeypatch):
    def gated(name, **options):
        return GatedServer(name, gate=served.gate(name), **options)

    served.scenario.add_server("store")
    monkeypatch.setattr(shop_module, "GatedServer", gated)
    async with Client(create_shop(shop, "store")) as client:
        yield client


def text(result):
    return "\n".join(block.text for block in result.content)


async def approved(served, agent, tool, **arguments):
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool(tool, arguments))
        row = await served.decide()
        with anyio.fail_after(5):
            return row, await call


async def test_every_tool_is_described_annotated_and_structured(agent):
    tools = {tool.name: tool for tool in (await agent.list_tools()).tools}
    assert tools.keys() == {
        "search_orders",
        "get_order",
        "list_customers",
        "refund_order",
        "delete_customer",
        "get_approval",
    }
    for name, tool in tools.items():
        if name == "get_approval":
            continue
        assert len(tool.description) > 200
        assert tool.output_schema is not None
        writes = name in {"refund_order", "delete_customer"}
        assert tool.annotations.read_only_hint is not writes
        assert bool(tool.annotations.destructive_hint) is writes


async def test_long_results_come_in_pages(agent):
    first = (await agent.call_tool("search_orders", {"limit": 50})).structured_content
    assert len(first["orders"]) == 50
    second = (await agent.call_tool("search_orders", {"limit": 50, "cursor": first["next_cursor"]})).structured_content
    assert second["orders"][0]["id"] > first["orders"][-1]["id"]
    few = (await agent.call_tool("list_customers", {"query": "mira"})).structured_content
    assert few["customers"]
    assert all("mira" in (one["name"] + one["email"]).lower() for one in few["customers"])
    too_many = await agent.call_tool("search_orders", {"limit": 51})
    assert facts(too_many)["status"] == "invalid"


async def test_the_sample_is_a_few_thousand_rows_and_the_same_each_time(shop, tmp_path):
    assert shop.order(1042)["total_cents"] == 12000
    other = Shop(f"sqlite:///{tmp_path}/other.db")
    assert other.search_orders(None, None, 0, 0, 50) == shop.search_orders(None, None, 0, 0, 50)
    assert 2000 < sum(1 for _ in pages(shop)) < 10_000


def pages(shop):
    cursor = 0
    while rows := shop.search_orders(None, None, 0, cursor, 50):
        yield from rows
        cursor = rows[-1]["id"]


async def test_a_refund_waits_and_then_has_really_happened(served, agent, shop):
    row, result = await approved(served, agent, "refund_order", order_id=1042, amount_cents=2000)
    assert row.summary == "Refund $20.00 of order 1042"
    assert result.structured_content["left_cents"] == 10000
    assert shop.order(1042)["refunded_cents"] == 2000


async def test_a_refund_beyond_what_is_left_fails_and_says_so(served, agent, shop):
    _, result = await approved(served, agent, "refund_order", order_id=1042, amount_cents=12001)
    assert result.is_error
    assert "$120.00" in text(result) or "12000" in text(result)
    assert shop.order(1042)["refunded_cents"] == 0


def test_p3_the_same_request_never_refunds_twice_even_when_the_tool_runs_again(shop):
    shop.refund(1042, 2000, "request-1")
    shop.refund(1042, 2000, "request-1")
    assert shop.order(1042)["refunded_cents"] == 2000


async def test_p2_the_card_says_to_whom_a_refund_goes_and_what_is_left_and_that_is_what_happens(served, agent, shop):
    row, result = await approved(served, agent, "refund_order", order_id=1042, amount_cents=2000)
    shown = stored(row.preview)
    assert shown.effect == f"Refunds $20.00 to {shop.order(1042)['customer']} for order 1042 (standing desk)"
    assert {fact.name: said(fact) for fact in shown.facts}["left"] == "$100.00"
    assert result.structured_content["left_cents"] == 10000


async def test_p2_a_refund_made_beside_an_approved_one_sends_that_back_to_people_with_the_difference(
    served, agent, shop
):
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("refund_order", {"order_id": 1042, "amount_cents": 2000}))
        first = await served.pending()
        shop.refund(1042, 5000, "somebody else")
        await served.decide()
        second = await served.pending()
        (left,) = differences(stored(first.preview), stored(second.preview))
        assert (left.label, left.was, left.now) == ("Left to refund afterwards", "$100.00", "$50.00")
        assert shop.order(1042)["refunded_cents"] == 5000
        await served.decide()
        assert not (await call).is_error
    assert shop.order(1042)["refunded_cents"] == 7000


def test_p2_the_shop_itself_refuses_an_effect_that_was_approved_for_other_circumstances(shop):
    before = previews.refund(shop, 1042, 2000)
    shop.refund(1042, 5000, "somebody else")
    with pytest.raises(Changed, match=r"0 of 12000 refunded; by now it is .* 5000 of 12000"):
        shop.refund(1042, 2000, "request-1", before.basis)
    assert shop.order(1042)["refunded_cents"] == 5000


async def test_a_refund_that_would_fail_says_so_on_its_card(served, agent):
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("refund_order", {"order_id": 1042, "amount_cents": 12001}))
        row = await served.pending()
        assert (row.preview, row.no_preview) == ("", "Order 1042 has 12000 cents left to refund; 12001 is too much.")
        await served.decide("deny", comment="too much")
        await call


async def test_a_missing_order_is_told_in_the_shops_words(agent):
    result = await agent.call_tool("get_order", {"order_id": 999_999})
    assert result.is_error
    assert "no order 999999" in text(result)


async def test_a_customer_with_orders_in_the_books_stays(served, agent, shop):
    _, result = await approved(served, agent, "delete_customer", customer_id=17)
    assert result.is_error
    assert shop.customers("", 16, 1)[0]["id"] == 17


@pytest.mark.parametrize(
    "address",
    ["8701", *(pytest.param(other, marks=pytest.mark.slow) for other in (":8701", "localhost:http", "127.0.0.1:"))],
)
def test_a_wrong_address_gets_one_clear_line(address, tmp_path):
    command = [sys.executable, "-m", "approvals_server.shop.cli", "--http", address]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=30)
    assert done.returncode == 2
    assert "is not HOST:PORT" in done.stderr
