"""A policy file that changes while the service runs, as seen over HTTP."""

import json

import httpx2
import pytest

from approvals.service.keyring import Keyring
from approvals.service.policies.file import PolicyFile
from approvals.service.service import Service
from approvals.service.storage.database import database_at
from support.served import Served
from support.serving import SECRET, serving

ASK = "version: 1\nrules:\n  - {id: ask, match: {server: '*'}, action: require_approval, risk: low}\n"
DENY = "version: 1\nrules:\n  - {id: no, match: {server: '*'}, action: deny, reason: not today}\n"


@pytest.fixture
async def served(scenario, tmp_path):
    """The scenario's service with a policy file, in the place of the one without; `file` is its path."""
    path = tmp_path / "policy.yaml"
    path.write_text(ASK)
    service = Service(
        database_at(scenario.url, scenario.clock),
        Keyring(SECRET),
        "http://127.0.0.1:8700",
        policy_file=PolicyFile(path),
    )
    scenario.service.database.stop()
    scenario.service = service
    async with serving(service) as url:
        running = Served(url, scenario)
        running.file = path
        yield running


async def say(served, content):
    """The file says this, and the service looks until it knows."""
    served.file.write_text(content)
    for _ in range(3):
        await served.scenario.service.policy_watch.look(served.scenario.service.policy)


async def get(served, path):
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await http.get(f"{served.url}{path}")


async def test_p5_a_broken_file_is_shouted_and_takes_no_replica_out(served, ann):
    scenario = served.scenario
    assert "policy file" not in (await ann.http.get("/")).text
    before = (await get(served, "/readyz")).json()
    assert before == {"status": "ready", "policy": {"in_force": scenario.service.policy.hash}, "notifiers": {}}
    await say(served, "rules: 1")
    ready = await get(served, "/readyz")
    assert ready.status_code == 200
    assert ready.json()["policy"]["in_force"] == before["policy"]["in_force"]
    assert "cannot be used" in ready.json()["policy"]["trouble"]
    assert "approvals_policy_broken 1.0" in (await get(served, "/metrics")).text
    for page in ("/", "/history", f"/requests/{scenario.file().request_id}"):
        assert "The policy file has errors." in (await ann.http.get(page)).text
    assert "policy" not in (await get(served, "/login")).text
    await say(served, ASK)
    assert (await get(served, "/readyz")).json() == before
    assert "approvals_policy_broken 0.0" in (await get(served, "/metrics")).text
    assert "policy file" not in (await ann.http.get("/")).text


async def test_gates_learn_at_once_what_the_new_policy_says(served):
    scenario = served.scenario
    async with served.client() as gate:
        body = {"session": scenario.session, "waiting": []}
        async with gate.stream("POST", "/requests/events", json=body, timeout=4) as stream:
            lines = stream.aiter_lines()
            assert await event(lines) == "lease"
            scenario.service.gates.renew()
            assert await event(lines) == "lease"  # within 4 seconds: the next one by itself comes after 5


async def event(lines):
    """The name of the next event."""
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            json.loads(line.removeprefix("data: "))
        elif not line:
            return name
    return name


async def test_a_reload_renews_the_leases(served, until):
    renewed = []
    scenario = served.scenario
    scenario.service.gates.renew = lambda: renewed.append(scenario.service.policy.text)
    served.file.write_text(DENY)
    await until(lambda: bool(renewed))  # the service's own look, every second
    assert renewed == [DENY]
