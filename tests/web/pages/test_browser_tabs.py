"""Several tabs of one browser: one event stream for all of them, and whatever one does the others show."""

import asyncio

import pytest
from playwright.async_api import expect

from approvals_web.pages import live

pytestmark = pytest.mark.databases("one")

TABS = 8


@pytest.fixture
def streams(monkeypatch) -> dict[str, int]:
    """How many event streams are open at the service, and how many at most were."""
    counted = {"open": 0, "most": 0}
    pokes = live._pokes

    async def counting(*args):
        counted["open"] += 1
        counted["most"] = max(counted.values())
        try:
            async for poke in pokes(*args):
                yield poke
        finally:
            counted["open"] -= 1

    monkeypatch.setattr(live, "_pokes", counting)
    return counted


@pytest.mark.slow
async def test_eight_tabs_share_one_stream_and_another_takes_over(served, streams, open_browser, file_at, until):
    browser = await open_browser(served)
    leaders = []
    browser.context.on("request", lambda asked: leaders.append(asked.frame.page) if "/events" in asked.url else None)
    tabs = [await browser.open("/") for _ in range(TABS)]
    await until(lambda: streams["open"] == 1)
    first = await file_at(served)
    for tab in tabs:
        await expect(tab.locator(f"#queue [data-id='{first}']")).to_be_visible()
    assert (len(leaders), streams["most"]) == (1, 1)

    tabs.remove(leaders[0])
    await leaders[0].close()
    await until(lambda: len(leaders) == 2 and streams["open"] == 1)
    second = await file_at(served, arguments={"order_id": 7, "amount_cents": 5})
    for tab in tabs:
        await expect(tab.locator(f"#queue [data-id='{second}']")).to_be_visible()
    tab = await browser.open(f"/requests/{second}")
    await tab.click("form#approve button")
    for other in tabs:
        await expect(other.locator(f"#queue [data-id='{second}']")).to_have_count(0)
    assert len(leaders) == 2
    assert streams["open"] == 1


async def test_two_tabs_of_one_card_agree_without_a_reload(served, open_browser, file_at):
    request_id = await file_at(served)
    browser = await open_browser(served)
    one, other = [await browser.open(f"/requests/{request_id}") for _ in range(2)]
    await one.click("#deny-open > summary")
    await one.fill("#reason", "no")
    await one.click("form#deny button.bad")
    await expect(other.locator("#card .state")).to_have_text("Denied")
    await expect(other.locator("#decide form")).to_have_count(0)


@pytest.mark.parametrize("second", ["approve", pytest.param("deny", marks=pytest.mark.slow)])
async def test_deciding_on_a_stale_tab_shows_the_fresh_card_and_decides_nothing(served, open_browser, file_at, second):
    request_id = await file_at(served)
    browser = await open_browser(served, "409")
    stale, fresh = [await browser.open(f"/requests/{request_id}") for _ in range(2)]
    heard = asyncio.Event()
    await stale.route(f"**/requests/{request_id}", lambda _: heard.set())  # its refresh never comes back
    await stale.click("#deny-open > summary")
    await stale.fill("#reason", "wrong customer")
    await fresh.click("form#approve button")
    await expect(fresh.locator("#card .state")).to_have_text("Approved, waiting for the agent")
    async with asyncio.timeout(10):
        await heard.wait()
    async with stale.expect_response(f"**/requests/{request_id}/decisions") as answer:
        await stale.click(f"form#{second} button:not([type=button])")
    assert (await answer.value).status == 409
    await expect(stale.locator("#card .notice[role=alert]")).to_contain_text("already approved by Ann")
    await expect(stale.locator("#card .state")).to_have_text("Approved, waiting for the agent")
    assert served.scenario.rows("SELECT verdict FROM decision") == [("approve",)]
