"""The desk in a real Chromium: what one decides with is always in reach, and deciding takes one act a request."""

import re

import pytest
from playwright.async_api import expect

from approvals.protocol.messages import Decision
from approvals.service.requests.decisions import Seen

SIZES = [(1280, 800), (1440, 900), (390, 844)]
LONG = {"order_id": 1, "amount_cents": 5, "list": ["x"] * 90}
CARDS = {
    "plain": {"order_id": 1, "amount_cents": 12000},
    "long": LONG | {"order_id": 2},
    "sql": {"query": "DELETE FROM orders\n" + "  -- why\n" * 80, "order_id": 3},
    "change": {"old_text": "a\n" * 60, "new_text": "b\n" * 60, "order_id": 4},
    "table": {"rows": [{"sku": f"A{n}", "price_cents": n, "currency": "USD"} for n in range(28)], "order_id": 5},
    "critical": LONG | {"order_id": 6},
    "by two": LONG | {"order_id": 7},
    "odd": {"note": "a\u202eb\u0430bc", "word": "w" * 900, "order_id": 8},
}


async def numbered(served, file_at, number):
    served.scenario.clock.forward(1)
    return await file_at(served, arguments={"order_id": number, "amount_cents": 100})


async def cards(served, file_at):
    """One of each kind, by its name."""
    found = {}
    for name, arguments in CARDS.items():
        served.scenario.clock.forward(1)
        found[name] = await file_at(served, arguments=arguments, reason="because " * 60)
    served.scenario.run("UPDATE request SET risk = 'critical' WHERE id = :id", id=found["critical"])
    served.scenario.need(found["by two"], quorum=2)
    served.scenario.decide(found["by two"], who="bob", comment="fine")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_approve_and_deny_are_in_sight_at_once_and_wherever_one_scrolls(served, open_browser, file_at, size):
    width, height = size
    browser = await open_browser(served, viewport={"width": width, "height": height})
    for name, request_id in (await cards(served, file_at)).items():
        tab = await browser.open(f"/requests/{request_id}")
        for part in (0, 0.5, 1):
            await tab.evaluate(
                """part => { for (const one of [document.querySelector("#card .body"), document.documentElement])
                    one.scrollTo(0, part * one.scrollHeight) }""",
                part,
            )
            for button in ("#approve button", "#deny-open > summary"):
                await expect(tab.locator(button), f"{name} at {part}").to_be_in_viewport(ratio=1)
        await tab.close()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "least"), [(1280, 800, 8), (390, 844, 6)])
async def test_the_first_look_shows_many_requests(served, open_browser, file_at, width, height, least):
    for number in range(12):
        await numbered(served, file_at, number)
    tab = await (await open_browser(served, viewport={"width": width, "height": height})).open("/")
    in_sight = await tab.locator("#queue li.row").evaluate_all(
        "rows => rows.filter(row => row.getBoundingClientRect().bottom <= innerHeight).length"
    )
    assert in_sight >= least


@pytest.mark.slow
@pytest.mark.parametrize("by", ["mouse", "keys"])
async def test_ten_decisions_take_ten_clicks_or_twenty_keys(served, open_browser, file_at, by):
    ids = [await numbered(served, file_at, number) for number in range(10)]
    tab = await (await open_browser(served, viewport={"width": 1280, "height": 800})).open("/")
    acts = 0
    for request_id in ids:
        await expect(tab.locator("#card")).to_have_attribute("data-request", request_id)
        if by == "mouse":
            await tab.click("#approve button")
        else:
            await tab.keyboard.press("a")
            await tab.keyboard.press("Enter")
        acts += 1 if by == "mouse" else 2
        await expect(tab.locator(f"#toasts [data-of='{request_id}']")).to_be_visible()
    assert acts == (10 if by == "mouse" else 20)
    assert {served.scenario.status(one).state for one in ids} == {"approved"}
    await expect(tab.locator("#list h1")).to_have_text("You're all caught up")


@pytest.mark.slow
async def test_an_approval_is_undone_while_it_has_not_started(served, open_browser, file_at):
    first, second = [await numbered(served, file_at, number) for number in (1, 2)]
    tab = await (await open_browser(served, viewport={"width": 1280, "height": 800})).open(f"/requests/{first}")
    await tab.click("#approve button")
    await expect(tab.locator("#card")).to_have_attribute("data-request", second)
    await expect(tab.locator("#card h1")).to_be_focused()
    await expect(tab).to_have_url(re.compile(f"/requests/{second}$"))
    await tab.keyboard.press("u")
    await tab.keyboard.press("Enter")
    await expect(tab.locator("#card .state")).to_have_text("Approval undone")
    assert [served.scenario.status(one).state for one in (first, second)] == ["revoked", "pending"]


@pytest.mark.slow
async def test_the_name_that_does_not_match_is_said_at_its_field_and_nothing_is_sent(served, open_browser, file_at):
    request_id = await numbered(served, file_at, 17)
    served.scenario.run("UPDATE request SET risk = 'critical' WHERE id = :id", id=request_id)
    tab = await (await open_browser(served)).open(f"/requests/{request_id}")
    sent = []
    tab.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    await expect(tab.locator("#approve button")).to_have_attribute("aria-disabled", "false")
    await tab.fill("#typed", "18")
    await tab.click("#approve button")
    await expect(tab.locator("#typed")).to_have_attribute("aria-invalid", "true")
    await expect(tab.locator("#typed")).to_have_value("18")
    await expect(tab.locator("#arming")).to_have_text("That doesn't match. Type 17 to approve.")
    assert sent == []
    await tab.fill("#typed", "17")
    await tab.click("#approve button")
    await expect(tab.locator("#card .state")).to_have_text("Approved, waiting for the agent")


@pytest.mark.slow
async def test_p5_a_service_that_went_away_is_said_and_nothing_typed_is_lost(scenario, serve, open_browser, file_at):
    async with serve() as served:
        url, request_id = served.url, await numbered(served, file_at, 1)
        browser = await open_browser(served, "ERR_", "Failed to fetch", viewport={"width": 1280, "height": 800})
        tab = await browser.open(f"/requests/{request_id}")
        await tab.fill("#note", "as agreed")
    await tab.click("#approve button")
    await expect(tab.locator(".trouble")).to_contain_text("The service did not answer")
    await expect(tab.locator(".banner.offline")).to_have_text("Reconnecting… What you see may be old.")
    assert scenario.rows("SELECT 1 FROM decision") == []
    async with serve(url):
        await expect(tab.locator(".banner.offline")).to_be_hidden(timeout=20_000)
        await expect(tab.locator("#note")).to_have_value("as agreed")
        await tab.click("#approve button")
        await expect(tab.locator("#card .state")).to_have_text("Approved, waiting for the agent")
        assert scenario.rows("SELECT comment FROM decision") == [("as agreed",)]


@pytest.mark.slow
async def test_a_mixed_selection_is_offered_kind_by_kind_and_stays(served, open_browser, file_at):
    ids = [await numbered(served, file_at, number) for number in (1, 2, 3)]
    served.scenario.run("UPDATE request SET tool = 'look_up' WHERE id = :id", id=ids[2])
    tab = await (await open_browser(served, viewport={"width": 1280, "height": 800})).open("/")
    for request_id in ids:
        await tab.click(f"[data-id='{request_id}'] label.pick")
    await expect(tab.locator("#bulk-words")).to_contain_text("3 selected, of different kinds")
    await expect(tab.locator("#bulk-go")).to_be_hidden()
    await expect(tab.locator("#queue input:checked")).to_have_count(3)
    await tab.click("#bulk a:has-text('shop.refund_order (2)')")
    await expect(tab.locator("h1")).to_have_text("Review 2 together")


async def test_what_i_voted_on_leaves_my_list_and_says_how_far_it_is(served, ann, file_at):
    request_id = await numbered(served, file_at, 1)
    served.scenario.need(request_id, quorum=2)
    assert "1 needs your decision" in (await ann.http.get("/")).text
    row, me = served.scenario.row(request_id), served.scenario.person("ann")
    vote = Decision(verdict="approve", comment="", content_version=row.content_version, digest=row.digest)
    await served.scenario.service.write(
        lambda tx: served.scenario.service.decisions.decide(tx, request_id, me, vote, Seen())
    )
    mine, every = (await ann.http.get("/")).text, (await ann.http.get("/?show=all")).text
    assert "You&#39;re all caught up" in mine or "You're all caught up" in mine
    assert request_id not in mine
    assert "Waiting for others" in every
    assert "✓ 1 of 2 approvals" in every


async def test_a_warning_stands_in_the_row(served, ann, file_at):
    await file_at(served, arguments={"order_id": 1, "note": "DELETE FROM sessions"})
    assert "⚠ no WHERE" in (await ann.http.get("/")).text


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
RAW = {
    "identifier": UUID,
    "instant": re.compile(r"\d\d:\d\d:\d\d UTC|\d{4}-\d\d-\d\dT"),
    "Python literal": re.compile(r"\bTrue\b|\bFalse\b|\bNone\b(?! yet|<)|\[&#39;|\{&#39;"),
}


def said(page: str) -> str:
    """What a person sees of a page: no attributes, no details that are folded, no scripts."""
    body = re.sub(
        r'<details class="box details".*?</details>\s*</div></div>', "", page.partition("<body")[2], flags=re.S
    )
    return re.sub(r"<[^>]*>", " ", body)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?show=all",
        "/history",
        "/agents",
        "/servers",
        "/users",
        "/notices",
        "/freeze",
        "/rollout",
        "/grants",
        "/outbox",
        "/figures",
        "/servers/shop",
        "/policy",
        "/account",
        "/users/{user}",
        "/requests/{request}/edit",
    ],
)
async def test_no_page_shows_raw_identifiers_instants_or_literals(served, ann, file_at, path):
    scenario, waits = served.scenario, ""
    for number, verdict in enumerate(("", "approve", "deny")):
        one = await numbered(served, file_at, number)
        waits = waits or one
        if verdict:
            scenario.decide(one, verdict, comment="no")
    answer = await ann.http.get(path.format(user=scenario.person().id, request=waits))
    assert answer.status_code == 200
    text = said(answer.text)
    assert {name: raw.findall(text) for name, raw in RAW.items() if raw.findall(text)} == {}


async def test_the_audit_log_says_names_and_links_requests(served, ann, file_at):
    one = await numbered(served, file_at, 1)
    served.scenario.decide(one, comment="no")
    page = (await ann.http.get("/audit")).text
    text = said(page)
    assert RAW["identifier"].findall(text) == []
    assert f'<a href="/requests/{one}">Refund' in page
    assert "Vote to approve" in text and ">Ann<" in page


async def test_no_card_shows_raw_identifiers_or_instants_beside_its_details(served, ann, file_at):
    scenario = served.scenario
    first = await numbered(served, file_at, 1)
    scenario.decide(first, "deny", comment="no")
    second = await numbered(served, file_at, 2)
    for request_id in (first, second):
        text = said((await ann.http.get(f"/requests/{request_id}")).text)
        assert {name: raw.findall(text) for name, raw in RAW.items() if raw.findall(text)} == {}
