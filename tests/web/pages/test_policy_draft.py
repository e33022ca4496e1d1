"""A copy of the policy: checked as it is typed, tried on what was filed, downloaded. Nothing of it comes into force."""

import re

import pytest
from playwright.async_api import expect

from approvals.policy.diff import passages
from approvals.policy.loader import read
from approvals.policy.yaml_nodes import parse
from approvals_web.pages.policy_draft import with_rule

ASK = """version: 1
rules:
  - id: refunds
    match: {server: shop, tool: refund_order}
    action: require_approval
"""
SMALL = """version: 1
rules:
  - id: small
    match: {server: shop, tool: refund_order}
    when: args.amount_cents <= 5000
    action: allow
"""
WRONG = "version: 1\nrules:\n  - id: a\n    actoin: allow\n"


@pytest.fixture
def asked(served):
    served.scenario.service.policy.present = read(ASK)
    for cents in (100, 4000, 9000):
        served.scenario.file(served.scenario.filing({"order_id": cents, "amount_cents": cents}))
    return served


def plain(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


async def test_a_draft_says_what_last_weeks_calls_would_have_got_and_changes_nothing(asked, ann):
    before = asked.scenario.service.policy.text
    page = plain((await ann.http.post("/policy/draft/replay", data={"text": SMALL})).text)
    assert "2 runs without asking , was: waits for a person" in page
    assert "1 as before: waits for a person" in page
    assert "Refund $40.00 of order 4000" in page
    assert "Refund $90.00 of order 9000" not in page
    assert asked.scenario.service.policy.text == before


async def test_what_is_wrong_is_said_with_its_line_and_nothing_is_replayed(asked, ann):
    lint = await ann.http.post("/policy/draft/lint", data={"text": WRONG}, headers={"HX-Request": "true"})
    assert "Line 4: Unknown key &#39;actoin&#39;." in lint.text
    assert "<html" not in lint.text
    refused = await ann.http.post("/policy/draft/replay", data={"text": WRONG})
    assert (refused.status_code, "The last 7 days" in refused.text) == (422, False)
    assert "actoin: allow" in refused.text


async def test_a_draft_is_downloaded_as_it_was_typed(asked, ann):
    answer = await ann.http.post("/policy/draft/download", data={"text": SMALL.replace("\n", "\r\n")})
    assert answer.text == SMALL
    assert answer.headers["content-disposition"] == 'attachment; filename="policy.yaml"'


async def test_p1_only_those_who_oversee_edit_a_copy(asked, visitors):
    asked.scenario.add_user("rex", "reviewer")
    rex = await visitors.signed_in("rex")
    assert (await rex.http.get("/policy/draft")).status_code == 403
    assert "Edit a copy" not in (await rex.http.get("/policy")).text


@pytest.mark.parametrize(("above", "order"), [("refunds", 0), ("default", 1)])
def test_a_suggested_rule_allows_nothing_until_it_is_filled_in(above, order):
    made = with_rule(ASK, above, "shop / refund_order")
    assert read(made)
    assert list(passages(made)).index(f"{above}-without-asking") == order
    assert 'when: "false"' in made


@pytest.mark.parametrize("tool", ["a / b}", 'a / "', "a / b, action: deny", "a / b\u2028c"])
def test_p1_whatever_a_tool_is_called_the_suggested_rule_is_about_that_one_alone(tool):
    made = with_rule(ASK, "refunds", tool)
    first = parse(made).at("rules", 0).plain()
    assert first["match"] == {"server": "a", "tool": tool.removeprefix("a / ")}
    assert first["action"] == "allow"


def test_what_would_break_the_policy_leaves_it_as_it_is():
    assert with_rule(ASK, "refunds", "a / b\nc") == ASK
    assert with_rule("version: 1\n", "refunds", "a / b") == "version: 1\n"


@pytest.mark.slow
async def test_it_is_checked_as_it_is_typed(asked, open_browser):
    tab = await (await open_browser(asked)).open("/policy/draft")
    await expect(tab.locator("#lint")).to_have_text("No problems found.")
    await tab.fill("#text", WRONG)
    await expect(tab.locator("#lint")).to_contain_text("Did you mean action?")
    await tab.fill("#text", SMALL)
    await expect(tab.locator("#lint")).to_have_text("No problems found.")
    async with tab.expect_download() as download:
        await tab.get_by_role("button", name="Download").click()
    assert (await download.value).suggested_filename == "policy.yaml"
