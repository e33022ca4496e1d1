"""A reviewer changes a call on its form, or suggests another one with a denial; scripts do so through the API."""

import asyncio
import html
import json
import re
from dataclasses import replace
from typing import Annotated, Literal

import pytest
from mcp import Client
from pydantic import Field

from approvals import Approval, Budgets, Fact, GatedServer, Preview
from approvals.instant import SECOND
from approvals.policy.edits import EditLimits
from approvals.policy.model import DefaultPolicy
from approvals.policy.reviewers import Channels, Reviewers
from approvals.service.identity import credentials
from approvals_server.shop import shop as shop_module
from approvals_server.shop.data import Shop
from approvals_server.shop.shop import create_shop
from support.answer_table import facts

pytestmark = pytest.mark.databases("one")
_VALUE = re.compile(r'<(?:input|textarea)[^>]* name="(\w+)"[^>]*?(?: value="([^"]*)"[^>]*>|>\n([^<]*)</textarea>)')


def text(result) -> str:
    return "\n".join(block.text for block in result.content)


def foreseen(amount: int, **_) -> Preview:
    return Preview(effect=f"Takes {amount} cents", facts=(Fact(name="amount", value=amount, currency="USD"),))


@pytest.fixture
def taken():
    return []


@pytest.fixture
def server(served, taken):
    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def take(
        amount: Annotated[int, Field(ge=1, le=400, description="In cents.")],
        kind: Literal["full", "part"] = "full",
        note: str = "",
        token: str = "",
    ) -> str:
        """Take money."""
        taken.append((amount, kind, note, token))
        return f"took {amount}"

    mcp.add_tool(take, approval=Approval(preview=foreseen, secret=("token",)))
    return mcp


async def form(visitor, request_id) -> dict[str, str]:
    """What the form has in it, as a browser would send it."""
    page = (await visitor.http.get(f"/requests/{request_id}/edit")).text
    given = {name: html.unescape(one or other) for name, one, other in _VALUE.findall(page)}
    chosen = re.findall(r'<select id="\w+" name="(\w+)".*?<option value="([^"]*)" selected', page, re.S)
    return given | {name: html.unescape(value) for name, value in chosen}


async def edit(visitor, request_id, act="edit", **changed):
    given = await form(visitor, request_id) | {"act": act, "reason": "less is enough"} | changed
    return await visitor.http.post(f"/requests/{request_id}/edits", data=given)


def plain(page):
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", page).split()))


async def test_p2_an_amount_changed_on_the_form_is_looked_up_shown_approved_and_run(served, server, taken, ann):
    async with Client(server) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100, "token": "hunter2-hunter2"}))
        row = await served.pending()
        page = (await ann.http.get(f"/requests/{row.id}/edit")).text
        assert "In cents." in page
        assert "from 1 up to 400" in plain(page)
        assert "token hidden: it stays as it is" in plain(page)
        assert "hunter2" not in page
        answer = await edit(ann, row.id, v0="80")
        assert answer.headers["location"] == f"/requests/{row.id}"
        words = plain((await ann.http.get(f"/requests/{row.id}")).text)
        assert (
            "Ann changed what the agent asked ; earlier votes do not count: amount : 100 80 “less is enough”" in words
        )
        assert "Takes 80 cents" in words
        assert "Changed by a reviewer" in words
        assert (await ann.decide(row.id)).status_code == 303
        result = await call
    assert taken == [(80, "full", "", "hunter2-hunter2")]
    assert facts(result)["edited"]["changes"] == [{"path": "amount", "asked": 100, "approved": 80}]
    words = plain((await ann.http.get(f"/requests/{row.id}")).text)
    assert "Ann changed what the agent asked" in words


async def test_p8_the_form_does_not_offer_a_secret_that_the_agent_left_out(served, ann):
    ran = []
    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def keep(cents: int, opt: str | None = None, notes: dict[str, str] = {}) -> str:  # noqa: B006
        """Keep it."""
        ran.append((cents, opt, notes))
        return "kept"

    mcp.add_tool(keep, approval=Approval(secret=("opt", "notes.*")))
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("keep", {"cents": 5}))
        row = await served.pending()
        page = plain((await ann.http.get(f"/requests/{row.id}/edit")).text)
        assert "opt hidden: it stays as it is" in page
        answer = await edit(ann, row.id, v0="4", v1="PLAINTEXT")
        assert answer.status_code == 303, "there is no such field, so nothing reads it"
        written = await edit(ann, row.id, v2='{"any": "PLAINTEXT"}')
        assert "Hidden arguments stay as they are; notes.any" in plain(written.text)
        assert "PLAINTEXT" not in str(served.scenario.rows("SELECT * FROM edit"))
        await ann.decide(row.id)
        await call
    assert ran == [(4, None, {})]


async def test_what_the_tool_refuses_is_said_on_the_form_with_what_was_typed(served, server, ann):
    async with Client(server) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        for changed, why in (
            ({"v0": "many"}, "amount: write a whole number."),
            ({"v0": "500"}, "amount: at most 400."),
            ({"v0": "100"}, "Nothing is changed."),
            ({"v0": "80", "reason": " "}, "A change needs a reason."),
            ({"v0": "80", "digest": "0" * 64}, "What would run has changed since you opened it."),
        ):
            answer = await edit(ann, row.id, **changed)
            assert answer.status_code in {409, 422}
            assert why in plain(answer.text)
            assert f'value="{changed["v0"]}"' in answer.text
        assert (await served.pending()).content_version == 1
        await served.decide("deny", comment="no")
        await call


async def test_p7_a_denial_suggests_arguments_that_the_agent_reads_as_data(served, server, taken, ann):
    async with Client(server) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        answer = await edit(ann, row.id, "suggest", v0="80", v1='"part"', reason="only the fee")
        assert answer.status_code == 303
        result = await call
    assert taken == []
    told = facts(result)
    assert (told["status"], told["reason"]) == ("denied", "only the fee")
    assert told["suggestion"] == [
        {"path": "amount", "asked": 100, "suggested": 80},
        {"path": "kind", "asked": "full", "suggested": "part"},
    ]
    assert 'They suggest instead: amount: 100 → 80; kind: "full" → "part"' in text(result)
    words = plain((await ann.http.get(f"/requests/{row.id}")).text)
    assert "Suggested instead: amount : 100 80" in words


async def test_p6_a_denial_with_a_suggestion_needs_the_form_that_this_person_was_shown(served, server, ann):
    async with Client(server) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        answer = await edit(ann, row.id, "suggest", v0="80", seen="0" * 64)
        assert answer.status_code == 409
        assert (await served.pending()).id == row.id
        await served.decide("deny", comment="no")
        await call


async def test_without_a_gate_there_the_form_says_so_and_offers_the_denial_alone(served, server, ann):
    server.gate.budgets = Budgets(plain=0.05)
    async with Client(server) as client:
        await client.call_tool("take", {"amount": 100})
    row = await served.pending()
    page = (await ann.http.get(f"/requests/{row.id}/edit")).text
    assert "No process of shop that could read a change is connected now. You can deny it" in plain(page)
    assert 'value="edit"' not in page
    assert 'value="suggest"' in page
    answer = await edit(ann, row.id, v0="80")
    assert "No process of shop" in plain(answer.text)


async def test_p1_a_rule_that_forbids_edits_takes_the_form_away_and_one_that_bounds_them_fixes_its_fields(
    served, server, ann
):
    policy = served.scenario.service.policy.present = Rule()
    async with Client(server) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        page = plain((await ann.http.get(f"/requests/{row.id}/edit")).text)
        assert "kind its rule lets nobody change it" in page
        answer = await edit(ann, row.id, v0="120")
        assert "its rule lets amount only be lowered" in plain(answer.text)
        assert (await edit(ann, row.id, v0="80")).status_code == 303
        await served.decide("deny", comment="no")
        await call
        policy.edits = EditLimits(allowed=False)
        call = tasks.create_task(client.call_tool("take", {"amount": 101}))
        row = await served.pending()
        page = (await ann.http.get(f"/requests/{row.id}/edit")).text
        assert "Its rule lets nobody change what was asked." in plain(page)
        await served.decide("deny", comment="no")
        await call


class Rule(DefaultPolicy):
    """Low risk, decided by scripts, too; amounts may be lowered."""

    text = f"{DefaultPolicy.text}# edits\n"
    edits = EditLimits(only=("amount",), lower=True)

    def judge(self, call):
        reviewers = Reviewers(channels=Channels(api="decide"))
        return replace(super().judge(call), edits=self.edits, risk="low", reviewers=reviewers)


async def test_p6_a_script_of_a_person_edits_sees_what_it_would_do_and_approves(served, server, taken):
    scenario = served.scenario
    scenario.service.policy.present = Rule()
    scenario.tampered_with = True  # a token that nobody made on record
    until = scenario.clock.now() + 3600 * SECOND
    scenario.keys["token"] = scenario.write(
        lambda tx: credentials.mint(tx, "user", scenario.person().id, scopes="read decide", expires_at=until)
    )
    async with Client(server) as client, served.client("token") as api, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        content = {"content_version": row.content_version, "digest": row.digest}
        wanted = {"arguments": {"amount": 500}, "reason": "less", **content}
        refused = await api.post(f"/requests/{row.id}/edits", json=wanted)
        assert "only be lowered" in refused.json()["detail"]
        answer = await api.post(f"/requests/{row.id}/edits", json=wanted | {"arguments": {"amount": 80}})
        assert answer.status_code == 200, answer.text
        now = answer.json()
        assert now["content_version"] == 2
        assert now["edited"]["changes"] == [{"path": "amount", "was": 100, "now": 80}]
        decision = {"verdict": "approve", "content_version": 1, "digest": row.digest}
        assert (await api.post(f"/requests/{row.id}/decisions", json=decision)).status_code == 409
        decision |= {name: now[name] for name in ("content_version", "digest")}
        assert (await api.post(f"/requests/{row.id}/decisions", json=decision)).status_code == 200
        assert text(await call).endswith("took 80")
        call = tasks.create_task(client.call_tool("take", {"amount": 200}))
        row = await served.pending()
        denial = {"verdict": "deny", "comment": "no", "content_version": 1, "digest": row.digest}
        misfit = await api.post(f"/requests/{row.id}/decisions", json=denial | {"suggestion": {"amount": "few"}})
        assert (misfit.status_code, misfit.json()["detail"]) == (422, "amount: it has to be integer.")
        answer = await api.post(f"/requests/{row.id}/decisions", json=denial | {"suggestion": {"amount": 500}})
        assert answer.json()["detail"] == "amount: at most 400."
        answer = await api.post(f"/requests/{row.id}/decisions", json=denial | {"suggestion": {"amount": 90}})
        assert answer.json()["suggestion"] == [{"path": "amount", "was": 200, "now": 90}]
        assert facts(await call)["suggestion"] == [{"path": "amount", "asked": 200, "suggested": 90}]
    assert taken == [(80, "full", "", "")]


async def test_a_call_filed_anew_begins_its_form_with_what_was_approved_before(served, ann):
    taken = []
    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def take(amount: int) -> str:
        """Take money."""
        taken.append(amount)
        return "done"

    def look(amount: int) -> Preview:
        return Preview(effect=f"Takes {amount} of {balance['of']}")

    balance = {"of": 500}
    mcp.add_tool(take, approval=Approval(preview=look))
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        first = await served.pending()
        await served.edit(amount=80)
        balance["of"] = 300
        await served.decide()
        second = await served.pending()
        assert (second.replaces, json.loads(second.arguments)) == (first.id, {"amount": 100})
        assert (await form(ann, second.id))["v0"] == "80"
        assert "Ann changed the same call before" in plain((await ann.http.get(f"/requests/{second.id}/edit")).text)
        assert (await edit(ann, second.id)).status_code == 303
        await ann.decide(second.id)
        assert text(await call).endswith("done")
    assert taken == [80]


@pytest.mark.slow
async def test_p2_an_amount_edited_in_a_browser_runs_as_edited_and_the_agent_reads_it(
    served, open_browser, tmp_path, monkeypatch
):
    served.scenario.add_server("store")
    shop = Shop(f"sqlite:///{tmp_path}/shop.db")
    monkeypatch.setattr(
        shop_module, "GatedServer", lambda name, **options: GatedServer(name, gate=served.gate(name), **options)
    )
    tabs = await open_browser(served, viewport={"width": 1280, "height": 900})
    async with Client(create_shop(shop, "store")) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("refund_order", {"order_id": 1042, "amount_cents": 12000}))
        row = await served.pending()
        tab = await tabs.open(f"/requests/{row.id}")
        await tab.click("#edit")
        await tab.get_by_label("amount_cents").fill("8000")
        await tab.get_by_label("Reason").fill("The shipping fee is not refunded.")
        await tab.click("text=Check the change")
        await tab.wait_for_selector(".notice.edited")
        said = " ".join((await tab.locator(".notice.edited").inner_text()).split())
        assert said == (
            "Ann changed what the agent asked; earlier votes do not count: "
            "amount_cents: 12000 ($120.00) 8000 ($80.00) “The shipping fee is not refunded.”"
        )
        assert "Refunds $80.00" in await tab.locator(".foreseen").inner_text()
        await tab.click("#card button.good")
        result = await call
        await tab.wait_for_selector(".state:has-text('Succeeded')")
    assert shop.order(1042)["refunded_cents"] == 8000
    assert "amount_cents: 12000 → 8000. Their reason: The shipping fee is not refunded." in text(result)
    assert result.structured_content["left_cents"] == 4000
