"""axe finds nothing on any page, in light and in dark, on a desk and on phones."""

import pytest
from axe_playwright_python.async_playwright import Axe

from approvals.errors import Conflict

PAGES = [
    "/",
    "/?risk=high",
    "/history",
    "/history?q=nothing-like-it",
    "/figures",
    "/figures?days=30",
    "/grants",
    "/agents",
    "/servers",
    "/servers/shop",
    "/freeze",
    "/policy",
    "/policy/draft",
    "/rollout",
    "/users",
    "/audit",
    "/notices",
    "/outbox",
    "/account",
    "/requests/none",
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def furnish(scenario):
    """A queue with a run, a critical one, and one of every end."""
    cards = []
    for number, verdict in enumerate(("", "", "approve", "deny", "")):
        scenario.clock.forward(1)
        filing = scenario.filing({"order_id": number, "amount_cents": 100, "note": "a\u202eb"}, reason="because <b>")
        one = scenario.file(filing).request_id
        if verdict:
            scenario.decide(one, verdict, comment="no")
        cards.append(f"/requests/{one}")
    scenario.run("UPDATE request SET agent_session = 'run' WHERE state = 'pending'")
    scenario.rate(cards[4].rpartition("/")[2], "critical")
    one = cards[2].rpartition("/")[2]
    assert not isinstance(scenario.claim(one), Conflict)
    scenario.report(one)
    return cards


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("width", [1280, 1100, 390, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.slow
async def test_axe_finds_nothing(served, visitors, browser, scheme, width):
    cards = await furnish(served.scenario)
    ids = "&".join(f"id={card.rpartition('/')[2]}" for card in cards[:2])
    context = await browser.new_context(
        base_url=served.url, color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True
    )
    ann = await visitors.signed_in()
    await context.add_cookies([{"name": "approvals", "value": ann.http.cookies["approvals"], "url": served.url}])
    page = await context.new_page()
    found = {}
    for address in (*PAGES, *cards, f"/selection?{ids}"):
        await page.goto(address)
        results = await Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]})
        for violation in results.response["violations"]:
            nodes = [node["html"][:150] for node in violation["nodes"][:3]]
            found.setdefault(violation["id"], []).append((address, nodes))
    await context.close()
    assert found == {}
