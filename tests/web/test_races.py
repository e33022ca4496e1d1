"""Fifty at once, over real HTTP: one winner, and everybody else learns who it was."""

import asyncio

import pytest

from approvals.service.storage.tables import DecisionRow, Execution

pytestmark = pytest.mark.databases("both")

CROWD = 50


def count(scenario, table):
    connection = scenario.service.database.connect()
    (number,) = connection.execute(f"SELECT count(*) FROM {table.__tablename__}").fetchone()
    connection.close()
    return number


async def test_p3_fifty_racing_claims_have_one_winner(served, scenario):
    filed = scenario.file()
    row = scenario.decide(filed.request_id)
    async with served.client() as gate:

        async def claim(number):
            body = {"claim_id": f"claim-{number:04}", "session": scenario.session}
            body |= {"tool_hash": row.tool_hash, "digest": row.digest}
            return await gate.put(f"/requests/{row.id}/claim", json=body)

        answers = await asyncio.gather(*(claim(number) for number in range(CROWD)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] + [409] * (CROWD - 1)
    assert {answer.json()["state"] for answer in answers if answer.status_code == 409} == {"executing"}
    assert count(scenario, Execution) == 1
    assert scenario.events(row.id).count("request.executing") == 1


async def test_p1_fifty_racing_decisions_have_one_winner(served, scenario, visitors):
    people = [f"person{number}" for number in range(10)]
    for name in people:
        scenario.add_user(name)
    filed = scenario.file()
    browsers = [await visitors.signed_in(name) for name in people]
    forms = [await browser.form(filed.request_id) for browser in browsers]
    path = f"/requests/{filed.request_id}/decisions"

    async def decide(number):
        verdict = {"verdict": "approve" if number % 2 else "deny", "comment": f"reason {number}"}
        return await browsers[number % 10].http.post(path, data=forms[number % 10] | verdict)

    answers = await asyncio.gather(*(decide(number) for number in range(CROWD)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [303] + [409] * (CROWD - 1)
    assert count(scenario, DecisionRow) == 1
    decided = [event for event in scenario.events(filed.request_id) if event.startswith("decision.")]
    assert len(decided) == 1
    assert scenario.status(filed.request_id).state in {"approved", "denied"}


async def test_p3_fifty_identical_filings_of_two_processes_share_one_request(served, scenario):
    other = "session-0002"
    scenario.register(session=other)
    async with served.client() as gate:

        async def file(number):
            body = scenario.filing(session=scenario.session if number % 2 else other)
            return await gate.post("/requests", json=body.model_dump(mode="json"))

        answers = await asyncio.gather(*(file(number) for number in range(CROWD)))
    assert sorted(answer.status_code for answer in answers) == [200] * (CROWD - 1) + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_p1_a_decision_that_races_with_a_withdrawal_is_one_or_the_other(served, scenario, visitors):
    ann = await visitors.signed_in()
    for number in range(5):
        filed = scenario.file(scenario.filing({"order_id": number, "amount_cents": 1}))
        form = await ann.form(filed.request_id) | {"verdict": "approve"}
        async with served.client("agent") as agent:
            decided, withdrawn = await asyncio.gather(
                ann.http.post(f"/requests/{filed.request_id}/decisions", data=form),
                agent.post(f"/requests/{filed.request_id}/withdrawal", json={}),
            )
        state = scenario.status(filed.request_id).state
        assert (decided.status_code, state) in {
            (303, "approved"),
            (409, "withdrawn"),
            (303, "revoked"),
            (303, "withdrawn"),
        }
        assert withdrawn.status_code in {200, 409}
        ended = [
            event for event in scenario.events(filed.request_id) if event in {"request.approved", "request.withdrawn"}
        ]
        assert len(ended) == 1 or state in {"revoked", "withdrawn"}
