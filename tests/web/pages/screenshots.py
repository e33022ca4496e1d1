"""`make screenshots`: the pictures in docs/, taken anew from the pages as they are."""

from pathlib import Path

import pytest

from support.fake_slack import fake_slack

DOCS = Path(__file__).parents[3] / "docs"
REASON = "The carrier confirms that the parcel is lost."
VIEWS = {
    "queue": ("/", 1280, 800, "dark"),
    "card": ("/requests/{one}", 1280, 800, "light"),
    "phone": ("/requests/{one}", 390, 844, "dark"),
}


async def furnish(scenario):
    """A run of one agent, something critical, and what was decided lately; the id of the card to show."""
    ids = []
    for order, cents in ((1040, 5900), (1041, 2500), (1042, 12000), (1043, 3100), (1044, 990)):
        scenario.clock.forward(60)
        arguments = {"order_id": order, "amount_cents": cents, "note": "Parcel lost by the carrier"}
        ids.append(scenario.file(scenario.filing(arguments, reason=REASON)).request_id)
    scenario.decide(ids[0], who="bob")
    scenario.decide(ids[1], "deny", who="bob", comment="Offer store credit first")
    scenario.run("UPDATE request SET agent_session = 'nightly refunds' WHERE state = 'pending'")
    return ids[2]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_pages(served, visitors, browser):
    one = await furnish(served.scenario)
    ann = await visitors.signed_in()
    cookie = {"name": "approvals", "value": ann.http.cookies["approvals"], "url": served.url}
    for name, (address, width, height, scheme) in VIEWS.items():
        size = {"width": width, "height": height}
        context = await browser.new_context(base_url=served.url, viewport=size, color_scheme=scheme)
        await context.add_cookies([cookie])
        page = await context.new_page()
        await page.goto(address.format(one=one))
        await page.wait_for_selector("#card[data-request]")
        await page.evaluate("document.fonts.ready")
        await page.screenshot(path=DOCS / f"{name}.png")
        await context.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_slack(scenario, browser):
    async with fake_slack(scenario) as slack:
        await slack.file(scenario.filing({"order_id": 1042, "amount_cents": 12000}, reason=REASON))
        page = await browser.new_page(viewport={"width": 800, "height": 780})
        await page.goto(slack.demo.page_url)
        await page.screenshot(path=DOCS / "slack.png")
        await page.close()
