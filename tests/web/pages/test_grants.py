"""Standing grants in the web app: made in two steps from what was shown, listed, revoked."""

import asyncio
import html
import json
import re

import pytest
from playwright.async_api import expect

from approvals.policy.grant_terms import (
    Anything,
    Between,
    Equal,
    GrantTerms,
    parse,
)
from approvals.policy.model import (
    Action,
    DefaultPolicy,
    GrantLimits,
    Judgement,
)
from approvals.policy.reviewers import Reviewers
from approvals.protocol.previews import Fact, Preview
from approvals.service import grants

pytestmark = pytest.mark.databases("one")

_GRANT = re.compile(r'name="grant" value="([^"]+)"')
_SEEN = re.compile(r'name="seen" value="([^"]+)"')


class Two(DefaultPolicy):
    """Every call needs two people."""

    def judge(self, call):
        return Judgement(Action.REQUIRE_APPROVAL, "two", reviewers=Reviewers(quorum=2), grants=GrantLimits())


async def show(visitor, request_id, **given):
    """The second step of the form: what was filled in, as a sentence to approve."""
    form = await visitor.form(request_id) | {"uses": "3", "minutes": "15"} | given
    return await visitor.http.post(f"/requests/{request_id}/grant", data=form)


async def accept(visitor, request_id, page, **changes):
    """Approve what the second step showed."""
    form = await visitor.form(request_id) | {"verdict": "approve"}
    form |= {"grant": html.unescape(_GRANT.search(page)[1]), "seen": _SEEN.search(page)[1]} | changes
    return await visitor.http.post(f"/requests/{request_id}/decisions", data=form)


def of(scenario, request_id):
    return scenario.read(lambda reader: grants.of_request(reader, request_id))


def file(scenario, order=1, amount=500):
    return scenario.file(scenario.filing({"order_id": order, "amount_cents": amount})).request_id


AMOUNT, ORDER = 0, 1


async def test_a_grant_is_made_in_two_steps_and_shown_on_the_queue_and_the_cards(served, ann):
    scenario, request_id = served.scenario, served.scenario.file().request_id
    assert f'href="/requests/{request_id}/grant"' in (await ann.http.get(f"/requests/{request_id}")).text
    blank = (await ann.http.get(f"/requests/{request_id}/grant")).text
    assert blank.count('<option value="equal" selected>') == 2
    shown = await show(ann, request_id, how_0="at_most", value_0="6000", how_1="any")
    assert shown.status_code == 200
    said = "amount_cents any whole number from 0 to 6000; order_id ANY VALUE."
    assert (
        f"scout may call shop.refund_order up to 3 more times, for 15 minutes, with exactly these arguments: {said}"
        in (shown.text)
    )
    assert scenario.rows("SELECT id FROM decision") == []
    assert (await accept(ann, request_id, shown.text)).status_code == 303
    made = of(scenario, request_id)
    assert parse(made.terms) == GrantTerms(3, 15, {"amount_cents": Between(0, 6000), "order_id": Anything()})
    used = file(scenario)
    assert scenario.status(used).state == "approved"
    queue = (await ann.http.get("/")).text
    assert said in queue
    assert "2 of 3 left" in queue
    assert "allowed by Ann" in queue
    for card in (used, request_id):
        assert f'href="/grants/{made.id}"' in (await ann.http.get(f"/requests/{card}")).text
    assert said in (await ann.http.get(f"/grants/{made.id}")).text


async def test_p1_a_grant_that_a_fact_of_the_preview_limits_lets_pass_what_its_preview_says_is_within(served, ann):
    scenario = served.scenario

    def filed(order, left, **more):
        preview = None if left is None else Preview(effect="Refunds", facts=(Fact(name="left", value=left),), **more)
        return scenario.file(scenario.filing({"order_id": order, "amount_cents": 5}, preview=preview)).request_id

    request_id = filed(1, 50)
    page = (await ann.http.get(f"/requests/{request_id}/grant")).text
    assert "What its preview says of <code>left</code>" in page
    shown = await show(ann, request_id, how_1="any", how_2="at_most", value_2="100")
    said = html.unescape(shown.text)
    assert 'and only if its preview says of "left": any whole number from 0 to 100' in said
    assert (await accept(ann, request_id, shown.text)).status_code == 303
    states = [scenario.status(filed(order, left)).state for order, left in ((2, 100), (3, 101), (4, None), (5, 0))]
    assert states == ["approved", "pending", "pending", "approved"]
    hidden = scenario.file(
        scenario.filing(
            {"order_id": 6, "amount_cents": 5},
            preview=Preview(effect="x", facts=(Fact(name="left", value=1),), hidden="0" * 64),
        )
    )
    assert scenario.status(hidden.request_id).state == "pending", "what a mask hides is within no terms"


async def test_p1_what_nobody_touched_is_exact(served, ann):
    request_id = served.scenario.file().request_id
    shown = await show(ann, request_id)
    await accept(ann, request_id, shown.text)
    terms = parse(of(served.scenario, request_id).terms)
    assert terms.arguments == {"amount_cents": Equal(12000), "order_id": Equal(1042)}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"uses": "11"}, "at most 10"),
        ({"minutes": "61"}, "60 minutes"),
        ({"uses": "0"}, "whole number"),
        ({"uses": "1e1"}, "whole number"),
        ({"minutes": "²"}, "whole number"),
        ({"how_0": "at_most", "value_0": "12.5"}, "has to be a whole number"),
        ({"how_0": "at_most", "value_0": "nan"}, "has to be a whole number"),
        ({"how_0": "at_most", "value_0": "-1"}, "not below zero"),
        ({"how_0": "one_of", "value_0": ","}, "has to be a whole number"),
        ({"how_0": "one_of", "value_0": ",".join(map(str, range(30)))}, "1 to 20"),
        ({"how_0": "less"}, "no such condition"),
    ],
)
async def test_p1_a_form_beyond_the_limits_is_shown_again_with_what_is_wrong(served, ann, given, words):
    request_id = served.scenario.file().request_id
    again = await show(ann, request_id, **given)
    assert again.status_code == 422
    assert words in html.unescape(again.text)
    assert 'name="grant"' not in again.text


async def test_p6_only_terms_that_this_person_was_shown_count(served, ann, visitors):
    scenario, bob = served.scenario, await visitors.signed_in("bob")
    request_id, other = scenario.file().request_id, file(scenario, 7)
    shown = (await show(ann, request_id)).text
    text = html.unescape(_GRANT.search(shown)[1])
    wider = GrantTerms(10, 60, {"amount_cents": Anything(), "order_id": Anything()}).dump()
    forged = [
        await accept(ann, request_id, shown, grant=wider),
        await accept(bob, request_id, shown),
        await accept(ann, other, shown),
        await accept(ann, request_id, shown, seen=(await ann.form(request_id))["seen"]),
        await ann.decide(request_id, grant=text),
        await accept(ann, request_id, shown, grant=""),
    ]
    assert [answer.status_code for answer in forged] == [409] * 6
    assert scenario.rows("SELECT id FROM decision") == []
    assert (await accept(ann, request_id, shown, verdict="deny", comment="no")).status_code == 403
    assert (await accept(ann, request_id, shown)).status_code == 303


async def test_p2_terms_shown_for_other_content_are_stale(served, ann):
    scenario, request_id = served.scenario, served.scenario.file().request_id
    shown = (await show(ann, request_id)).text
    before = await ann.form(request_id)
    scenario.register(scenario.tool(description="Another."))
    scenario.file()
    assert (
        await accept(ann, request_id, shown, **{k: before[k] for k in ("content_version", "card_hash")})
    ).status_code == 409
    stale = await ann.http.post(f"/requests/{request_id}/grant", data=before | {"uses": "1", "minutes": "1"})
    assert stale.status_code == 409


async def test_p1_the_second_of_two_is_shown_what_the_first_wants_to_allow(served, ann, visitors):
    scenario, bob = served.scenario, await visitors.signed_in("bob")
    scenario.service.policy.present = Two()
    request_id = scenario.file().request_id
    step = (await show(ann, request_id, how_1="any")).text
    assert "It takes 2 people" in step
    await accept(ann, request_id, step)
    card = (await bob.http.get(f"/requests/{request_id}")).text
    assert "Ann also wants to allow similar calls" in card
    assert "amount_cents exactly 12000; order_id ANY VALUE." in card
    proposal = card[card.index('aria-labelledby="further"') :].partition("</section>")[0]
    assert (await accept(bob, request_id, proposal)).status_code == 303
    assert of(scenario, request_id).granted_by == "Ann, Bob"


async def test_p1_the_second_of_two_may_approve_the_call_alone(served, ann, visitors):
    scenario, bob = served.scenario, await visitors.signed_in("bob")
    scenario.service.policy.present = Two()
    request_id = scenario.file().request_id
    await accept(ann, request_id, (await show(ann, request_id)).text)
    card = (await bob.http.get(f"/requests/{request_id}")).text
    form = dict(re.findall(r'name="(\w+)" value="([^"]*)">', card[card.index('id="approve"') :]))
    form.pop("grant", None)
    answer = await bob.http.post(f"/requests/{request_id}/decisions", data=form | {"verdict": "approve"})
    assert answer.status_code == 303
    assert scenario.status(request_id).state == "approved"
    assert of(scenario, request_id) is None


async def test_a_card_says_why_nothing_further_can_be_allowed(served, ann):
    scenario = served.scenario
    request_id = scenario.file(scenario.filing(assertion=None)).request_id
    card = (await ann.http.get(f"/requests/{request_id}")).text
    assert "Similar calls cannot be allowed from here: the agent is unidentified." in card
    assert (await ann.http.get(f"/requests/{request_id}/grant")).status_code == 409
    scenario.service.policy.present = Two()
    scenario.clock.forward(1)
    second = file(scenario, 9)
    scenario.decide(second, who="bob")
    assert "Bob approved this call alone" in (await ann.http.get(f"/requests/{second}")).text


async def test_revoking_is_a_post_from_the_page_by_somebody_who_may(served, ann, visitors):
    scenario, request_id = served.scenario, served.scenario.file().request_id
    await accept(ann, request_id, (await show(ann, request_id, how_1="any")).text)
    made = of(scenario, request_id)
    path = f"/grants/{made.id}/revocation"
    scenario.add_user("vic", "viewer")
    vic = await visitors.signed_in("vic")
    assert 'class="bad"' not in (await vic.http.get("/grants")).text
    assert (await vic.http.post(path)).status_code == 403
    assert (await visitors.stranger().http.post(path)).status_code in {303, 401}
    assert (await ann.http.post(path, headers={"Sec-Fetch-Site": "cross-site"})).status_code == 403
    assert (await ann.http.get(path)).status_code == 405
    assert of(scenario, request_id).revoked_at is None
    assert (await ann.http.post(path)).status_code == 303
    assert of(scenario, request_id).revoked_by == "Ann"
    assert "revoked by Ann" in (await ann.http.get("/grants")).text
    assert (await ann.http.post(path)).status_code == 409
    assert (await ann.http.post("/grants/00000000/revocation")).status_code == 404


async def test_p1_the_api_knows_no_grants(served):
    scenario, request_id = served.scenario, served.scenario.file().request_id
    from approvals.service.identity import credentials

    person, row = scenario.person(), scenario.row(request_id)
    scenario.tampered_with = True  # a token that nobody made on record
    key = await scenario.service.write(lambda tx: credentials.mint(tx, "user", person.id, scopes="decide"))
    terms = GrantTerms(1, 1, {"amount_cents": Equal(12000), "order_id": Equal(1042)}).dump()
    body = {"verdict": "approve", "content_version": row.content_version, "digest": row.digest}
    async with served.client(key) as client:
        answer = await client.post(f"/requests/{request_id}/decisions", json=body | {"grant": terms})
    assert answer.status_code in {403, 422}
    assert scenario.status(request_id).state == "pending"


HOSTILE = '"><script>alert(1)</script>\u202e'


async def test_p6_what_an_agent_writes_stays_text_in_a_grant(served, ann):
    scenario = served.scenario
    request_id = scenario.file(scenario.filing({"order_id": 1, "note": HOSTILE, HOSTILE: 1})).request_id
    for page in (await ann.http.get(f"/requests/{request_id}/grant"), await show(ann, request_id)):
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "\u202e" not in re.sub(r'<input type="hidden"[^>]*>|<textarea[^<]*</textarea>', "", page.text)
    shown = (await show(ann, request_id)).text
    assert (await accept(ann, request_id, shown)).status_code == 303
    for path in ("/", "/grants"):
        text = (await ann.http.get(path)).text
        assert "<script>alert" not in text
        assert "\u202e" not in text


async def test_p1_fifty_racing_filings_use_a_grant_as_often_as_it_says(served, ann):
    scenario, request_id = served.scenario, served.scenario.file().request_id
    await accept(ann, request_id, (await show(ann, request_id, uses="10", how_1="any", how_0="any")).text)
    bodies = [scenario.filing({"order_id": n, "amount_cents": 1}).model_dump(mode="json") for n in range(50)]
    async with served.client() as gate:
        answers = await asyncio.gather(*(gate.post("/requests", json=body) for body in bodies))
    states = [answer.json()["state"] for answer in answers]
    assert sorted(states) == ["approved"] * 10 + ["pending"] * 40
    assert of(scenario, request_id).used == 10
    taken = scenario.rows("SELECT request_id FROM permission WHERE source = 'grant'")
    assert len(taken) == 10
    uses = scenario.rows(
        "SELECT p.body FROM audit_event e JOIN audit_payload p ON p.payload_hash = e.payload_hash"
        " WHERE e.kind = 'grant.used'"
    )
    assert sorted(json.loads(body)["use"] for (body,) in uses) == list(range(1, 11))


@pytest.mark.slow
async def test_the_form_fits_a_screen_and_a_phone_and_can_be_used(served, browser, visitors, tmp_path):
    request_id = served.scenario.file().request_id
    context = await browser.new_context(base_url=served.url)
    ann = await visitors.signed_in()
    await context.add_cookies([{"name": "approvals", "value": ann.http.cookies["approvals"], "url": served.url}])
    page = await context.new_page()
    page.set_default_timeout(10_000)
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    await page.goto(f"/requests/{request_id}")
    await page.click("#decide .more > summary")
    await page.click("text=Approve and allow similar calls…")
    await page.select_option("#how0", "at_most")
    for width in (1100, 390):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.screenshot(path=tmp_path / f"form-{width}.png", full_page=True)
    await page.click("text=Show what that allows")
    await expect(page.locator("#confirm + blockquote")).to_contain_text("amount_cents any whole number from 0 to 12000")
    for width in (1100, 390):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.screenshot(path=tmp_path / f"said-{width}.png", full_page=True)
    await page.click("text=Approve, and allow exactly this")
    await expect(page.locator("#card .state")).to_have_text("Approved, waiting for the agent")
    await page.goto("/")
    await page.screenshot(path=tmp_path / "queue.png", full_page=True)
    await context.close()
    assert faults == []
