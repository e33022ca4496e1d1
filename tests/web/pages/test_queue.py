"""The queue, the history and the figures, as pages."""

import csv
import io
import json
import re
from types import SimpleNamespace

import pytest
from playwright.async_api import expect

from approvals.service.history import search
from approvals_web.pages.queue.entries import Entry, Run


@pytest.fixture
async def ann(visitors):
    return await visitors.signed_in()


def filed(scenario, order=1042, **changes):
    scenario.clock.forward(1)  # so that ids are in the order of filing
    return scenario.file(scenario.filing({"order_id": order, "amount_cents": 100}, **changes)).request_id


def queue_of(page):
    return re.findall(r'data-id="([^"]+)"', page.partition('id="lately"')[0])


async def test_the_highest_risk_and_the_nearest_expiry_come_first(served, ann):
    scenario = served.scenario
    late, early, critical = (filed(scenario, n) for n in (1, 2, 3))
    scenario.run("UPDATE request SET expires_at = expires_at - 10000000 WHERE id = :id", id=early)
    scenario.rate(critical, "critical")
    assert queue_of((await ann.http.get("/")).text) == [critical, early, late]


async def test_filters_stand_in_the_address_and_in_the_refresh(served, ann, visitors):
    scenario = served.scenario
    low, high = filed(scenario, 1), filed(scenario, 2)
    scenario.rate(low, "low")
    page = (await ann.http.get("/", params={"risk": "low"})).text
    assert queue_of(page) == [low] and 'hx-get="/?risk=low"' in page
    assert queue_of((await ann.http.get("/", params={"server": "other"})).text) == []
    assert queue_of((await ann.http.get("/", params={"agent": "scout"})).text) == [high, low]
    scenario.add_user("vic", roles="viewer")
    vic = await visitors.signed_in("vic")
    assert queue_of((await vic.http.get("/", params={"show": "mine"})).text) == [high, low]
    assert set(queue_of((await ann.http.get("/", params={"show": "mine"})).text)) == {low, high}
    assert (await ann.http.get("/", params={"risk": "odd"})).status_code == 422


async def test_what_one_run_asks_stands_together(served, ann):
    scenario = served.scenario
    run = [filed(scenario, n) for n in (1, 2)]
    alone = filed(scenario, 3)
    scenario.run("UPDATE request SET agent_session = 'run-1' WHERE id <> :id", id=alone)
    page = (await ann.http.get("/")).text
    assert "One run: 2 refund_order · $" in page
    assert set(queue_of(page)) == {*run, alone}


async def test_the_first_steps_go_when_they_are_done(served, ann, visitors):
    scenario = served.scenario
    assert "First steps" not in (await ann.http.get("/")).text
    scenario.set_roles("bob", "admin")
    page = (await ann.http.get("/")).text
    assert (
        re.search(r"to do:</span> <a[^>]*>Invite a second reviewer", page)
        and "done:</span> Create a key for an agent" in page
    )
    scenario.add_user("rey", roles="reviewer")
    assert "First steps" not in (await ann.http.get("/")).text


async def together(ann, *ids):
    return await ann.http.get("/selection", params=[("id", one) for one in ids])


def lines_of(page):
    found = re.findall(r'name="shown" value="([^"]+)"', page.partition('value="approve"')[0])
    return [line.replace("&#34;", '"') for line in found]


async def test_several_are_decided_together_each_on_record(served, ann):
    scenario = served.scenario
    ids = [filed(scenario, n) for n in (1, 2, 3)]
    page = (await together(ann, *ids)).text
    for one in ids:
        assert scenario.row(one).digest in page
    scenario.decide(ids[1], "deny", who="bob", comment="no")
    answer = await ann.http.post("/selection", data={"shown": lines_of(page), "verdict": "approve"})
    assert answer.status_code == 200 and "2 of 3 approved" in answer.text and "already denied by Bob" in answer.text
    assert [scenario.status(one).state for one in ids] == ["approved", "denied", "approved"]
    for one in (ids[0], ids[2]):
        assert scenario.events(one).count("decision.approve") == 1


async def test_a_denial_together_needs_a_reason(served, ann):
    scenario = served.scenario
    ids = [filed(scenario, n) for n in (1, 2)]
    lines = lines_of((await together(ann, *ids)).text)
    answer = await ann.http.post("/selection", data={"shown": lines, "verdict": "deny", "comment": " "})
    assert "0 of 2 denied" in answer.text and "needs a reason" in answer.text
    await ann.http.post("/selection", data={"shown": lines, "verdict": "deny", "comment": "Not now"})
    assert [scenario.status(one).comment for one in ids] == ["Not now"] * 2


async def test_p6_what_is_critical_or_unlike_is_not_decided_together(served, ann, visitors):
    scenario = served.scenario
    ids = [filed(scenario, n) for n in (1, 2)]
    lines = lines_of((await together(ann, *ids)).text)
    scenario.run("UPDATE request SET rule = 'other' WHERE id = :id", id=ids[1])
    assert (await together(ann, *ids)).status_code == 422
    assert (await ann.http.post("/selection", data={"shown": lines, "verdict": "approve"})).status_code == 422
    scenario.run("UPDATE request SET rule = 'default', risk = 'critical'")
    assert (await together(ann, *ids)).status_code == 422
    assert (await ann.http.post("/selection", data={"shown": lines, "verdict": "approve"})).status_code == 422
    scenario.run("UPDATE request SET risk = 'low'")
    bob = await visitors.signed_in("bob")
    assert "0 of 2" in (await bob.http.post("/selection", data={"shown": lines, "verdict": "approve"})).text, (
        "another's form"
    )
    odd = ('["a", Infinity, "b", "c", "d"]', '["\\ud800", 1, "b", "c", "d"]', '["a", 1, "b", "c", "\\ud800"]')
    for bad in ("{}", "[]", "[" * 5000, "null", '["a"]', *odd):
        assert (await ann.http.post("/selection", data={"shown": [bad], "verdict": "approve"})).status_code in {
            404,
            422,
        }
    assert scenario.rows("SELECT 1 FROM decision") == []


async def test_the_history_is_searched_and_exported_as_it_is_shown(served, ann, until):
    scenario = served.scenario
    ids = [filed(scenario, n) for n in (11, 12, 13)]
    scenario.decide(ids[0], "deny", comment="=cmd()")
    await until(lambda: len(scenario.rows("SELECT 1 FROM request_words")) == 3)
    for query, found in (
        ({"q": "order 12"}, [ids[1]]),
        ({"q": "ORDER refund"}, ids[::-1]),
        ({"q": "99%"}, []),
        ({"q": "%"}, []),
        ({"state": "denied"}, [ids[0]]),
        ({"person": "Ann"}, [ids[0]]),
        ({"server": "shop", "tool": "refund_order", "agent": "scout"}, ids[::-1]),
        ({"agent": "nobody"}, []),
    ):
        page = (await ann.http.get("/history", params=query)).text
        assert re.findall(r'data-id="([^"]+)"', page) == found, query
        lines = (await ann.http.get("/history/jsonl", params=query)).text.splitlines()
        assert [json.loads(line)["id"] for line in lines] == found
    table = list(csv.DictReader(io.StringIO((await ann.http.get("/history/csv")).text)))
    assert [row["id"] for row in table] == ids[::-1] and table[-1]["comment"] == "'=cmd()"


@pytest.mark.parametrize("query", [{"q": "order"}, {"server": "shop"}])
async def test_a_look_back_is_bounded_and_says_so(served, ann, monkeypatch, until, query):
    monkeypatch.setattr("approvals.service.history.search.WINDOW", 2)
    search._edge.cache_clear()
    try:
        scenario = served.scenario
        ids = [filed(scenario, n) for n in (1, 2, 3, 4, 5)]
        scenario.decide(ids[0], "deny", comment="no")
        await until(lambda: len(scenario.rows("SELECT 1 FROM request_words")) == 5)
        query = query | {"state": "denied"}
        page = (await ann.http.get("/history", params=query)).text
        assert "Look further back" in page and ids[0] not in page
        cursor = re.search(r"cursor=([\w-]+)", page).group(1)
        page = (await ann.http.get("/history", params=query | {"cursor": cursor})).text
        cursor = re.search(r"cursor=([\w-]+)", page).group(1)
        assert ids[0] in (await ann.http.get("/history", params=query | {"cursor": cursor})).text
        assert ids[0] in (await ann.http.get("/history/csv", params=query)).text
    finally:
        search._edge.cache_clear()


async def test_the_figures_count_what_people_were_asked(served, ann):
    scenario = served.scenario
    for n, verdict in enumerate(("approve", "approve", "deny")):
        one = filed(scenario, n)
        scenario.clock.forward(10 * (n + 1))
        form = {"looked_ms": "1000"} if n == 0 else {"looked_ms": "9000"}
        await ann.decide(one, verdict, comment="no", **form)
    filed(scenario, 9)
    page = (await ann.http.get("/figures")).text
    words = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "Requests 4 " in words
    assert "Half decided within 20 s 95 %: 30 s Denied 1 " in words
    assert "Decided in under 3 s 33 % of 3" in words
    assert "shop / refund_order" in page


async def test_figures_of_too_many_calls_say_since_when_they_count(served, ann, monkeypatch):
    monkeypatch.setattr("approvals.service.history.statistics.MOST", 2)
    for n in range(3):
        filed(served.scenario, n)
    page = (await ann.http.get("/figures")).text
    assert "Only the latest 2 calls on record are counted" in page
    assert "<dt>Requests</dt><dd>2 " in page


async def test_the_icon_says_how_many_wait(served, ann):
    assert ">7<" in (await ann.http.get("/icon.svg?n=7")).text
    assert "<text" not in (await ann.http.get("/icon.svg")).text
    assert (await ann.http.get("/icon.svg?n=<x>")).status_code == 422


async def test_the_record_is_verified_on_its_page_and_a_change_is_found(served, ann, visitors):
    scenario = served.scenario
    one = filed(scenario)
    scenario.decide(one)
    await scenario.service.link_events()
    page = (await ann.http.post("/audit/verification", data={"head": ""})).text
    head = re.search(r"\d+:[0-9a-f]{64}", page).group(0)
    assert "Log is intact" in page
    assert "the checkpoint that you gave" in (await ann.http.post("/audit/verification", data={"head": head})).text
    assert (await ann.http.post("/audit/verification", data={"head": "1:2"})).status_code == 422
    proof = (await ann.http.get(f"/requests/{one}/proof")).json()
    assert [event["kind"] for event in proof["events"]] == scenario.events(one)
    assert proof["head"] == head and all(len(event["link"]) == 64 for event in proof["events"])
    assert (await ann.http.get("/requests/01a3185c-5000-7000-8000-000000000000/proof")).status_code == 404
    scenario.add_user("vic", roles="viewer")
    vic = await visitors.signed_in("vic")
    assert "Verify the log" not in (await vic.http.get("/audit")).text
    scenario.tamper("UPDATE audit_event SET actor = 'user:mallory' WHERE kind = 'decision.approve'")
    assert "Log is not intact" in (await ann.http.post("/audit/verification", data={"head": head})).text


def run_of(*amounts):
    entries = [Entry(SimpleNamespace(tool="refund_order"), None, "scout", amount=amount) for amount in amounts]
    return Run(tuple(entries))


@pytest.mark.parametrize(
    ("amounts", "words"),
    [
        ([("usd", 1977), ("usd", 2223)], "$42.00"),
        ([("usd", 100), ("eur", 100)], ""),
        ([("usd", 100), None], ""),
    ],
)
def test_a_run_is_summed_up_only_where_all_its_amounts_are_of_one_currency(amounts, words):
    assert run_of(*amounts).sum == words


@pytest.mark.slow
async def test_a_run_stays_folded_and_a_selection_outlives_a_look_at_a_part_of_it(served, open_browser, file_at):
    ids = [await file_at(served, arguments={"order_id": n, "amount_cents": 100}) for n in range(3)]
    served.scenario.run("UPDATE request SET agent_session = 'run-1' WHERE id <> :id", id=ids[2])
    tab = await (await open_browser(served, viewport={"width": 1280, "height": 800})).open("/")
    for request_id in ids:
        await tab.check(f'input[name=id][value="{request_id}"]', force=True)
    await expect(tab.locator("#bulk-words")).to_have_text("3 selected")
    await tab.click("#bulk-go")
    await tab.go_back()
    await expect(tab.locator("#bulk-words")).to_have_text("3 selected")
    await tab.click("#bulk-clear")
    await expect(tab.locator("#bulk")).to_be_hidden()
    await tab.click("details.run > summary")
    await tab.evaluate("document.activeElement.blur()")
    await tab.mouse.move(900, 400)
    await file_at(served, arguments={"order_id": 9, "amount_cents": 100})
    await expect(tab.locator("#queue li.row")).to_have_count(4)
    await expect(tab.locator("details.run")).not_to_have_attribute("open", "")


@pytest.mark.slow
async def test_first_steps_can_be_hidden_for_good(served, open_browser):
    served.scenario.set_roles("bob", "viewer")
    browser = await open_browser(served)
    tab = await browser.open("/")
    await expect(tab.locator("section.steps")).to_be_visible()
    await tab.click("#hide-steps")
    await expect(tab.locator("section.steps")).to_be_hidden()
    await tab.reload()
    await expect(tab.locator("section.steps")).to_be_hidden()
