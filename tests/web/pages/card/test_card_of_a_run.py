"""The card of what was approved: started or not, known or not, and contradicted."""

import logging
import re

import pytest

from approvals.service.requests import presence

pytestmark = pytest.mark.databases("one")


async def card(visitor, request_id):
    return (await visitor.http.get(f"/requests/{request_id}")).text


async def test_an_approved_card_says_whether_anybody_waits_and_how_long_there_is(served, ann):
    filing = served.scenario.filing()
    filed = served.scenario.file(filing)
    served.scenario.decide(filed.request_id)
    served.scenario.write(lambda tx: presence.leave(tx, filed.request_id, filing.session, filing.call_id))
    page = await card(ann, filed.request_id)
    assert "It runs when the agent asks again" in page
    assert re.search(r"Approval expires in <b [^>]*>1 h<", page)
    served.scenario.file(filing)
    assert "It starts by itself: the agent is waiting" in await card(ann, filed.request_id)


async def test_p1_a_reviewer_takes_an_approval_back_and_nothing_can_claim_it(served, ann):
    scenario = served.scenario
    filed = scenario.file()
    scenario.decide(filed.request_id, who="bob")
    answer = await ann.http.post(f"/requests/{filed.request_id}/revocation", data={"comment": "wrong customer"})
    assert answer.status_code == 303
    assert "There is nothing to claim" in str(scenario.claim(filed.request_id))
    status = scenario.status(filed.request_id)
    assert (status.state, status.ended_because) == ("revoked", "Ann took the approval back: wrong customer")
    assert scenario.events(filed.request_id)[-1] == "request.revoked"


async def test_an_approval_that_was_claimed_or_is_not_there_cannot_be_taken_back(served, ann, visitors):
    scenario = served.scenario
    filed = scenario.file()
    path = f"/requests/{filed.request_id}/revocation"
    assert (await ann.http.post(path, data={})).status_code == 409
    scenario.decide(filed.request_id)
    scenario.add_user("vera", "viewer")
    vera = await visitors.signed_in("vera")
    assert "Undo approval" not in await card(vera, filed.request_id)
    assert (await vera.http.post(path, data={})).status_code == 403
    scenario.claim(filed.request_id)
    late = await ann.http.post(path, data={"comment": "my draft"})
    assert late.status_code == 409
    assert "executing, so it cannot revoke" in late.text
    assert scenario.status(filed.request_id).state == "executing"


async def test_the_card_of_an_unknown_outcome_has_what_one_needs_to_settle_it(served, ann):
    scenario = served.scenario
    request_id = scenario.lose()
    scenario.write(scenario.service.expiry.lose_silent)
    scenario.verify(request_id, "unclear", "the ledger <b>is</b> down")
    page = await card(ann, request_id)
    for words in ("Started", "shop at main, process session-0001", "Deadline passed", "the server stopped responding"):
        assert words in page
    assert "it cannot tell: the ledger &lt;b&gt;is&lt;/b&gt; down" in page
    assert "Record what happened</h2>" in page


async def test_the_card_says_that_the_tool_itself_settled_it(served, ann):
    request_id = served.scenario.lose()
    served.scenario.verify(request_id, "succeeded", "transfer 77 is booked")
    page = await card(ann, request_id)
    assert "it took effect: transfer 77 is booked" in page
    assert "by the tool&#39;s own check, no person" in page
    assert "Settle what happened" not in page


@pytest.mark.parametrize("settled_by", ["a person", "the tool"])
async def test_p3_a_contradiction_is_an_incident_until_a_person_has_seen_it(served, ann, visitors, caplog, settled_by):
    scenario = served.scenario
    request_id = scenario.lose()
    if settled_by == "a person":
        scenario.settle(request_id, "not_executed")
    else:
        scenario.verify(request_id, "not_executed")
    events = len(scenario.events(request_id))
    with caplog.at_level(logging.ERROR, "approvals"):
        for _ in range(3):
            scenario.report(request_id, "succeeded", f"claim-{request_id}"[:60])
    assert [record.levelname for record in caplog.records if record.levelno > logging.INFO] == ["ERROR"]
    assert request_id in caplog.text
    assert scenario.events(request_id)[events:] == ["incident.contradiction"]
    assert scenario.status(request_id).state == "not_executed"
    assert "its server reported succeeded" in (await ann.http.get("/")).text
    assert "then its server reported succeeded" in await card(ann, request_id)
    scenario.add_user("vera", "viewer")
    vera = await visitors.signed_in("vera")
    path = f"/requests/{request_id}/acknowledgement"
    assert (await vera.http.post(path)).status_code == 403
    assert (await ann.http.post(path)).status_code == 303
    assert (await ann.http.post(path)).status_code == 303
    assert "its server reported" not in (await ann.http.get("/")).text
    assert "then its server reported succeeded" in await card(ann, request_id)
    assert "Acknowledge the contradiction" not in await card(ann, request_id)
    assert scenario.events(request_id)[events:] == ["incident.contradiction", "incident.acknowledged"]
    assert scenario.status(request_id).state == "not_executed"


async def test_there_is_nothing_to_acknowledge_where_nothing_contradicts(served, ann):
    filed = served.scenario.file()
    answer = await ann.http.post(f"/requests/{filed.request_id}/acknowledgement")
    assert answer.status_code == 409
