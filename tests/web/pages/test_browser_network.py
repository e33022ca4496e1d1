"""The pages in a real Chromium while the network, the service or the script bundle is late or away."""

import asyncio

import pytest
from playwright.async_api import expect

from approvals.protocol.messages import Decision
from approvals.service.requests.decisions import Seen

pytestmark = pytest.mark.databases("one")

HOSTILE = (
    '<div hx-post="/logout" hx-trigger="load"></div><form action="/logout" method="post" id="x"></form>'
    "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
    '<a href="javascript:document.title=1">x</a><style>#decide{display:none}</style><b hx-on:load="x()">{{7*7}}</b>'
)


def decide(served, request_id, who="bob"):
    """Another reviewer decides, by the service's own writer, so that open pages are poked."""
    scenario, row = served.scenario, served.scenario.row(request_id)
    decision = Decision(verdict="deny", comment="no", content_version=row.content_version, digest=row.digest)
    person = scenario.person(who)
    return scenario.service.write(
        lambda tx: scenario.service.decisions.decide(tx, request_id, person, decision, Seen())
    )


async def test_offline_nothing_is_sent_nothing_is_lost_and_the_page_heals(served, open_browser, file_at):
    browser = await open_browser(served, "ERR_INTERNET_DISCONNECTED", "Failed to fetch")
    first, second = [await file_at(served, arguments={"order_id": n, "amount_cents": 5}) for n in (1, 2)]
    tab, other = [await browser.open(f"/requests/{request_id}") for request_id in (first, second)]
    await browser.context.set_offline(True)
    await tab.click("#deny-open > summary")
    await tab.fill("#reason", "the parcel was found")
    await tab.click("form#deny button.bad")
    await expect(tab.locator(".banner.offline")).to_have_text(
        "You are offline: nothing was sent. Try again when you are back."
    )
    await expect(tab.locator(".banner.offline")).to_be_in_viewport()
    assert await tab.input_value("#reason") == "the parcel was found"
    await decide(served, second)
    await browser.context.set_offline(False)
    await expect(tab.locator(".banner.offline")).to_be_hidden()
    await expect(other.locator("#card .state")).to_have_text("Denied")
    assert served.scenario.status(first).state == "pending"
    await tab.reload()
    assert await tab.input_value("#reason") == "the parcel was found"
    await tab.click("#deny-open > summary")
    await tab.click("form#deny button.bad")
    await expect(tab.locator("#card .state")).to_have_text("Denied")
    assert served.scenario.row(first).comment == "the parcel was found"


async def test_a_draft_outlives_a_restart_of_the_service_and_is_decided_with(scenario, serve, open_browser, file_at):
    async with serve() as served:
        url = served.url
        request_id = await file_at(served)
        browser = await open_browser(served, "ERR_", "Failed to fetch")
        tab = await browser.open(f"/requests/{request_id}")
        await tab.click("#deny-open > summary")
        await tab.fill("#reason", "wrong customer")
    async with serve(url) as again:
        other = await file_at(again, arguments={"order_id": 2, "amount_cents": 5})
        queue = await browser.open("/")
        await expect(queue.locator(f"#queue [data-id='{other}']")).to_be_visible()
        assert await tab.input_value("#reason") == "wrong customer"
        await tab.click("form#deny button.bad")
        await expect(tab.locator("#toasts")).to_contain_text("Denied: Refund")
        assert again.scenario.row(request_id).comment == "wrong customer"


@pytest.mark.parametrize("path", ["/requests/{id}", pytest.param("/", marks=pytest.mark.slow)])
async def test_p6_what_is_injected_waits_in_vain_for_a_late_bundle(served, open_browser, file_at, path):
    request_id = await file_at(served, arguments={"note": HOSTILE, "order_id": 1}, reason=HOSTILE)
    browser = await open_browser(served)
    tab = await browser.blank()
    released, posts = asyncio.Event(), []
    tab.on("request", lambda asked: posts.append(asked.url) if asked.method != "GET" else None)

    async def hold(route):
        await released.wait()
        await route.continue_()

    await tab.route("**/bundle.js", hold)
    await tab.goto(path.format(id=request_id), wait_until="commit")
    await expect(tab.locator("h1").first).to_be_visible()
    released.set()
    await tab.wait_for_function("() => window.htmx !== undefined")
    second = await file_at(served, arguments={"order_id": 2, "amount_cents": 5})
    queue = await browser.open("/")
    await expect(queue.locator(f"#queue [data-id='{second}']")).to_be_visible()
    assert await tab.locator("main :is([hx-post], script, img, style, [onerror], a[href^=javascript])").count() == 0
    assert "pwned" not in await tab.title()
    assert posts == []
    assert served.scenario.status(request_id).state == "pending"
    await decide(served, request_id)
    await expect(tab.get_by_text("Denied").first).to_be_visible()


async def test_a_card_is_read_and_decided_without_any_script(served, open_browser, file_at):
    request_id = await file_at(served)
    browser = await open_browser(served, "ERR_FAILED")
    tab = await browser.blank()
    await tab.route("**/bundle.js", lambda route: route.abort())
    await tab.goto(f"/requests/{request_id}")
    await tab.click("#deny-open > summary")
    await tab.fill("#reason", "not this one")
    await tab.click("form#deny button.bad")
    await expect(tab.locator("#card .state")).to_have_text("Denied")
    assert served.scenario.row(request_id).comment == "not this one"


async def test_a_page_is_fetched_again_once_something_changed_and_not_right_after_it_came(
    served, open_browser, file_at
):
    browser = await open_browser(served)
    tab = await browser.blank()
    asked = []
    tab.on("request", lambda request: asked.append(request.url) if "hx-request" in request.headers else None)
    async with tab.expect_request("**/events"):
        await tab.goto("/grants")
    await tab.goto("/?show=all")
    await tab.wait_for_function("() => window.htmx !== undefined")
    first = [url for url in asked if "show=all" in url]
    one = await file_at(served)
    await expect(tab.locator(f'#queue [data-id="{one}"]')).to_be_visible()
    assert (first, len([url for url in asked if "show=all" in url])) == ([], 1)


async def test_p4_what_changed_between_a_page_and_its_stream_is_fetched(served, open_browser, file_at):
    browser = await open_browser(served)
    tab = await browser.blank()

    async def late(route):
        await file_at(served)
        await route.continue_()

    await tab.route("**/events", late)
    await tab.goto("/?show=all")
    await expect(tab.locator("#queue li.row")).to_have_count(1)
