"""Many approvals at one gate at once: each is used, however long it waits for its turn (P3, P7)."""

import asyncio
from collections import Counter
from dataclasses import replace

import anyio
import pytest
from mcp_types import CallToolResult, TextContent

from approvals.gate import claim_queue, client, runner
from approvals.gate.arguments import Effective
from approvals.gate.budgets import Budget
from approvals.gate.call import Call, Caller
from approvals.protocol.messages import Decision
from approvals.protocol.registration import Annotations, ToolDefinition
from approvals.service.requests.decisions import Seen
from support.answer_table import facts

pytestmark = pytest.mark.databases("one")

REVIEWERS = 16
WRITE = ToolDefinition(name="write", input_schema={"type": "object"}, annotations=Annotations())


class Crowd:
    """Calls of one gate that all wait, each for a request of its own."""

    def __init__(self, served, size):
        self.served, self.size, self.ran = served, size, Counter()
        self.gate = served.gate()
        self.gate.definitions = lambda: (WRITE,)

    def call(self, number):
        async def run(arguments):
            self.ran[arguments["order_id"]] += 1
            return CallToolResult(content=[TextContent(type="text", text="wrote")])

        return Call(
            tool="write",
            arguments={"order_id": number},
            effective=lambda: Effective({"order_id": number}),
            run=run,
            caller=Caller(self.served.scenario.keys["agent"]),
            budget=Budget(600),
        )

    async def all_pending(self):
        """What they wait for, once all of them do."""
        while self.served.scenario.rows("SELECT count(*) FROM request WHERE state = 'pending'") != [(self.size,)]:
            await self.served._filed()
        return self.served.scenario.rows("SELECT id, content_version, digest FROM request")

    async def review(self, rows):
        while rows:
            await self.approve(*rows.pop())

    async def approve(self, request_id, version, digest):
        service, person = self.served.scenario.service, self.served.scenario.person()
        verdict = Decision(verdict="approve", comment="", content_version=version, digest=digest)
        await service.write(lambda tx: service.decisions.decide(tx, request_id, person, verdict, Seen()))

    async def answers(self):
        """Of all the calls, which many people approve, each as fast as possible."""
        async with self.gate.running(), asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(self.gate.call(self.call(number))) for number in range(self.size)]
            rows = await self.all_pending()
            for _ in range(REVIEWERS):
                tasks.create_task(self.review(rows))
            answers = [await call for call in calls]
        return Counter(answer.content[0].text.partition("\n")[0] for answer in answers)


@pytest.fixture
def slow_claims(monkeypatch):
    """Each claim that the service takes moves the gate's clock by this much, for all that are on their way."""
    clock, original = [100.0], client.ServiceClient.claim
    monkeypatch.setattr(runner, "boot_clock", lambda: clock[0])

    def arrange(seconds):
        async def claim(self, request_id, claim):
            answer = await original(self, request_id, claim)
            clock[0] += seconds
            return answer

        monkeypatch.setattr(client.ServiceClient, "claim", claim)

    return arrange


async def test_p3_p7_a_gate_claims_no_more_than_it_can_start(served, slow_claims):
    slow_claims(0.2)
    crowd = Crowd(served, 60)
    with anyio.fail_after(50):
        assert await crowd.answers() == {"wrote": 60}


@pytest.mark.slow
async def test_p3_p7_of_two_thousand_approvals_at_once_none_is_wasted(served):
    crowd = Crowd(served, 2000)
    with anyio.fail_after(580):
        assert await crowd.answers() == {"wrote": 2000}
    assert crowd.ran == dict.fromkeys(range(2000), 1)
    assert served.scenario.rows("SELECT DISTINCT state FROM request") == [("succeeded",)]


@pytest.fixture
def held_claim(monkeypatch):
    """The next claim is held until the event is set, and only one is made at a time."""
    held, release, original = asyncio.Event(), asyncio.Event(), client.ServiceClient.claim
    monkeypatch.setattr(claim_queue, "AT_ONCE", 1)

    async def claim(self, request_id, claim):
        held.set()
        await release.wait()
        return await original(self, request_id, claim)

    monkeypatch.setattr(client.ServiceClient, "claim", claim)
    return held, release


async def test_p7_an_approval_whose_turn_does_not_come_while_its_call_is_held_is_there_for_the_next_call(
    served, held_claim
):
    crowd, (held, release) = Crowd(served, 2), held_claim
    with anyio.fail_after(20):
        async with crowd.gate.running(), asyncio.TaskGroup() as tasks:
            first = tasks.create_task(crowd.gate.call(crowd.call(0)))
            await served.decide()
            await held.wait()
            second = tasks.create_task(crowd.gate.call(replace(crowd.call(1), budget=Budget(0.3))))
            await served.decide()
            answer = await second
            assert (facts(answer)["status"], crowd.ran) == ("approved", {})
            release.set()
            assert (await first).content[0].text == "wrote"
            assert (await crowd.gate.call(crowd.call(1))).content[0].text == "wrote"
    assert crowd.ran == {0: 1, 1: 1}


async def test_p7_a_call_that_is_cut_off_in_the_queue_leaves_its_turn_to_the_next(served, held_claim, until):
    crowd, (held, release) = Crowd(served, 3), held_claim
    with anyio.fail_after(20):
        async with crowd.gate.running(), asyncio.TaskGroup() as tasks:
            calls = []
            for number in range(3):
                calls.append(tasks.create_task(crowd.gate.call(crowd.call(number))))
                await served.decide()
                await until(lambda place=number: len(crowd.gate.session._turns._queue) == place)
                await held.wait()
            calls[1].cancel()
            release.set()
            assert [(await calls[number]).content[0].text for number in (0, 2)] == ["wrote", "wrote"]
    assert crowd.ran == {0: 1, 2: 1}


async def test_p4_who_holds_a_permission_finds_a_connection_whatever_a_crowd_is_doing(served):
    crowd = Crowd(served, 1)
    with anyio.fail_after(20):
        async with crowd.gate.running(), asyncio.TaskGroup() as tasks:
            call = tasks.create_task(crowd.gate.call(crowd.call(0)))
            await served.pending()
            ordinary = crowd.gate.session._client._ordinary
            for _ in range(client.ORDINARY):
                await ordinary.acquire()
            await served.decide()
            assert (await call).content[0].text == "wrote"
            assert served.scenario.rows("SELECT state FROM request") == [("succeeded",)]
