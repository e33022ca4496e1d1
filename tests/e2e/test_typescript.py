"""The TypeScript SDKs' clients, which most hosts are built on, each in a process of its own over streamable HTTP."""

import asyncio

import anyio
import pytest

from approvals import Budgets
from approvals.gate import answers
from support import counting_server, typescript
from support.over_http import http_server

pytestmark = pytest.mark.databases("one")

PARAMS = {"name": "async_write", "arguments": {"order_id": 7}}
MODERN = {"era": "2026-07-28", "timeout": 5_000, "maxRounds": 10}
CLIENTS = {
    "v2 in rounds": ("modern", MODERN),
    "v2 as it comes": ("modern", {"era": "legacy", "timeout": 5_000}),
    "v1": ("older", {"timeout": 5_000}),
}


@pytest.fixture
def log(tmp_path):
    return tmp_path / "effects.log"


@pytest.fixture(scope="session")
def installed():
    return typescript.installed()


@pytest.fixture
async def call(installed, served, log):
    """One process, one call."""
    gate = served.gate(
        agent=None, budgets=Budgets(plain=0.3, with_progress=1.5, beat=0.1, rounds_by_client={"typescript-v2": 8})
    )
    async with http_server(counting_server.create(log, gate=gate)) as url:

        async def one(client, **options):
            with anyio.fail_after(30):
                return await typescript.call(client, url=url, key=served.scenario.keys["agent"], **options)

        yield one


def status(answer):
    return answer["result"].get("_meta", {}).get(answers.FACTS, {}).get("status")


def text(answer):
    return "\n".join(block["text"] for block in answer["result"]["content"])


@pytest.mark.parametrize("name", CLIENTS)
async def test_p1_a_typescript_client_gets_the_one_execution_however_often_it_has_to_ask(served, call, log, name):
    client, options = CLIENTS[name]
    told = await call(client, params=PARAMS, **options)
    assert told["result"]["isError"]
    assert status(told) == "pending"
    assert not log.exists()
    await served.decide()
    assert text(await call(client, params=PARAMS, **options)) == "wrote 7"
    assert log.read_text() == "async 7\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIENTS)
async def test_p1_a_typescript_client_that_waits_is_answered_when_a_person_decides(served, call, log, name):
    client, options = CLIENTS[name]
    async with asyncio.TaskGroup() as tasks:
        again = tasks.create_task(until_done(call, client, params=PARAMS, **options))
        await served.decide()
        assert text(await again) == "wrote 7"
    assert log.read_text() == "async 7\n"


async def until_done(call, client, **options):
    """As agents do: again while it is pending."""
    while True:
        answer = await call(client, **options)
        if status(answer) != "pending":
            return answer


async def test_a_saved_state_goes_on_in_another_process(served, call, log):
    stopped = await call("modern", params=PARAMS, **MODERN | {"maxRounds": 1})
    assert stopped["error"] == "INPUT_REQUIRED_ROUNDS_EXCEEDED"
    row = await served.decide()
    answer = await call("modern", params=PARAMS | {"requestState": stopped["state"]}, **MODERN)
    assert text(answer) == "wrote 7"
    assert served.scenario.status(row.id).state == "succeeded"
    assert log.read_text() == "async 7\n"


@pytest.mark.slow
@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_p6_the_link_is_shown_once_and_its_answer_is_no_approval(served, call, log, action):
    answer = await call("modern", params=PARAMS, link=action, **MODERN)
    row = await served.pending()
    assert answer["shown"] == [f"http://127.0.0.1:8700/requests/{row.id}"]
    assert status(answer) == "pending"
    assert not log.exists()


@pytest.mark.slow
async def test_progress_holds_an_older_client_that_lets_it_reset_its_time_out(served, call):
    beaten = await call("older", params=PARAMS, timeout=1_000, progress=True)
    assert status(beaten) == "pending"
    assert beaten["beats"] >= 5


@pytest.mark.slow
async def test_p3_a_typescript_client_that_times_out_gets_the_one_execution_when_it_asks_again(served, call, log):
    gone = await call("older", params=PARAMS, timeout=150)
    assert gone["error"] == -32001
    async with asyncio.TaskGroup() as tasks:
        again = tasks.create_task(until_done(call, "older", params=PARAMS, timeout=5_000))
        row = await served.decide()
        assert text(await again) == "wrote 7"
    assert log.read_text() == "async 7\n"
    assert served.scenario.events(row.id).count("request.filed") == 1
