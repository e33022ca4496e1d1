"""Small courtesies to agents and their hosts: schemas, words, times and progress that mean what they say (P7)."""

import asyncio
import contextlib
import uuid

import anyio
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError

from approvals import Budgets, GatedServer, ids
from approvals.errors import Invalid, TooLarge, Unreachable
from approvals.gate import answers, client, events, wait
from approvals.gate.events import Waiter
from approvals.policy.loader import read
from approvals.protocol.messages import RequestStatus
from approvals.protocol.states import State
from approvals.service.requests import presence
from support import counting_server
from support.answer_table import facts, told
from support.over_http import http_client, http_server, listening

pytestmark = pytest.mark.databases("one")

CALL = {"order_id": 7}
SHORT = Budgets(plain=0.05)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "effects.log"


def text(result):
    return "\n".join(block.text for block in result.content)


NO_ID = [
    "none",
    "null",
    "n/a",
    "",
    " ",
    None,
    0,
    False,
    [],
    {},
    "the last one",
    "0123456789",
    "../../admin",
    "x" * 9999,
]


@pytest.mark.parametrize("given", NO_ID)
async def test_p7_a_repeat_that_names_no_request_counts_as_not_given(served, log, given):
    async with Client(counting_server.create(log, gate=served.gate(budgets=SHORT)), mode="legacy") as client:
        told(
            await client.call_tool("async_write", CALL | {"approval_repeat": given, "approval_reason": None}), "pending"
        )
        await served.decide()
        assert text(await client.call_tool("async_write", CALL | {"approval_repeat": given})) == "wrote 7"
        again = await client.call_tool("async_write", CALL | {"approval_repeat": given})
        assert text(again).startswith("[replayed]")
        on_purpose = facts(again)["request_id"].upper()
        told(await client.call_tool("async_write", CALL | {"approval_repeat": on_purpose}), "pending")


def test_an_id_is_read_however_it_is_written():
    made = ids.new(1_800_000_000_000_000)
    for written in (made, made.upper(), f" {made}\n", uuid.UUID(made).hex):
        assert ids.parsed(written) == made
    assert ids.parsed("none") is None


async def test_the_words_for_the_reviewer_may_be_null_where_a_host_demands_every_argument(served, log):
    async with Client(counting_server.create(log, gate=served.gate())) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    for name in ("approval_reason", "approval_repeat"):
        schema = tools["async_write"].input_schema["properties"][name]
        assert schema["anyOf"] == [{"type": "string"}, {"type": "null"}]
        assert schema["default"] is None


async def test_what_a_server_shows_of_itself_is_whole(served):
    server = GatedServer("shop", gate=served.gate())

    @server.tool()
    async def write(order_id: int) -> str:
        """Refund an order.

        Only paid orders can be refunded:
            not those that were refunded before.
        """
        return "done"

    async with Client(server, mode="legacy") as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        info = client.server_info
    assert tools["write"].description == (
        "Refund an order.\n\nOnly paid orders can be refunded:\n    not those that were refunded before."
    )
    assert tools["get_approval"].title == "Look at an approval request"
    assert "\n    " not in tools["get_approval"].description
    assert info.version
    assert GatedServer("shop", gate=served.gate(), version="7").version == "7"


DENIED = """
version: 1
rules:
  - {id: first, match: {tool: "async_*", agent: somebody}, action: deny, reason: Ask the shop.}
  - {id: never, match: {tool: "async_*"}, action: deny, reason: The privacy job does this.}
  - {id: enforced, match: {tool: sync_write}, action: allow, assurance: enforced}
"""


async def test_p7_the_reason_of_a_tool_that_is_denied_outright_reaches_the_agent(served, log):
    served.scenario.service.policy.present = read(DENIED)
    async with Client(counting_server.create(log, gate=served.gate()), mode="legacy") as client:
        result = await client.call_tool("async_write", CALL)
    assert told(result, "refused")["reason"] == "Ask the shop. The privacy job does this."
    assert "The privacy job does this." in text(result)
    assert not log.exists()


def test_p7_no_words_are_said_twice():
    for error in (
        Invalid("x.", hint="Correct the arguments and call again."),
        TooLarge("x.", hint="Send less."),
        Unreachable("x.", hint=""),
    ):
        words = text(answers.of_error(error))
        assert words.count(error.hint.rstrip(".")) == (1 if error.hint else len(words) + 1)
    assert "Mend it." in text(answers.of_error(Unreachable("x.", hint="Mend it.")))


def status(state, **more):
    given = {"id": "r", "server": "s", "tool": "t", "tool_hash": "0" * 64, "digest": "0" * 64, "content_version": 1}
    return RequestStatus(**given, state=state, summary="t()", review_url="http://here/requests/r", **more)


def test_p7_pending_says_what_to_do_meanwhile_and_when_to_come_back():
    answer = answers.of_status(status(State.PENDING, expires_in=60.0))
    assert "in 5 seconds or any time later" in text(answer)
    assert "tell your user" in text(answer)
    assert facts(answer)["retry_after_seconds"] == answers.RETRY_SECONDS == 5


def test_p7_what_is_left_of_a_requests_time_is_what_is_left_when_it_is_said(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(events, "boot_clock", lambda: now[0])
    waiter = Waiter(status(State.PENDING, expires_in=60.0))
    now[0] += 45
    assert waiter.now().expires_in == 15.0
    waiter.tell(status(State.PENDING, expires_in=50.0))
    assert waiter.now().expires_in == 50.0
    now[0] += 99
    assert waiter.now().expires_in == 0.0
    assert Waiter(status(State.DENIED)).now().expires_in is None


def test_p7_a_call_that_joins_late_is_not_told_what_was_left_when_others_were_told():
    stream = events.EventStream(None, "s", None, lambda _: None, lambda *_: None)
    stream._take("request", status(State.PENDING, expires_in=3600.0).model_dump_json())
    with stream.waiting(status(State.PENDING, expires_in=10.0)) as waiter:
        assert waiter.status.expires_in == 10.0
    stream._take("request", status(State.APPROVED, expires_in=5.0).model_dump_json())
    with stream.waiting(status(State.PENDING, expires_in=10.0)) as waiter:
        assert waiter.status.state is State.APPROVED


async def test_p7_progress_never_goes_backwards_through_rounds_and_into_the_tool(served):
    budgets = Budgets(plain=0.2, beat=0.05, rounds_by_client={"mcp": 3})
    server = GatedServer("shop", gate=served.gate(agent=None, budgets=budgets))
    seen: list[tuple[float, float | None]] = []

    @server.tool()
    async def write(order_id: int, context: Context) -> str:
        await context.report_progress(0.01, 0.02)
        await context.report_progress(0.02, 0.02, "done")
        return "done"

    async def progress(value, total, message):
        seen.append((value, total))

    async with http_server(server) as url, http_client(url, served, "2026-07-28") as client:
        session, state = client.session, None
        for _ in range(2):
            answer = await session.call_tool(
                "write", CALL, request_state=state, allow_input_required=True, progress_callback=progress
            )
            state = answer.request_state
        await served.decide()
        await session.call_tool("write", CALL, request_state=state, progress_callback=progress)
    values = [value for value, _ in seen]
    assert len(values) >= 6
    assert values == sorted(set(values))
    assert seen[-1][0] == seen[-1][1] > 0.4  # after two rounds


@pytest.fixture
async def over_sse(served, log):
    """Opens one more client."""
    headers = {"Authorization": f"Bearer {served.scenario.keys['agent']}"}
    async with listening(counting_server.create(log, gate=served.gate(agent=None)).sse_app()) as base:
        yield lambda: Client(sse_client(f"{base}/sse", headers=headers), mode="legacy")


async def test_p1_over_sse_a_call_is_held_and_runs_once_when_a_person_approves(served, over_sse, log):
    with anyio.fail_after(20):
        async with over_sse() as client, asyncio.TaskGroup() as tasks:
            call = tasks.create_task(client.call_tool("async_write", CALL))
            row = await served.decide()
            assert text(await call) == "wrote 7"
    assert log.read_text() == "async 7\n"
    assert served.scenario.status(row.id).state == "succeeded"


@pytest.mark.parametrize("how", ["cancels", "leaves"])
async def test_p3_over_sse_for_a_caller_that_gave_up_nothing_runs_unseen(served, over_sse, log, until, how):
    async def call_until(gone):
        with contextlib.suppress(MCPError):
            async with over_sse() as client:
                if how == "leaves":
                    call = asyncio.create_task(client.call_tool("async_write", CALL))
                    await gone.wait()
                    call.cancel()
                    return
                with anyio.CancelScope() as scope:
                    asyncio.create_task(gone.wait()).add_done_callback(lambda _: scope.cancel())
                    await client.call_tool("async_write", CALL)
                await over.wait()

    gone, over = asyncio.Event(), asyncio.Event()
    with anyio.fail_after(20):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call_until(gone))
            row = await served.pending()
            await until(lambda: served.scenario.waiting(row.id) == 1)
            gone.set()
            await until(lambda: served.scenario.waiting(row.id) == 0)
            await served.decide()
            assert served.scenario.status(row.id).state == "approved"
            assert not log.exists()
            over.set()
        async with over_sse() as client:
            assert text(await client.call_tool("async_write", CALL)) == "wrote 7"


@pytest.mark.parametrize(("verdict", "said"), [("approve", 0), ("deny", 0), (None, 1)])
async def test_a_gate_says_that_its_caller_left_only_of_what_goes_on(served, log, monkeypatch, verdict, said):
    original, left = client.ServiceClient.left, []

    async def leave(self, *arguments):
        left.append(arguments)
        await original(self, *arguments)

    monkeypatch.setattr(client.ServiceClient, "left", leave)
    budgets = Budgets(plain=0.05) if verdict is None else Budgets()
    mcp = counting_server.create(log, gate=served.gate(budgets=budgets))
    async with Client(mcp, mode="legacy") as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("async_write", CALL))
        await (served.pending() if verdict is None else served.decide(verdict, comment="no"))
        with anyio.fail_after(10):
            await call
    assert len(left) == said
    served.scenario.clock.forward(presence.KEPT_SECONDS + 1)
    served.scenario.write(presence.tidy)
    assert served.scenario.rows("SELECT * FROM waiting_call") == []


async def test_p7_a_call_whose_leaving_is_lost_is_told_that_it_waits(served, log, monkeypatch):
    async def leave(self, *arguments):
        raise Unreachable("lost on the way there")

    monkeypatch.setattr(client.ServiceClient, "left", leave)
    async with Client(counting_server.create(log, gate=served.gate(budgets=SHORT)), mode="legacy") as agent:
        assert facts(await agent.call_tool("async_write", CALL))["status"] == "pending"


def test_a_gate_looks_a_hundred_times_a_second_at_the_most_whether_its_callers_are_there():
    assert [wait.between_looks(waiting) for waiting in (1, 200, 400, 2_000)] == [2, 2, 4, 20]
