"""A change between approval and execution, in a real Chromium, with the shop, a real MCP client and a real gate."""

import asyncio

import pytest
from mcp import Client

from approvals import GatedServer
from approvals_server.shop import shop as shop_module
from approvals_server.shop.data import Shop
from approvals_server.shop.shop import create_shop

pytestmark = pytest.mark.databases("one")


@pytest.mark.slow
async def test_p2_a_stale_card_leads_to_one_with_the_difference_which_is_approved_and_runs(
    served, open_browser, until, tmp_path, monkeypatch
):
    served.scenario.add_server("store")
    shop = Shop(f"sqlite:///{tmp_path}/shop.db")
    monkeypatch.setattr(
        shop_module, "GatedServer", lambda name, **options: GatedServer(name, gate=served.gate(name), **options)
    )
    tabs = await open_browser(served, viewport={"width": 1280, "height": 900})
    async with Client(create_shop(shop, "store")) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("refund_order", {"order_id": 1042, "amount_cents": 2000}))
        first = await served.pending()
        tab = await tabs.open(f"/requests/{first.id}")
        box = tab.locator(".foreseen")
        said = await box.inner_text()
        customer = shop.order(1042)["customer"]
        assert f"Refunds $20.00 to {customer} for order 1042" in said
        assert "$100.00" in said
        assert "Cannot be undone" in await tab.locator("#card .asked").inner_text()
        shop.refund(1042, 5000, "somebody else")
        await tab.click("#card button.good")
        await until(lambda: served.scenario.status(first.id).state == "stale")
        second = await served.pending()
        assert second.replaces == first.id
        await tab.goto(f"/requests/{first.id}")
        await tab.wait_for_selector(".state:has-text('Changed before it ran')")
        await tab.goto(f"/requests/{second.id}")
        notice = await box.locator(".differences").inner_text()
        assert " ".join(notice.split()) == "Left to refund afterwards: $100.00 $50.00"
        await tab.click("#card button.good")
        result = await call
        await tab.wait_for_selector(".state:has-text('Succeeded')")
    assert result.structured_content["left_cents"] == 5000
    assert shop.order(1042)["refunded_cents"] == 7000
