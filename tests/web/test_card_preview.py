"""The card says what would come of a call: its preview, drawn by its kinds, escaped, and what changed in it."""

import re

import pytest
from mcp import Client

from approvals import Approval, Budgets, GatedServer
from approvals.protocol.previews import Fact, Preview, View

REFUND = Preview(
    effect="Refunds $120.00 to Mia Okafor for order 1042",
    object="Order 1042",
    object_id="1042",
    facts=(
        Fact(name="left", label="Left afterwards", value=8_000, currency="USD", note="of $200.00"),
        Fact(name="rows", value=1_200, unit="rows", tolerance=50),
    ),
    reversible="no",
    until="The money is gone",
)


async def card(visitor, request_id):
    return (await visitor.http.get(f"/requests/{request_id}")).text


def file(served, preview=REFUND, **changes):
    return served.scenario.file(served.scenario.filing(preview=preview, **changes)).request_id


def plain(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


async def test_p2_the_card_shows_what_would_happen_to_what_and_how_much_and_whether_it_can_be_undone(served, ann):
    words = plain(await card(ann, file(served)))
    for said in (
        "What it would do according to shop, looked up",
        "Refunds $120.00 to Mia Okafor for order 1042",
        "Affects Order 1042",
        "Left afterwards $80.00 of $200.00",
        "Rows 1,200 rows may change by 50 rows",
        "Cannot be undone: The money is gone",
    ):
        assert said in words
    assert "amount_cents" in words, "the exact arguments stay on the card"


async def test_a_call_whose_tool_has_no_preview_has_no_such_box(served, ann):
    assert "What it would do" not in await card(ann, served.scenario.file().request_id)


async def test_p2_why_there_is_no_preview_is_said_as_text(served, ann):
    page = await card(ann, file(served, None, no_preview="the <b>bank</b> is closed"))
    assert "No preview: the &lt;b&gt;bank&lt;/b&gt; is closed" in page


async def test_p6_nothing_in_a_preview_is_markup_or_hides_itself(served, ann):
    evil = "<img src=x onerror=alert(1)>\u202e"
    hostile = Preview(
        effect=evil,
        object=evil,
        facts=(Fact(name="a", label="<u>\u202e", value=evil, note=evil),),
        before=View(kind="table", columns=(evil,), rows=((evil,), (None,))),
        after=View(kind="sql", text=f"SELECT '{evil}'"),
        until=evil,
        basis=evil,
    )
    page = await card(ann, file(served, hostile))
    assert "<img" not in page
    assert "<u>" not in page
    assert "\u202e" not in page
    assert page.count("&lt;img src=x") >= 7


async def test_what_is_before_and_after_is_drawn_by_its_kind(served, ann):
    text = Preview(effect="Edits", before=View(text="a\nb"), after=View(text="a\nc"))
    page = await card(ann, file(served, text))
    assert '<del class="gone">- b</del>' in page
    assert '<ins class="added">+ c</ins>' in page
    table = Preview(effect="Deletes", before=View(kind="table", columns=("Order",), rows=((7,), (8,))))
    page = await card(ann, file(served, table, arguments={"order_id": 2}))
    assert '<td class="value" data-name="Order"><span class="as-is">7</span></td>' in page
    sql = Preview(effect="Runs", after=View(kind="sql", text="DELETE FROM orders"))
    assert '<span class="keyword">DELETE</span>' in await card(ann, file(served, sql, arguments={"order_id": 3}))
    json = Preview(effect="Sets", after=View(kind="json", text='{"a": 1}'))
    assert "{&#34;a&#34;: 1}" in await card(ann, file(served, json, arguments={"order_id": 4}))


async def test_p2_the_card_of_a_call_that_was_stale_says_what_is_different_now(served, ann):
    first = file(served)
    served.scenario.decide(first)
    served.scenario.claim(first)
    served.scenario.report(first, "stale", result=None)
    left = Fact(name="left", label="Left afterwards", value=0, currency="USD", note="of $200.00")
    second = file(served, REFUND.model_copy(update={"facts": (left, REFUND.facts[1])}))
    page = await card(ann, second)
    assert "The effect changed after it was approved, so nothing ran." in page
    assert "Left afterwards: <del>$80.00 (of $200.00)</del> <ins>$0.00 (of $200.00)</ins>" in page
    assert "The same call ran" not in page, "nothing did"
    old = plain(await card(ann, first))
    assert "Changed before it ran" in old
    assert "The effect changed after it was approved" not in old


async def test_p6_what_is_critical_is_approved_by_typing_the_object_of_its_preview(served, ann):
    request_id = file(served, REFUND.model_copy(update={"object": "Mia Okafor"}))
    served.scenario.rate(request_id, "critical")
    served.scenario.tampered_with = True
    assert "Mia Okafor" in plain(await card(ann, request_id))
    wrong = await ann.decide(request_id, typed="1042")
    assert "Type Mia Okafor to approve" in wrong.text
    await ann.decide(request_id, typed="Mia Okafor")
    assert served.scenario.status(request_id).state == "approved"


async def test_p6_an_approval_of_an_effect_that_is_not_the_one_shown_any_more_is_refused(served, ann):
    request_id = file(served)
    form = await ann.form(request_id)
    file(served, REFUND.model_copy(update={"object": "Order 1043"}))
    answer = await ann.http.post(f"/requests/{request_id}/decisions", data=form | {"verdict": "approve"})
    assert answer.status_code == 409
    assert served.scenario.status(request_id).state == "pending"


@pytest.mark.parametrize("known", [True, False])
async def test_a_card_says_when_its_rule_needs_a_preview(served, ann, known):
    request_id = file(served, REFUND if known else None)
    served.scenario.run("UPDATE request SET preview_required = :yes WHERE id = :id", yes=True, id=request_id)
    served.scenario.tampered_with = True
    page = plain(await card(ann, request_id))
    assert ("No preview: this tool has none" in page) is not known
    assert ("Its rule lets nobody approve it without one." in page) is not known


async def test_the_button_says_when_no_gate_can_look_again(served, ann):
    request_id = file(served)
    assert f'action="/requests/{request_id}/preview"' in await card(ann, request_id)
    answer = await ann.http.post(f"/requests/{request_id}/preview")
    assert answer.status_code == 409
    assert "is connected, so nobody can look again now" in answer.text


async def test_the_button_shows_what_the_gate_found(served, ann):
    balance = [500]
    mcp = GatedServer("shop", gate=served.gate(budgets=Budgets(plain=0.05)), bind_code=False)

    def take(amount: int) -> str:
        """Take money."""
        return "took"

    def preview(amount: int) -> Preview:
        return Preview(effect=f"Leaves {balance[0] - amount} cents")

    mcp.add_tool(take, approval=Approval(preview=preview))
    async with Client(mcp) as client:
        await client.call_tool("take", {"amount": 100})
        row = await served.pending()
        assert "Leaves 400 cents" in await card(ann, row.id)
        balance[0] = 150
        answer = await ann.http.post(f"/requests/{row.id}/preview", follow_redirects=True)
        assert "Leaves 50 cents" in answer.text
