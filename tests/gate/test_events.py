"""A commit can be read before its own hooks have woken anybody: whoever reads it early takes no wake-up from others."""

import contextlib
import json

import anyio
import pytest

from approvals.gate.events import EventStream


@pytest.fixture
def late_hooks(scenario):
    """While the context lasts, commits are visible and wake nobody; then they do."""

    @contextlib.contextmanager
    def held():
        transitions, bus, ids = scenario.service.transitions, scenario.service.bus, []
        transitions._wake = ids.append
        yield
        transitions._wake = bus.wake
        for request_id in ids:
            bus.wake(request_id)

    return held


@contextlib.asynccontextmanager
async def gate_stream(served, http):
    """A gate's stream, once it is open: the states that it tells."""
    async with http.stream("POST", "/requests/events", json={"session": served.scenario.session}) as response:
        lines = response.aiter_lines()
        assert await anext(lines) == "event: lease"
        yield (json.loads(line[6:])["state"] async for line in lines if line.startswith('data: {"id"'))


async def file(served, http):
    return (await http.post("/requests", json=served.scenario.filing().model_dump(mode="json"))).json()


async def until_told(states, wanted):
    with anyio.fail_after(5):
        while await anext(states) != wanted:
            pass


async def test_p7_a_twin_that_reads_the_end_before_anybody_was_woken_lets_the_others_hear_of_it(served, late_hooks):
    async with served.client() as http, gate_stream(served, http) as states:
        filed = await file(served, http)
        with late_hooks():
            await served.decide("deny", comment="not this one")
            twin = await file(served, http)
        assert (twin["id"], twin["state"]) == (filed["id"], "denied")
        await until_told(states, "denied")


async def test_p7_what_one_stream_of_a_gate_has_told_its_other_stream_tells_as_well(served, late_hooks):
    """A gate that follows anew while its old connection is not known to be dead."""
    async with served.client() as http, gate_stream(served, http) as old, gate_stream(served, http) as new:
        await file(served, http)
        (first, second) = sorted(served.scenario.service.gates._streams[served.scenario.session], key=id)
        with late_hooks():
            row = await served.decide("deny", comment="not this one")
            first.poke(row.id)
            with anyio.fail_after(5):
                while row.id in first.follows:
                    await anyio.lowlevel.checkpoint()
        await until_told(old, "denied")
        await until_told(new, "denied")
        assert (first.follows, second.follows) == (set(), set())


async def test_a_stream_forgets_what_had_ended_before_it_was_filed_again(served):
    async with served.client() as http, gate_stream(served, http) as states:
        filed = await file(served, http)
        await served.decide("deny", comment="not this one")
        await until_told(states, "denied")
        await file(served, http)
        await until_told(states, "denied")
        assert filed["id"] not in served.scenario.service.bus._listeners


def test_p7_what_came_in_while_a_call_was_filed_is_there_for_it_whatever_else_came_in(scenario):
    filed = scenario.file().request_id
    asked = scenario.status(filed)
    scenario.decide(filed, "deny", comment="not this one")
    stream, denied = EventStream(None, scenario.session, None, None, None), scenario.status(filed)
    stream._take("request", denied.model_dump_json())
    for number in range(5000):
        stream._take("request", denied.model_copy(update={"id": f"other-{number}"}).model_dump_json())
    with stream.waiting(asked) as waiter:
        assert waiter.status.state == "denied"
