"""The pages in a real Chromium: they refresh by themselves, keep what is typed, and run nothing that was injected."""

import re

import pytest
from playwright.async_api import Page, expect

from approvals.protocol.messages import Decision
from approvals.service.requests.contents import content_of
from approvals.service.requests.decisions import Seen

pytestmark = pytest.mark.databases("one")


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
    filing, at = served.scenario.filing(**changes), served.scenario.installation()
    return (
        await served.scenario.service.write(lambda tx: served.scenario.service.filings.file(tx, at, content_of(filing)))
    ).request_id


async def test_a_new_request_shows_up_and_a_decision_elsewhere_shows_too(served, page):
    await expect(page.locator("#list h1")).to_have_text("You're all caught up")
    await file(served)
    await expect(page.locator("#queue strong")).to_have_text("Refund $120.00 of order 1042")
    await expect(page).to_have_title("(1) Queue · Approvals")
    await page.click("#queue li.row > a")
    await expect(page.locator("#card .state")).to_have_text("Pending")
    await served.decide("deny", who="bob", comment="no")
    await expect(page.locator("#card .state")).to_have_text("Denied")
    await expect(page.locator("#decide form")).to_have_count(0)


async def test_a_refresh_keeps_what_is_being_typed_and_where(served, page):
    request_id = await file(served)
    await page.goto(f"/requests/{request_id}")
    await page.click("#details > summary")
    await page.click("#deny-open > summary")
    await page.fill("#reason", "half a reason")
    await page.check("[name=may_ask_again]")
    await page.focus("#reason")
    async with page.expect_response(f"**/requests/{request_id}"):
        served.scenario.service.bus.wake(request_id)
    await expect(page.locator("#reason")).to_be_focused()
    assert await page.input_value("#reason") == "half a reason"
    assert await page.is_checked("[name=may_ask_again]")
    assert await page.locator("#details").get_attribute("open") is not None


async def test_approving_on_the_page_carries_how_long_it_was_looked_at(served, page):
    request_id = await file(served)
    await page.goto(f"/requests/{request_id}")
    await page.click("button.good")
    await expect(page.locator("#card .state")).to_have_text("Approved, waiting for the agent")
    connection = served.scenario.service.database.connect()
    looked = connection.execute("SELECT looked_ms FROM decision").fetchone()[0]
    connection.close()
    assert looked > 0


INJECTED = '<div hx-post="/requests/{id}/decisions" hx-trigger="load"></div><script>document.title="x"</script>'


async def test_p6_what_an_agent_writes_stays_text_in_the_browser(served, page):
    request_id = await file(served, arguments={"note": INJECTED, "order_id": 1}, reason=INJECTED)
    await page.goto(f"/requests/{request_id}")
    await expect(page.locator("#card blockquote").first).to_have_text(INJECTED)
    assert await page.locator("[hx-post]").count() == 0
    assert served.scenario.status(request_id).state == "pending"


async def test_the_page_heals_when_the_service_was_away(scenario, serve, browser, visitors_of):
    async with serve() as served:
        url = served.url
        context = await browser.new_context(base_url=url)
        await context.add_cookies([{"name": "approvals", "value": await visitors_of(served), "url": url}])
        opened = await context.new_page()
        await opened.goto("/")
        await expect(opened.locator("#list h1")).to_have_text("You're all caught up")
    async with serve(url) as again:
        await file(again)
        await expect(opened.locator("#queue strong")).to_have_text("Refund $120.00 of order 1042", timeout=15_000)
        await context.close()


async def numbered(served, number):
    served.scenario.clock.forward(1)
    return await file(served, arguments={"order_id": number, "amount_cents": 100})


async def test_new_items_wait_behind_a_pill_while_a_hand_is_on_the_list(served, page):
    await numbered(served, 1)
    await expect(page.locator("#queue li.row")).to_have_count(1)
    await page.hover("#queue li.row > a")
    await numbered(served, 2)
    await expect(page.locator("#fresh")).to_have_text("↑ 1 new request")
    await expect(page.locator("#queue li.row")).to_have_count(1)
    await page.click("#fresh")
    await expect(page.locator("#queue li.row")).to_have_count(2)
    await expect(page.locator("#fresh")).to_be_hidden()


async def test_what_was_decided_elsewhere_stays_a_moment_struck_with_who(served, page):
    first, _ = await numbered(served, 1), await numbered(served, 2)
    await expect(page.locator("#queue li.row")).to_have_count(2)
    scenario = served.scenario
    row, bob = scenario.row(first), scenario.person("bob")
    decision = Decision(verdict="deny", comment="no", content_version=row.content_version, digest=row.digest)
    await scenario.service.write(lambda tx: scenario.service.decisions.decide(tx, first, bob, decision, Seen()))
    leaving = page.locator("#queue li.leaving")
    await expect(leaving).to_contain_text("Denied")
    await expect(leaving).to_contain_text("Bob")
    await expect(page).to_have_title("(1) Queue · Approvals")
    await expect(page.locator("link[rel=icon]")).to_have_attribute("href", "/icon.svg?n=1")


async def test_keys_move_and_lead_to_forms_and_decide_nothing(served, page):
    first, second = await numbered(served, 1), await numbered(served, 2)
    await page.goto("/")
    await page.keyboard.press("j")
    await expect(page.locator("#queue li.row > a").first).to_be_focused()
    await page.keyboard.press("j")
    await expect(page.locator("#queue li.row > a").nth(1)).to_be_focused()
    await page.keyboard.press("x")
    await expect(page.locator("#queue input:checked")).to_have_count(1)
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/requests/"))
    await page.keyboard.press("a")
    await expect(page.locator("#approve button")).to_be_focused()
    await page.keyboard.press("d")
    await expect(page.locator("#reason")).to_be_focused()
    await page.locator("#reason").blur()
    await page.keyboard.press("?")
    await expect(page.locator("dialog#keys")).to_be_visible()
    await page.uncheck("#keys-on")
    await page.click("dialog#keys button")
    await page.goto("/")
    await page.keyboard.press("j")
    await expect(page.locator("#queue li.row > a").first).not_to_be_focused()
    assert [served.scenario.status(one).state for one in (first, second)] == ["pending", "pending"]


async def test_several_are_selected_and_decided_in_the_browser(served, page):
    ids = [await numbered(served, n) for n in (1, 2)]
    await page.goto("/")
    for box in await page.locator("#queue label.pick").all():
        await box.click()
    await expect(page.locator("#bulk-words")).to_have_text("2 selected")
    await page.click("#bulk-go")
    await expect(page.locator("h1")).to_have_text("Review 2 together")
    await page.click("button.good")
    await expect(page.locator("h1")).to_have_text("2 of 2 approved")
    assert [served.scenario.status(one).state for one in ids] == ["approved", "approved"]


@pytest.mark.parametrize(
    "width", [pytest.param(1100, marks=pytest.mark.slow), 390, pytest.param(320, marks=pytest.mark.slow)]
)
async def test_no_page_is_wider_than_its_window(served, page, width):
    await file(served, arguments={"order_id": 1, "note": "x" * 400}, reason="y" * 400)
    await page.set_viewport_size({"width": width, "height": 800})
    for address in ("/", "/?risk=high", "/history?q=order", "/figures", "/outbox", "/account", "/freeze"):
        await page.goto(address)
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, (address, wide)
