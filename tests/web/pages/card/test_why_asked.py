"""The card says why a person is asked, in words, and with the values that the rule looked at."""

import json
from types import SimpleNamespace

import pytest
from playwright.async_api import expect

from approvals.policy.loader import read
from approvals.policy.rule_words import Wording
from approvals.service.policies import versions
from approvals_web.pages.card.why_asked import because
from support.chromium import REFRESHED

MONEY = {"amount_cents": "usd"}


def told(condition="", title="", facts=None, rule="big"):
    row = SimpleNamespace(rule=rule, facts=json.dumps(facts or {}))
    return because(row, Wording(title, condition), MONEY)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("args.amount_cents > 50000", "amount_cents is over $500.00"),
        ("args.rows>=1200", "rows is at least 1,200"),
        ("(args.a.b == 'x') && args.on != true", "a.b is “x” and on is not yes"),
        ("facts.left < -5", "left is under -5"),
        ('args.path.startsWith("prod/")', ""),
        ("args.a > 1 || args.b > 2", ""),
        ("args.a > 1 && size(args.b) > 2", ""),
        ("args.a > args.b", ""),
        ("!(args.a > 1)", ""),
    ],
)
def test_a_condition_is_in_words_only_where_they_say_exactly_the_same(condition, words):
    found = told(condition)
    assert (found.words, found.condition) == (
        (f"Because {words}", "") if words else ("Because of its condition", condition)
    )


def test_a_title_comes_first_and_the_values_of_this_call_after_it():
    found = told("args.amount_cents > 50000", "Large refunds", {"args.amount_cents": 64900, "read_only": False})
    assert (found.words, found.condition) == ("Large refunds", "amount_cents is over $500.00")
    assert found.found == (("amount_cents", "$649.00"),)


def test_what_no_rule_covers_and_what_no_file_judged_are_told_apart():
    assert "No rule covers this call" in told(rule="default").words
    assert "No policy file" in because(SimpleNamespace(rule="default", facts="{}"), None, {}).words


POLICY = """version: 1
rules:
  - id: big
    title: Large <b>refunds</b>
    when: args.amount_cents > 10000
    action: require_approval
    deny_reasons: [Ask for a photo]
"""


@pytest.fixture
def ruled(served):
    policy = served.scenario.service.policy
    policy.present = read(POLICY)
    served.scenario.write(lambda tx: versions.load(tx, policy.present, "test"))
    return served


async def test_the_card_shows_the_rules_words_its_values_and_its_reasons(ruled, ann):
    filed = ruled.scenario.file()
    page = (await ann.http.get(f"/requests/{filed.request_id}")).text
    assert "Large &lt;b&gt;refunds&lt;/b&gt;" in page
    assert "amount_cents is over $100.00" in page
    assert '<code>amount_cents</code> is <strong class="as-is">$120.00</strong>' in page
    assert '<button type="button" class="snippet">Ask for a photo</button>' in page
    assert "shop does not say whether this can be undone" in page


async def test_a_card_without_a_policy_file_says_so(served, ann):
    page = (await ann.http.get(f"/requests/{served.scenario.file().request_id}")).text
    assert "No policy file is in effect" in page


@pytest.mark.slow
@pytest.mark.parametrize("critical", [False, True])
async def test_on_a_phone_the_bar_takes_a_sixth_until_a_note_is_opened(served, open_browser, file_at, critical):
    request_id = await file_at(served, reason="because " * 40)
    if critical:
        served.scenario.rate(request_id, "critical")
    tab = await (await open_browser(served, viewport={"width": 390, "height": 844})).open(f"/requests/{request_id}")
    bar = tab.locator("#decide")
    assert (await bar.bounding_box())["height"] <= 844 / 6
    await expect(tab.locator("#note")).to_be_hidden()
    await tab.locator("#with-note").press("Enter")  # a refresh between the two halves of a click takes it
    await expect(tab.locator("#note")).to_be_focused()
    await tab.evaluate(REFRESHED)
    await expect(tab.locator("#note")).to_be_focused()
    await tab.fill("#note", "soon")
    await tab.reload()
    await expect(tab.locator("#note")).to_have_value("soon")
    await expect(tab.locator("#note")).to_be_visible()


async def test_the_bar_says_for_which_group_a_person_counts(served, ann):
    policy = served.scenario.service.policy
    rule = "{id: a, action: require_approval, reviewers: {groups: [finance, dba]}}"
    policy.present = read(f"version: 1\ngroups: {{finance: [ann], dba: [bob]}}\nrules: [{rule}]\n")
    page = (await ann.http.get(f"/requests/{served.scenario.file().request_id}")).text
    assert 'Your approval is enough<span class="whom"> (you count for finance)</span>' in page
