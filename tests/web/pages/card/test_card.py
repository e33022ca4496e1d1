"""The card on which a person decides: what it says beside the call, and what it asks of them."""

import re

import pytest

from approvals.protocol.canonical import encode, redacted
from approvals.service.identity import servers
from approvals.service.identity.admins import Operator
from approvals.service.requests import precedents, presence
from approvals_web.pages.card import viewers
from approvals_web.pages.card.confirmation import to_type
from approvals_web.pages.card.viewers import Viewers


async def card(visitor, request_id):
    return (await visitor.http.get(f"/requests/{request_id}")).text


def number(scenario, order, **changes):
    return scenario.file(scenario.filing({"order_id": order, "amount_cents": 5, **changes}))


async def test_p2_the_card_says_whether_an_approval_counts_for_the_servers_present_code_only(served, ann):
    scenario = served.scenario
    assert "the server lets approvals outlive a change of its code" in await card(ann, number(scenario, 1).request_id)
    scenario.register(code="3f2a9c")
    page = await card(ann, number(scenario, 2).request_id)
    assert "version 3f2a9c" in page
    assert "an approval counts for this code only" in page


def make_critical(scenario, request_id):
    """As if the rule had said so."""
    scenario.rate(request_id, "critical")


async def test_the_card_draws_what_will_run_and_has_it_raw(served, ann):
    filed = number(served.scenario, 7, note="DELETE FROM orders", rows=[{"a": 1}, {"a": 2}], old="x", new="y")
    page = await card(ann, filed.request_id)
    assert '<span class="keyword">DELETE</span>' in page
    assert "note: DELETE without WHERE: every row of the table." in page
    assert '<ins class="added">+ y</ins>' in page
    assert '<del class="gone">- x</del>' in page
    assert '<dt>amount</dt><dd class="amount">$0.05</dd>' in page
    assert "&#34;note&#34;:&#34;DELETE FROM orders&#34;" in page
    assert served.scenario.row(filed.request_id).digest in page


async def test_large_arguments_have_a_page_of_their_own_and_the_card_stays_small(served, ann, visitors):
    filed = number(served.scenario, 7, note=["y" * 5000] * 40)
    page = await card(ann, filed.request_id)
    assert "more characters" not in page
    big = number(served.scenario, 8, note="z" * 200_000)
    page = await card(ann, big.request_id)
    assert "… 194,000 more characters, in the JSON" in page
    assert len(page) < 60_000
    raw = f"/requests/{big.request_id}/arguments"
    assert f'href="{raw}"' in page
    assert "z" * 200_000 in (await ann.http.get(raw)).text
    assert (await visitors.stranger().http.get(raw)).status_code == 303


async def test_the_first_view_of_an_ordinary_card_is_small(served, ann):
    assert len(await card(ann, served.scenario.file().request_id)) < 60_000


async def test_it_says_what_people_decided_about_the_same_tool(served, ann, visitors):
    scenario = served.scenario
    first = number(scenario, 0)
    assert "First request for this tool" in await card(ann, first.request_id)
    for order in range(1, 8):
        scenario.clock.forward(1)
        verdict = {"verdict": "deny", "comment": "too <b>soon</b>"} if order == 7 else {"verdict": "approve"}
        scenario.decide(number(scenario, order).request_id, **verdict)
    page = await card(ann, first.request_id)
    assert "people approved 6 and denied 1 of this tool" in page
    assert "too &lt;b&gt;soon&lt;/b&gt;" in page
    assert [f"of order {order}</a>" in page for order in range(1, 8)] == [False, False, True, True, True, True, True]
    scenario.clock.forward(31 * 86_400)
    later = number(scenario, 9)
    back = await visitors.signed_in()
    assert "First request for this tool" in await card(back, later.request_id)


def test_past_decisions_are_found_through_an_index_and_are_bounded(scenario):
    row = scenario.row(number(scenario, 1).request_id)
    if not scenario.service.database.shared:
        plan = scenario.rows(
            "EXPLAIN QUERY PLAN SELECT id FROM request WHERE server = :s AND tool = :t AND id != :i AND "
            f"{precedents.PEOPLE_ASKED} ORDER BY decided_at DESC LIMIT 200",
            s="shop",
            t="refund_order",
            i="x",
        )
        assert "request_decided" in str(plan)
        assert "TEMP B-TREE" not in str(plan)
    assert scenario.read(lambda reader: precedents.decided(reader, row)) == []


async def test_it_says_what_differs_from_a_denied_attempt_of_the_same_agent(served, ann):
    scenario = served.scenario
    denied = number(scenario, 1)
    scenario.decide(denied.request_id, "deny", comment="no")
    scenario.clock.forward(1)
    again = number(scenario, 2)
    page = await card(ann, again.request_id)
    assert "was denied by Ann: “no”. What changed: order_id (1 then, 2 now)" in page
    assert f'<a href="/requests/{denied.request_id}">View</a>' in page
    assert "order_id (" not in await card(ann, denied.request_id)


async def test_a_denied_attempt_at_something_else_is_no_warning(served, ann):
    scenario = served.scenario
    scenario.decide(number(scenario, 1).request_id, "deny", comment="no")
    scenario.clock.forward(1)
    other = scenario.file(scenario.filing({"order_id": 2, "amount_cents": 700}))
    page = await card(ann, other.request_id)
    assert "was denied by" not in page
    assert "people approved 0 and denied 1 of this tool" in page


async def test_another_agents_denied_attempt_is_not_held_against_this_one(served, ann):
    scenario = served.scenario
    key = scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "rover"))
    theirs = scenario.file(scenario.filing({"order_id": 1, "amount_cents": 5}, assertion=scenario.assertion(key)))
    scenario.decide(theirs.request_id, "deny", comment="no")
    scenario.clock.forward(1)
    page = await card(ann, number(scenario, 2).request_id)
    assert "was denied" not in page
    assert "people approved 0 and denied 1 of this tool" in page


async def test_it_says_that_the_same_call_ran_before(served, ann):
    scenario = served.scenario
    first = number(scenario, 1)
    scenario.decide(first.request_id)
    scenario.claim(first.request_id)
    scenario.report(first.request_id)
    scenario.clock.forward(3600)
    again = number(scenario, 1)
    assert again.request_id != first.request_id
    page = await card(ann, again.request_id)
    assert f'The same call ran 1 h ago and succeeded. <a href="/requests/{first.request_id}">View</a>' in page
    assert "The same call ran" not in await card(ann, number(scenario, 2).request_id)


async def test_it_says_who_else_looks_right_now_until_they_leave(served, ann, visitors):
    filed = served.scenario.file()
    bob = await visitors.signed_in("bob")
    assert "Also looking" not in await card(ann, filed.request_id)
    assert "Also looking at this now: Ann" in await card(bob, filed.request_id)
    assert "Also looking at this now: Bob" in await card(ann, filed.request_id)
    served.scenario.clock.forward(viewers.GONE_SECONDS + 1)
    assert "Also looking" not in await card(ann, filed.request_id)


def test_no_number_of_onlookers_fills_the_memory(scenario, monkeypatch):
    monkeypatch.setattr(viewers, "MOST", 3)
    people, ann, bob = Viewers(), scenario.person("ann"), scenario.person("bob")
    for card_id in "abcde":
        people.look(card_id, ann, 1)
    assert people.look("d", bob, 1) == ["Ann"]
    assert people.look("a", bob, 1) == []


async def test_quorum_and_the_tools_definition_are_told(served, ann):
    filed = served.scenario.file()
    served.scenario.need(filed.request_id, quorum=2)
    served.scenario.decide(filed.request_id, who="bob")
    page = await card(ann, filed.request_id)
    assert '<progress max="2" value="1"' in page
    assert "1 of 2: you would be the last, then it may run" in page
    assert ">Approve (2 of 2)<" in page
    assert "first seen just now" in page
    served.scenario.register(served.scenario.tool(description="Another."), session="session-0002")
    assert "another than the accepted one" in await card(ann, filed.request_id)


async def test_the_bar_says_what_an_approval_does_and_when_it_runs(served, ann):
    filed = served.scenario.file()
    served.scenario.run("DELETE FROM waiting_call")
    page = await card(ann, filed.request_id)
    assert 'Your approval is enough<span class="afterwards">. It runs when the agent asks again' in page
    served.scenario.write(lambda tx: presence.stream_opened(tx, served.scenario.session, "stream"))
    served.scenario.write(lambda tx: presence.arrive(tx, filed.request_id, served.scenario.session, "call"))
    assert 'Your approval is enough<span class="afterwards">. It runs at once: the agent is waiting' in await card(
        ann, filed.request_id
    )


async def test_after_a_decision_the_next_request_of_mine_opens_and_says_what_was_done(served, ann, visitors):
    first, second = number(served.scenario, 1).request_id, number(served.scenario, 2).request_id
    answer = await ann.decide(first)
    assert answer.headers["location"] == f"/requests/{second}?after={first}"
    page = (await ann.http.get(answer.headers["location"])).text
    assert f'data-of="{first}"' in page
    assert f'action="/requests/{first}/revocation"' in page
    bob = await visitors.signed_in("bob")
    assert 'id="toast"' not in (await bob.http.get(answer.headers["location"])).text
    assert (await ann.decide(second, stay="yes")).headers["location"] == f"/requests/{second}?after={second}"


TEMPLATE = "Delete {table} for {amount:usd}"


@pytest.mark.parametrize(
    ("risk", "template", "arguments", "typed"),
    [
        ("high", TEMPLATE, {"table": "orders"}, ""),
        ("critical", TEMPLATE, {"table": "orders"}, "orders"),
        ("critical", "Refund {amount:usd} of {order.id}", {"amount": 5, "order": {"id": 7}}, "7"),
        ("critical", "{a} {b}", {"a": True, "b": "x"}, "x"),
        ("critical", TEMPLATE, {"table": 2**60}, str(2**60)),
        ("critical", TEMPLATE, {}, "drop"),
        ("critical", None, {"table": "orders"}, "drop"),
        ("critical", TEMPLATE, {"table": ""}, "drop"),
        ("critical", TEMPLATE, {"table": " orders"}, "drop"),
        ("critical", TEMPLATE, {"table": "or\nders"}, "drop"),
        ("critical", TEMPLATE, {"table": "or\u200bders"}, "drop"),
        ("critical", TEMPLATE, {"table": "\u043erders"}, "drop"),
        ("critical", TEMPLATE, {"table": "x" * 61}, "drop"),
        ("critical", TEMPLATE, {"table": {"x": 1}}, "drop"),
        ("critical", "{table.x}", {"table": "x"}, "drop"),
    ],
)
def test_what_is_critical_is_named_by_its_main_argument(risk, template, arguments, typed):
    assert to_type(risk, template, "drop", encode(arguments)) == typed


def test_a_secret_is_never_what_one_types():
    assert to_type("critical", "{k}", "drop", {"k": redacted(b"p" * 32, "k", "one")}) == "drop"


async def test_p6_what_is_critical_is_approved_only_with_its_name_typed(served, ann):
    scenario = served.scenario
    filed = scenario.file()
    make_critical(scenario, filed.request_id)
    assert "Type <code>1042</code> to approve" in await card(ann, filed.request_id)
    for typed in ("", "1043", "1042x", "refund_order"):
        answer = await ann.decide(filed.request_id, typed=typed, comment="my note")
        assert (answer.status_code, "Type 1042 to approve." in answer.text.replace("&#39;", "'")) == (422, True)
    assert scenario.status(filed.request_id).state == "pending"
    assert (await ann.decide(filed.request_id, typed=" 1042 ")).status_code == 303
    assert scenario.status(filed.request_id).state == "approved"


async def test_p6_what_is_critical_is_denied_without_typing(served, ann, visitors):
    filed = served.scenario.file()
    make_critical(served.scenario, filed.request_id)
    bob = await visitors.signed_in("bob")
    form = await bob.form(filed.request_id) | {"verdict": "approve"}
    assert (await ann.decide(filed.request_id, "deny", comment="no")).status_code == 303
    late = await bob.http.post(f"/requests/{filed.request_id}/decisions", data=form)
    assert late.status_code == 409
    assert "already denied by Ann" in late.text


async def test_the_timeline_leads_to_the_record(served, ann):
    filed = served.scenario.file()
    page = await card(ann, filed.request_id)
    link, before, event = re.search(r'<a href="(/audit\?before=(\d+))">record (\d+)</a>', page).groups()
    assert int(before) == int(event) + 1
    record = (await ann.http.get(link)).text
    assert re.search(r"<td[^>]*>(\d+)</td>", record)[1] == event
