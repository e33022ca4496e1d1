"""The pages in a real Chromium: they refresh by themselves, keep what is typed, and run nothing that was injected."""

import pytest
from playwright.async_api import Page, expect


@pytest.fixture
async def page(served, visitors, browser) -> Page:
    """Ann's browser, on the queue; any error in its console fails the test."""
    context = await browser.new_context(base_url=served.url)
    ann = await visitors.signed_in()
    await context.add_cookies([{"name": "approvals", "value": ann.http.cookies["approvals"], "url": served.url}])
    opened = await context.new_page()
    opened.set_default_timeout(10_000)
    faults: list[str] = []
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    await opened.goto("/")
    await opened.wait_for_function("() => window.htmx !== undefined")
    yield opened
    await context.close()
    assert faults == []


async def file(served, **changes):
    """A call filed by a gate: committed by the service's own writer, so open pages are poked."""
    filing, at = served.house.filing(**changes), served.house.installation()
    return (await served.house.service.write(lambda tx: served.house.service.filings.file(tx, at, filing))).request_id


async def test_a_new_request_shows_up_and_a_decision_elsewhere_shows_too(served, page):
    await expect(page.locator("h1")).to_have_text("Nothing waiting for a decision")
    await file(served)
    await expect(page.locator("ul.queue strong")).to_have_text("Refund $120.00 of order 1042")
    await expect(page).to_have_title("(1) Queue · Approvals")
    await page.click("ul.queue a")
    await expect(page.locator(".chip").first).to_have_text("pending")
    await served.decide("deny", who="bob", comment="no")
    await expect(page.locator(".chip").first).to_have_text("denied")
    await expect(page.locator("#decide")).to_have_count(0)


async def test_a_refresh_keeps_what_is_being_typed_and_where(served, page):
    request_id = await file(served)
    await page.goto(f"/requests/{request_id}")
    await page.fill("#reason", "half a reason")
    await page.check("[name=may_ask_again]")
    await page.click("summary")
    await page.focus("#reason")
    async with page.expect_response(f"**/requests/{request_id}"):
        served.house.service.bus.wake(request_id)
    await expect(page.locator("#reason")).to_be_focused()
    assert await page.input_value("#reason") == "half a reason"
    assert await page.is_checked("[name=may_ask_again]")
    assert await page.locator("details").get_attribute("open") is not None


async def test_approving_on_the_page_carries_how_long_it_was_looked_at(served, page):
    request_id = await file(served)
    await page.goto(f"/requests/{request_id}")
    await page.click("button.good")
    await expect(page.locator(".chip").first).to_have_text("approved")
    connection = served.house.service.database.connect()
    looked = connection.execute("SELECT looked_ms FROM decision").fetchone()[0]
    connection.close()
    assert looked > 0


INJECTED = '<div hx-post="/requests/{id}/decisions" hx-trigger="load"></div><script>document.title="x"</script>'


async def test_p6_what_an_agent_writes_stays_text_in_the_browser(served, page):
    request_id = await file(served, arguments={"note": INJECTED, "order_id": 1}, reason=INJECTED)
    await page.goto(f"/requests/{request_id}")
    await expect(page.locator("blockquote")).to_have_text(INJECTED)
    assert await page.locator("[hx-post]").count() == 0
    assert served.house.status(request_id).state == "pending"


async def test_the_page_heals_when_the_service_was_away(house, serve, browser, visitors_of):
    async with serve() as served:
        url = served.url
        context = await browser.new_context(base_url=url)
        await context.add_cookies([{"name": "approvals", "value": await visitors_of(served), "url": url}])
        opened = await context.new_page()
        await opened.goto("/")
        await expect(opened.locator("h1")).to_have_text("Nothing waiting for a decision")
    async with serve(url) as again:
        await file(again)
        await expect(opened.locator("ul.queue strong")).to_have_text("Refund $120.00 of order 1042", timeout=15_000)
        await context.close()
