"""The stand-in for Slack keeps Slack's rules, and its page is for whoever has the key."""

import aiohttp
import httpx2
import pytest
from playwright.async_api import expect
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from approvals_web.demo.slack.limits import message_fault, view_fault
from approvals_web.demo.slack.server import DemoSlack
from support.fake_slack import CHANNEL, fake_slack


def words(text, kind="plain_text"):
    return {"type": kind, "text": text}


def section(text="a", **more):
    return {"type": "section", "text": words(text)} | more


def button(**more):
    return {"type": "button", "action_id": "a", "text": words("Go")} | more


def actions(*elements):
    return {"type": "actions", "elements": list(elements)}


@pytest.mark.parametrize(
    ("blocks", "why"),
    [
        ([section()] * 51, "1 to 50 blocks"),
        ([{"type": "table"}], "unknown block"),
        ([section("a" * 3001)], "3001 characters"),
        ([section("")], "0 characters"),
        ([{"type": "header", "text": words("a" * 151)}], "151 characters"),
        ([{"type": "header", "text": words("a", "mrkdwn")}], "no text"),
        ([section(fields=[words("a")] * 11)], "10 fields"),
        ([section(fields=[words("a" * 2001)])], "2001"),
        ([section(colour="red")], "colour"),
        ([actions()], "1 to 25 elements"),
        ([actions(button(), button())], "action_id twice"),
        ([actions(button(value="v" * 2001))], "value or url"),
        ([actions(button(value=""))], "empty value"),
        ([actions(button(style="purple"))], "style"),
        ([actions(button(confirm={"title": words("t" * 101)}))], "title"),
        ([{"type": "context", "elements": [words("a")] * 11}], "1 to 10 elements"),
        ([section(block_id="x"), section(block_id="x")], "block_id twice"),
        ([{"type": "input", "label": words("a"), "element": button()}], "unknown block"),
    ],
)  # fmt: skip
def test_what_slack_refuses_is_refused(blocks, why):
    assert why in message_fault("a", blocks)


def test_what_slack_takes_is_taken():
    assert message_fault("a", [section("a" * 3000), actions(button(value="v" * 2000))]) is None
    assert message_fault("a" * 40_001, None) == "msg_too_long"
    assert message_fault("", None) == "no_text"


def test_dialogs_have_limits_of_their_own():
    view = {"type": "modal", "callback_id": "c", "title": words("t"), "blocks": [section()]}
    assert view_fault(view) is None
    for change in ({"title": words("t" * 25)}, {"private_metadata": "p" * 3001}, {"type": "home"}, {"blocks": []}):
        assert view_fault(view | change)


@pytest.fixture
async def demo():
    made = DemoSlack()
    made.now = 1_800_000_000.0
    made.state.clock = lambda: made.now
    made.state.at_once = 2
    made.state.add_user("U1", "rae")
    made.state.add_channel("C1", "approvals")
    async with made.running():
        yield made


async def refused(call):
    with pytest.raises(SlackApiError) as error:
        await call
    return error.value.response["error"]


async def test_slack_sdk_meets_the_rules_of_channels_tokens_and_pace(demo):
    client = AsyncWebClient(demo.state.token, base_url=demo.api_url, retry_handlers=[])
    posted = await client.chat_postMessage(channel="#approvals", text="one")
    await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="two")
    assert [said.text for said in demo.state.messages("C1")] == ["two"]
    await client.chat_postMessage(channel="C1", text="more")
    assert await refused(client.chat_postMessage(channel="C1", text="too fast")) == "ratelimited"
    demo.now += 1
    await client.chat_postMessage(channel="C1", text="in time")
    demo.now += 5
    assert await refused(client.chat_postMessage(channel="#none", text="a")) == "channel_not_found"
    assert await refused(client.chat_update(channel="C1", ts="1.2", text="a")) == "message_not_found"
    demo.state.channels["C1"].archived = True
    assert await refused(client.chat_postMessage(channel="C1", text="a")) == "is_archived"
    other = AsyncWebClient("xoxb-other", base_url=demo.api_url, retry_handlers=[])
    assert await refused(other.auth_test()) == "invalid_auth"


async def test_a_trigger_opens_one_dialog_within_three_seconds(demo):
    client = AsyncWebClient(demo.state.token, base_url=demo.api_url, retry_handlers=[])
    view = {"type": "modal", "callback_id": "c", "title": words("t"), "blocks": [section()]}
    trigger = demo.state.trigger("U1")
    await client.views_open(trigger_id=trigger, view=view)
    assert await refused(client.views_open(trigger_id=trigger, view=view)) == "exchanged_trigger_id"
    late = demo.state.trigger("U1")
    demo.now += 3.1
    assert await refused(client.views_open(trigger_id=late, view=view)) == "expired_trigger_id"


async def test_a_response_address_serves_five_times_in_half_an_hour(demo):
    made = demo.state.response("U1", "C1")
    assert [demo.state.answered(made, {"text": str(n)}) for n in range(6)] == [True] * 5 + [False]
    other = demo.state.response("U1", "C1")
    demo.now += 1801
    assert not demo.state.answered(other, {"text": "late"})
    assert demo.state.whispers("U1") == ["0", "1", "2", "3", "4"]


async def test_the_page_opens_with_its_key_alone(demo):
    async with httpx2.AsyncClient(base_url=demo.url, trust_env=False) as http:
        assert (await http.get("/")).status_code == 403
        http.cookies.set("demo_slack", "guessed")
        assert (await http.get("/")).status_code == 403
        for path in ("/press", "/dialog", "/command"):
            await http.post(path, data={"channel": "C1", "ts": "1", "action": "gate:approve", "text": "list"})
    assert demo.state.calls == [] and demo.state.triggers == {}


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_newcomer_presses_the_buttons_on_its_page(scenario, browser):
    async with fake_slack(scenario) as slack:
        said = await slack.file(
            scenario.filing({"order_id": 1, "amount_cents": 5, "note": "<script>alert(1)</script>"})
        )
        other = await slack.file()
        page = await browser.new_page()
        page.set_default_timeout(10_000)
        await page.goto(slack.demo.page_url)
        await expect(page.locator("article")).to_have_count(2)
        assert await page.locator("article script").count() == 0
        first = page.locator("article", has_text="alert(1)")
        await first.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("status")).to_contain_text("sure")
        await first.get_by_label("sure").check()
        await first.get_by_role("button", name="Approve").click()
        await slack.shows(said, "Approved")
        await expect(first).to_contain_text("by Ann in Slack")
        await page.locator("article", has_text="order 1042").get_by_role("button", name="Deny…").click()
        await page.fill("textarea", "Ask first")
        await page.get_by_role("button", name="Deny", exact=True).click()
        await slack.shows(other, "Denied")
        code = first.locator("pre code")
        await expect(code).to_contain_text("amount_cents: 5")
        await page.fill("#text", "/approvals list")
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_role("status")).to_contain_text("Nothing waits")
        assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert slack.state.messages(CHANNEL)
        await page.close()


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_its_page_follows_what_happens_and_leaves_what_is_being_written_alone(scenario, browser):
    async with fake_slack(scenario) as slack:
        said = await slack.file()
        page = await browser.new_page()
        page.set_default_timeout(10_000)
        await page.goto(slack.demo.page_url)
        await expect(page.locator("article")).to_have_count(1)
        await page.fill("#text", "/approvals li")
        scenario.decide(said.blocks[-1]["elements"][-1]["url"].rsplit("/", 1)[1], who="bob")
        await slack.shows(said, "Approved")
        async with page.expect_response("**/changed*"):
            pass
        assert await page.input_value("#text") == "/approvals li"
        await page.fill("#text", "/approvals ")
        await slack.file(scenario.filing({"order_id": 7, "amount_cents": 7}))
        await expect(page.locator("article")).to_have_count(2)
        await expect(page.locator("article").last).to_contain_text("by Bob on the web")
        await page.close()


async def test_p6_its_socket_opens_once_for_a_ticket_and_never_for_a_page():
    """Presses go over it, and the acknowledgements of an app: nobody else may hear or answer."""
    slack = DemoSlack()
    async with slack.running(), aiohttp.ClientSession() as http:

        async def ticket():
            headers = {"Authorization": f"Bearer {slack.state.app_token}"}
            async with http.post(f"{slack.api_url}apps.connections.open", headers=headers) as answer:
                return (await answer.json())["url"]

        async def opens(url, **more):
            try:
                async with http.ws_connect(url, **more) as line:
                    return (await line.receive_json())["type"] == "hello"
            except aiohttp.WSServerHandshakeError as refused:
                assert refused.status == 403
                return False

        made = await ticket()
        assert not await opens(f"{made.rpartition('/')[0]}/guessed")
        assert await opens(made)
        assert not await opens(made)
        assert not await opens(await ticket(), origin="http://127.0.0.1:1")
