"""The card in a real Chromium: nothing that an agent writes acts or spills, and what a person typed is not lost."""

import pytest
from playwright.async_api import expect

from approvals.service.requests.contents import content_of
from support.chromium import REFRESHED

pytestmark = pytest.mark.databases("one")

ATTACKS = [
    '<div hx-post="/requests/{id}/decisions" hx-trigger="load" hx-vals=\'{"verdict":"approve"}\'></div>',
    '<div hx-get="/freeze" hx-trigger="load" hx-target="body" hx-nonce="x"></div>',
    "<script>document.title='pwned'</script>",
    "<img src=x onerror=\"document.title='pwned'\">",
    "<svg onload=\"document.title='pwned'\">",
    '"><input autofocus onfocus="document.title=\'pwned\'">',
    "<a href=\"javascript:document.title='pwned'\">press</a>",
    "javascript:document.title='pwned'",
    "</pre></section></main><style>*{display:none!important}</style>",
    "</textarea></form><form action=/logout method=post><button>",
    "{{ 7*7 }}{% for x in y %}${7*7}",
    "<base href=//evil.example><link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=/freeze'>",
    "\u202etxt.exe\u2066\u2069",
    "\u200b\u200d\ufeff\u2060" * 20,
    "שלום עולם " * 30,
    "a" * 1900,
    "👩\u200d👩\u200d👧\u200d👦" * 100,
    "Z" + "\u0301" * 500,
    "﷽" * 60,
    "\x00\x07\x1b[31m\r\n\x85",
    "DELETE FROM t WHERE a = '<script>document.title=1</script>' -- " + "x" * 500,
]
MARKS = ("", " \u200f", "'", '"', "\\", "`", "<!--", "]]>", "\n")
HOSTILE = [f"{attack[:1800]}{mark}" for mark in MARKS for attack in ATTACKS]
HOSTILE += ["\u2003" * 50, "-" * 1900]


INJECTED = (
    "[hx-post]",
    "main script",
    "main img",
    "main style",
    "main svg:not(.i, .risk)",
    "main [onerror]",
    "main meta",
)
EXPECTED = ("401", "409", "422")
"""Answers that the browser logs as errors."""


@pytest.fixture
async def tabs(served, visitors, browser):
    """Opens a card as somebody; any error in a console fails the test, and so does any dialog."""
    contexts, faults = [], []

    async def open_tab(request_id, name="ann", **options):
        context = await browser.new_context(base_url=served.url, **options)
        contexts.append(context)
        token = (await visitors.signed_in(name)).http.cookies["approvals"]
        await context.add_cookies([{"name": "approvals", "value": token, "url": served.url}])
        tab = await context.new_page()
        tab.set_default_timeout(10_000)
        tab.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("dialog", lambda dialog: faults.append(dialog.message))
        await tab.goto(f"/requests/{request_id}")
        await tab.wait_for_function("() => window.htmx !== undefined")
        return tab

    yield open_tab
    for context in contexts:
        await context.close()
    assert [fault for fault in faults if not any(status in fault for status in EXPECTED)] == []


async def file(served, **changes):
    filing, at = served.scenario.filing(**changes), served.scenario.installation()
    return (
        await served.scenario.service.write(lambda tx: served.scenario.service.filings.file(tx, at, content_of(filing)))
    ).request_id


async def make_critical(served, request_id):
    served.scenario.rate(request_id, "critical")


def hostile_filing(scenario, part):
    """One call whose every word an agent chose."""
    words = HOSTILE[part::2]
    return {
        "arguments": {
            "order_id": words[0],
            "amount": words[1],
            "currency": words[2],
            "old_text": "\n".join(words[:20]),
            "new_text": "\n".join(words[5:25]),
            "query": "DELETE FROM " + words[3],
            "rows": [{"a": one[:300], "b\u200b": one[:90]} for one in words[:30]],
            words[4][:60]: {words[5][:60]: words[6]},
            "all": words,
        },
        "reason": words[7][:1900],
        "client": {"name": words[8][:150], "version": words[9][:150], "transport": "http"},
        "on_behalf_of": "<img/src=x/onerror=alert(1)>",
        "agent_session": "<script>alert(1)</script>",
    }


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, 1])
async def test_p6_nothing_that_an_agent_writes_decides_runs_or_spills(served, tabs, part):
    assert len(HOSTILE) >= 200
    scenario = served.scenario
    scenario.register(
        scenario.tool(input_schema={"type": "object", "properties": {}}, summary=None), session="session-0002"
    )
    request_id = await file(served, session="session-0002", **hostile_filing(scenario, part))
    posts = []
    for width in (1100, 390, 320):
        tab = await tabs(request_id, viewport={"width": width, "height": 800})
        tab.on("request", lambda request: posts.append(request.url) if request.method != "GET" else None)
        async with tab.expect_response(f"**/requests/{request_id}"):
            scenario.service.bus.wake(request_id)
        await expect(tab.locator("#decide")).to_be_visible()
        assert await tab.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert await tab.title() not in {"pwned", "1"}
        for injected in (
            "[hx-post]",
            "main script",
            "main img",
            "main style",
            "main svg:not(.i, .risk)",
            "main [onerror]",
            "main meta",
        ):
            assert await tab.locator(injected).count() == 0
        assert await tab.locator("main a[href^=javascript]").count() == 0
        assert await tab.locator("#decide form").count() == 2
    assert posts == []
    assert scenario.status(request_id).state == "pending"


async def test_the_second_reviewer_gets_the_fresh_card_with_who_was_first_and_keeps_the_draft(served, tabs):
    request_id = await file(served)
    first, second = await tabs(request_id), await tabs(request_id, "bob")
    await expect(first.locator("#refusal")).to_be_hidden()  # it takes no room while there is none
    await second.evaluate("document.querySelector('#card').removeAttribute('data-live')")  # it has not heard yet
    await second.click("#deny-open > summary")
    await second.fill("#reason", "wrong customer")
    form = second.locator("form#deny")
    held = await form.evaluate_handle("form => form")
    await first.click("form#approve button")
    await expect(first.locator("#card .state")).to_have_text("Approved, waiting for the agent")
    await held.evaluate("form => { if (!form.isConnected) document.body.append(form); form.requestSubmit(); }")
    await expect(second.locator("#card .notice[role=alert]")).to_contain_text("already approved by Ann")
    await expect(second.locator("#card .state")).to_have_text("Approved, waiting for the agent")
    async with second.expect_response(f"**/requests/{request_id}"):
        served.scenario.service.bus.wake(request_id)
    await expect(second.locator("#why-back")).to_have_value("wrong customer")
    await second.evaluate(REFRESHED)
    await expect(second.locator("#card .notice[role=alert]")).to_contain_text("already approved by Ann")
    assert served.scenario.status(request_id).state == "approved"


async def test_p6_a_critical_button_works_only_after_the_end_of_the_content_was_on_screen(served, tabs):
    request_id = await file(served, arguments={"order_id": 1042, "amount_cents": 5, "list": ["x"] * 90})
    await make_critical(served, request_id)
    tab = await tabs(request_id, viewport={"width": 800, "height": 600})
    button = tab.locator("form#approve button")
    await expect(button).to_have_attribute("aria-disabled", "true")
    sent = []
    tab.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    await tab.evaluate("document.querySelector('#typed').value = '1042'")
    await tab.evaluate("document.querySelector('form#approve').requestSubmit()")
    await expect(button).to_have_attribute("aria-disabled", "false")  # it scrolled there, and 1.5 s went by
    assert sent == []
    async with tab.expect_response(f"**/requests/{request_id}"):
        served.scenario.service.bus.wake(request_id)
    await expect(button).to_have_attribute("aria-disabled", "false")
    await button.click()
    await expect(tab.locator("#card .state")).to_have_text("Approved, waiting for the agent")


async def test_p6_without_script_the_server_still_wants_the_name_typed(served, tabs, browser, visitors):
    request_id = await file(served)
    await make_critical(served, request_id)
    context = await browser.new_context(base_url=served.url, java_script_enabled=False)
    token = (await visitors.signed_in()).http.cookies["approvals"]
    await context.add_cookies([{"name": "approvals", "value": token, "url": served.url}])
    tab = await context.new_page()
    await tab.goto(f"/requests/{request_id}")
    await tab.fill("#typed", "1043")
    await tab.click("form#approve button")
    await expect(tab.locator("#card .notice[role=alert]")).to_contain_text("Type 1042 to approve.")
    assert served.scenario.status(request_id).state == "pending"
    await tab.fill("#typed", "1042")
    await tab.click("form#approve button")
    await expect(tab.locator("#card .state")).to_have_text("Approved, waiting for the agent")
    await context.close()


async def test_a_draft_outlives_a_lost_session_and_goes_once_it_was_sent(served, tabs, visitors):
    request_id = await file(served)
    tab = await tabs(request_id)
    await tab.click("#deny-open > summary")
    await tab.fill("#reason", "the wrong customer")
    await tab.context.clear_cookies()
    await tab.click("form#deny button.bad")
    await expect(tab.locator(".trouble")).to_contain_text("You are signed out")
    token = (await visitors.signed_in()).http.cookies["approvals"]
    await tab.context.add_cookies([{"name": "approvals", "value": token, "url": served.url}])
    await tab.goto(f"/requests/{request_id}")
    await expect(tab.locator("#reason")).to_have_value("the wrong customer")
    await tab.click("#deny-open > summary")
    await tab.click("form#deny button.bad")
    await expect(tab.locator("#card .state")).to_have_text("Denied")
    assert await tab.evaluate("Object.keys(sessionStorage).length") == 0


async def test_the_time_left_is_said_at_set_points_only(served, tabs):
    request_id = await file(served)
    tab = await tabs(request_id)
    await expect(tab.locator("#said")).to_have_text("")
    await tab.wait_for_function(
        """() => {
            const left = document.querySelector("[data-says]");
            if (left.dataset.left > 301) left.dataset.left = 301; // again, when the page was refreshed meanwhile
            // [45]: a late tick comes at 299 s
            return /^This request expires in [45] min\\.$/.test(document.getElementById("said").textContent);
        }"""
    )


async def test_on_a_phone_the_way_to_decide_stays_in_sight_and_hides_no_focus(served, tabs):
    request_id = await file(served, arguments={"order_id": 1, "amount_cents": 5, "list": ["x"] * 90})
    tab = await tabs(request_id, viewport={"width": 390, "height": 800})
    bar = tab.locator("#decide")
    for button in (bar.locator("#approve button"), bar.locator("#deny-open > summary")):
        await expect(button).to_be_in_viewport(ratio=1)
        assert (await button.bounding_box())["height"] >= 44
    await tab.focus("#details > summary")
    summary, edge = await tab.locator("#details > summary").bounding_box(), await bar.bounding_box()
    assert summary["y"] + summary["height"] <= edge["y"] + 1
    await tab.click("#deny-open > summary")
    await expect(tab.locator("#reason")).to_be_focused()
    await expect(tab.locator("#deny button.bad")).to_be_in_viewport(ratio=1)


async def test_the_raw_view_is_copied(served, tabs):
    request_id = await file(served)
    tab = await tabs(request_id)
    await tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await tab.click("#details > summary")
    await tab.click(".json > summary")
    await tab.click("[data-copy]")
    await expect(tab.locator(".copying [role=status]")).to_have_text("Copied.")
    assert await tab.evaluate("navigator.clipboard.readText()") == served.scenario.row(request_id).arguments
