"""2026-07-28 clients are sent away with a state and come back with it, until a person has decided."""

import asyncio
import contextlib
import sys
from dataclasses import replace

import anyio
import pytest
from mcp import Client
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolResult,
    ClientCapabilities,
    ElicitationCapability,
    ElicitResult,
    FormElicitationCapability,
    Implementation,
    InputRequiredResult,
    ListRootsResult,
    TextContent,
    ToolAnnotations,
)
from pydantic import BaseModel, ValidationError

from approvals import Budgets, GatedServer, GateSettings
from approvals.gate.input_rounds import Round, is_ours
from approvals.policy.model import Action, DefaultPolicy, Judgement
from approvals.protocol.registration import Verdict
from approvals.service.identity import servers
from approvals.service.identity.admins import Operator
from support import counting_server
from support.answer_table import facts
from support.over_http import http_client, http_server
from support.processes import clean_environment

pytestmark = pytest.mark.databases("one")

MODERN = "2026-07-28"
CALL = {"order_id": 7}
RETURNING = {"mcp": 8}
"""The SDK's own name, which says nothing: by default it is not sent away."""
SHORT = Budgets(plain=0.05, rounds_by_client=RETURNING)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "effects.log"


@pytest.fixture
def server(served, log):
    return counting_server.create(log, gate=served.gate(budgets=SHORT))


def text(result):
    return "\n".join(block.text for block in result.content)


def lines(log):
    return log.read_text().splitlines() if log.exists() else []


async def one_round(client, tool="async_write", arguments=CALL, state=None, **more):
    """One exchange, as a client does that drives its rounds by hand."""
    return await client.session.call_tool(tool, arguments, request_state=state, allow_input_required=True, **more)


async def test_p1_a_call_waits_through_rounds_until_a_person_approves_and_runs_once(served, server, log):
    async with Client(server, mode=MODERN) as client:
        state = None
        for _ in range(3):
            answer = await one_round(client, state=state)
            assert isinstance(answer, InputRequiredResult)
            assert answer.input_requests is None
            state = answer.request_state
        row = await served.decide()
        assert lines(log) == []
        result = await one_round(client, state=state)
    assert text(result) == "wrote 7"
    assert lines(log) == ["async 7"]
    assert served.scenario.status(row.id).state == "succeeded"


async def test_the_clients_own_driver_brings_the_call_through(served, server, log, until):
    filed = count_filings(served)
    async with Client(server, mode=MODERN) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("async_write", CALL))
        row = await served.pending()
        await until(lambda: len(filed) >= 3)
        await served.decide()
        with anyio.fail_after(10):
            assert text(await call) == "wrote 7"
    assert lines(log) == ["async 7"]
    assert served.scenario.events(row.id).count("request.filed") == 1


def count_filings(served):
    """One entry for each time that the call came to the service."""
    filings, filed = served.scenario.service.filings, []
    original = filings.file

    def counted(tx, installation, filing):
        filed.append(filing)
        return original(tx, installation, filing)

    filings.file = counted
    return filed


async def test_p7_after_the_last_round_the_client_is_told_that_it_still_waits(served, server):
    async with Client(server, mode=MODERN) as client:
        with anyio.fail_after(10):
            result = await client.call_tool("async_write", CALL)
    assert facts(result)["status"] == "pending"
    assert text(result).startswith("NOT EXECUTED: waiting for a person's approval")


async def test_an_older_client_is_never_sent_away(served, server):
    async with Client(server, mode="legacy") as client:
        result = await one_round(client)
    assert isinstance(result, CallToolResult)
    assert facts(result)["status"] == "pending"


@pytest.mark.parametrize(
    ("name", "budgets"),
    [
        ("mcp", {}),
        ("anything", {}),
        ("fastmcp", {"rounds": 1}),
        ("FastMCP", {"rounds_by_client": {"fastmcp": 1}}),
    ],
)
async def test_p7_a_client_that_is_not_known_to_come_back_is_told_that_it_waits(served, log, name, budgets):
    server = counting_server.create(log, gate=served.gate(budgets=Budgets(plain=0.05, **budgets)))
    async with Client(server, mode=MODERN, client_info=Implementation(name=name, version="1")) as client:
        session = client.session  # as openai-agents holds one: it raises on what it does not expect
        result = await session.call_tool("async_write", CALL)
        assert facts(result)["status"] == "pending"
        await served.decide()
        assert text(await session.call_tool("async_write", CALL)) == "wrote 7"


async def test_progress_is_told_within_each_round(served, log):
    gate = served.gate(agent=None, budgets=Budgets(plain=0.1, beat=0.01, rounds_by_client=RETURNING))
    async with http_server(counting_server.create(log, gate=gate)) as url, http_client(url, served, MODERN) as client:
        state = None
        for _ in range(2):
            seen = []

            async def progress(value, total, message, seen=seen):
                seen.append(value)

            state = (await one_round(client, state=state, progress_callback=progress)).request_state
            assert len(seen) >= 2
            assert seen == sorted(set(seen))


@contextlib.asynccontextmanager
async def restarted(served, log, transport="memory"):
    """A client and a server that know nothing of any before them."""
    if transport == "memory":
        async with Client(counting_server.create(log, gate=served.gate(budgets=SHORT)), mode=MODERN) as client:
            yield client
        return
    if transport == "http":
        gate = served.gate(agent=None, budgets=SHORT)
        async with (
            http_server(counting_server.create(log, gate=gate)) as url,
            http_client(url, served, MODERN) as client,
        ):
            yield client
        return
    keys = served.scenario.keys
    environment = clean_environment(
        APPROVALS_URL=served.url,
        APPROVALS_SERVER_KEY=keys["shop"],
        APPROVALS_AGENT_KEY=keys["agent"],
        APPROVALS_HOLD="0.05",
        APPROVALS_ROUNDS_BY_CLIENT="mcp=8",
        EFFECTS=str(log),
    )
    parameters = StdioServerParameters(command=sys.executable, args=[counting_server.__file__], env=environment)
    async with Client(parameters, mode=MODERN) as client:
        yield client


@pytest.mark.parametrize("transport", ["memory", pytest.param("stdio", marks=pytest.mark.slow), "http"])
async def test_p4_a_client_and_a_server_that_both_restarted_go_on_from_the_saved_state(served, log, transport):
    async with restarted(served, log, transport) as client:
        saved = (await one_round(client)).request_state
    row = await served.decide()
    served.scenario.clock.forward(300)
    assert lines(log) == []
    async with restarted(served, log, transport) as client:
        result = await client.call_tool("async_write", CALL, request_state=saved)
        again = await client.call_tool("async_write", CALL, request_state=saved)
    assert text(result) == text(again) == "wrote 7"
    assert lines(log) == ["async 7"]
    assert served.scenario.status(row.id).state == "succeeded"


async def ended(served, log, row, how):
    """Bring a pending request to an end that its caller did not see."""
    scenario = served.scenario
    if how == "expired":
        scenario.clock.forward(3601)
    elif how == "withdrawn":
        scenario.withdraw(row.id)
    elif how == "denied":
        await served.decide("deny", comment="no")
        scenario.clock.forward(601)  # past the time in which a denial answers for every such call
    elif how == "lapsed":
        await served.decide()
        scenario.clock.forward(3601)
    elif how == "not_executed":
        await served.decide()
        assert scenario.claim(row.id, session=row.session_id) is None
        scenario.report(row.id, "not_executed", error="no time")
    elif how == "unknown":
        await served.decide()
        assert scenario.claim(row.id, session=row.session_id) is None
        scenario.clock.forward(120)
    else:
        async with (
            Client(counting_server.create(log, gate=served.gate()), mode="legacy") as other,
            asyncio.TaskGroup() as tasks,
        ):
            call = tasks.create_task(other.call_tool("failing_write" if how == "failed" else "async_write", CALL))
            await served.decide()
            await call
        scenario.clock.forward(601)  # past the time in which the result answers for every such call


@pytest.mark.parametrize(
    "how", ["expired", "withdrawn", "denied", "lapsed", "not_executed", "unknown", "succeeded", "failed"]
)
async def test_p7_a_call_that_comes_back_gets_its_own_requests_end_and_asks_nobody_anew(served, server, log, how):
    tool = "failing_write" if how == "failed" else "async_write"
    async with Client(server, mode=MODERN) as client:
        saved = (await one_round(client, tool)).request_state
        row = await served.pending()
    await ended(served, log, row, how)
    async with restarted(served, log) as client:
        result = await one_round(client, tool, state=saved)
        assert isinstance(result, CallToolResult)
        if how in {"succeeded", "failed"}:
            assert ("wrote 7" if how == "succeeded" else "the carrier is closed") in text(result)
            assert lines(log) == [{"succeeded": "async 7", "failed": "failing 7"}[how]]
        else:
            assert (facts(result)["status"], facts(result)["request_id"]) == (how, row.id)
            assert lines(log) == []
        assert served.scenario.status(row.id).state == how
        assert requests(served) == [row.id]
        if how != "unknown":  # without the state it is a call like any other
            assert (await one_round(client, tool)).request_state is not None
            assert len(requests(served)) == 2


def requests(served):
    connection = served.scenario.service.database.connect()
    rows = connection.execute("SELECT id FROM request ORDER BY id").fetchall()
    connection.close()
    return [request_id for (request_id,) in rows]


async def test_p2_a_call_that_comes_back_to_a_redefined_tool_is_asked_anew_or_gets_its_end(served, log):
    first = counting_server.create(log, gate=served.gate(budgets=SHORT))
    async with Client(first, mode=MODERN) as client:
        saved = (await one_round(client)).request_state
    row = await served.decide()
    second = counting_server.create(log, gate=served.gate(budgets=SHORT))
    second.remove_tool("async_write")

    @second.tool(name="async_write", description="Now it does something else.")
    async def async_write(order_id: int) -> str:
        log.write_text("something else")
        return "something else"

    async with Client(second, mode=MODERN) as client:
        result = await one_round(client, state=saved)
    assert facts(result)["status"] == "revoked"
    assert facts(result)["request_id"] == row.id
    assert lines(log) == []


@pytest.mark.parametrize("now", [Verdict.RUN, Verdict.REFUSE])
async def test_p3_whatever_the_policy_has_become_a_call_that_comes_back_never_runs_again(
    served, server, log, monkeypatch, now
):
    async with Client(server, mode=MODERN) as client:
        saved = (await one_round(client)).request_state
        row = await served.pending()
    await ended(served, log, row, "succeeded")
    action = Action.ALLOW if now is Verdict.RUN else Action.DENY
    monkeypatch.setattr(DefaultPolicy, "verdict", lambda *_: now)
    monkeypatch.setattr(DefaultPolicy, "judge", lambda *_: Judgement(action, "changed"))
    async with restarted(served, log) as client:
        result = await one_round(client, state=saved)
    assert text(result) == "wrote 7"
    assert lines(log) == ["async 7"]


TAMPERED = {
    "cut": lambda state: state[:-4],
    "changed": lambda state: state[:-4] + "AAAA",
    "empty": lambda _: "",
    "long": lambda state: state * 1000,
    "made up": lambda _: "v1." + "A" * 99,
    "in the clear": lambda _: "approvals:1:0123456789:1",
}


@pytest.mark.parametrize("how", TAMPERED)
async def test_p5_a_state_that_was_tampered_with_is_refused_and_asks_nobody(served, server, how):
    async with Client(server, mode=MODERN) as client:
        saved = (await one_round(client)).request_state
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await one_round(client, state=TAMPERED[how](saved))
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await one_round(client, arguments={"order_id": 8}, state=saved)
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await one_round(client, tool="sync_write", state=saved)
    assert len(requests(served)) == 1


async def test_p1_another_agents_state_opens_nothing(served, server, log):
    async with Client(server, mode=MODERN) as client:
        saved = (await one_round(client)).request_state
    row = await served.decide()
    scenario = served.scenario
    scenario.keys["other"] = scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "other"))
    async with Client(
        counting_server.create(log, gate=served.gate(agent="other", budgets=SHORT)), mode=MODERN
    ) as client:
        answer = await one_round(client, state=saved)
    assert isinstance(answer, InputRequiredResult)
    assert lines(log) == []
    assert scenario.status(row.id).state == "approved"
    assert len(requests(served)) == 2


def test_p1_the_service_lets_a_call_continue_only_its_own_request(scenario):
    own = replace(scenario.file(), created=False)
    other = scenario.file(scenario.filing({"order_id": 1, "amount_cents": 2}))
    scenario.decide(other.request_id)
    for named in (other.request_id, "0" * 36, "never-was"):
        assert scenario.file(scenario.filing(continues=named)) == own
    assert scenario.file(scenario.filing(continues=own.request_id)) == own
    scenario.withdraw(own.request_id)
    assert scenario.file(scenario.filing(continues=own.request_id)) == own
    assert scenario.file(scenario.filing(continues=other.request_id)).created
    with pytest.raises(ValidationError):
        scenario.filing(continues="../../admin")


async def test_a_rotated_key_still_opens_and_a_strange_one_does_not(served, log):
    keys, a, b, c = served.scenario.keys, "a" * 32, "b" * 32, "c" * 32

    def with_keys(*state_keys):
        settings = GateSettings(served.url, keys["shop"], keys["agent"], state_keys=state_keys, budgets=SHORT)
        return counting_server.create(log, gate=type(served.gate())("shop", settings))

    async with Client(with_keys(), mode=MODERN) as client:
        by_default = (await one_round(client)).request_state
    async with Client(with_keys(a), mode=MODERN) as client:
        by_a = (await one_round(client, state=by_default)).request_state
    async with Client(with_keys(b, a), mode=MODERN) as client:
        by_b = (await one_round(client, state=by_a)).request_state
    async with Client(with_keys(c), mode=MODERN) as client:
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await one_round(client, state=by_b)
    assert len(requests(served)) == 1


@pytest.mark.parametrize("action", ["accept", "decline", "cancel"])
async def test_p6_what_the_clients_user_says_to_the_link_is_no_approval(served, server, log, action):
    shown = []

    async def asked(context, params):
        shown.append(params)
        return ElicitResult(action=action)

    async with Client(server, mode=MODERN, elicitation_callback=asked) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("async_write", CALL))
        row = await served.pending()
        with anyio.fail_after(10):
            result = await call
        assert facts(result)["status"] == "pending"
        assert served.scenario.status(row.id).state == "pending"
        assert lines(log) == []
        assert [(params.mode, params.url) for params in shown] == [("url", f"http://127.0.0.1:8700/requests/{row.id}")]
        call = tasks.create_task(client.call_tool("async_write", CALL))
        await served.decide()
        with anyio.fail_after(10):
            assert text(await call) == "wrote 7"


async def test_a_client_that_shows_forms_only_gets_no_link(served, server, monkeypatch):
    only = ClientCapabilities(elicitation=ElicitationCapability(form=FormElicitationCapability()))
    monkeypatch.setattr(ClientSession, "_build_capabilities", lambda *_: only)
    async with Client(server, mode=MODERN) as client:
        answer = await one_round(client)
    assert answer.input_requests is None


async def test_p2_a_tool_sees_no_answers_that_nobody_has_approved(served):
    server = GatedServer("shop", gate=served.gate(budgets=SHORT))
    seen = []

    @server.tool()
    async def write(order_id: int, context: Context) -> str:
        seen.append((context.input_responses, context.request_state))
        return "done"

    async with Client(server, mode=MODERN) as client:
        smuggled = {"x": ElicitResult(action="accept", content={"order_id": 666})}
        saved = (await one_round(client, "write", input_responses=smuggled)).request_state
        await served.decide()
        await one_round(client, "write", state=saved, input_responses=smuggled)
    assert seen == [(None, None)]


@pytest.mark.filterwarnings("ignore:The roots capability is deprecated")  # older servers use it all the same
@pytest.mark.parametrize("ask", ["elicit", "elicit_url", "roots"])
async def test_p2_an_approved_tool_cannot_ask_its_client_what_to_do(served, ask):
    server = GatedServer("shop", gate=served.gate())
    asked = []

    class Table(BaseModel):
        name: str

    @server.tool()
    async def drop(order_id: int, context: Context) -> str:
        if ask == "elicit":
            return f"dropped {(await context.elicit('Which table?', schema=Table)).data.name}"
        if ask == "elicit_url":
            return f"dropped {(await context.elicit_url('Which table?', 'https://example.com', 'e1')).action}"
        return f"dropped {(await context.session.list_roots()).roots}"

    async def answer(context, params):
        asked.append(params)
        return ElicitResult(action="accept", content={"name": "customers"})

    async def roots(context):
        asked.append("roots")
        return ListRootsResult(roots=[])

    async with (
        Client(server, mode="legacy", elicitation_callback=answer, list_roots_callback=roots) as client,
        asyncio.TaskGroup() as tasks,
    ):
        call = tasks.create_task(client.call_tool("drop", {"order_id": 7}))
        await served.decide()
        result = await call
    assert result.is_error
    assert "Nobody has approved the answer" in text(result)
    assert asked == []


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_p2_an_approved_tool_sees_no_meta_and_no_arguments_but_the_approved(served, mode):
    server = GatedServer("shop", gate=served.gate())
    seen = []

    @server.tool()
    async def drop(order_id: int, context: Context) -> str:
        request = context.request_context
        own = {key for key in request.meta or {} if not key.startswith("io.modelcontextprotocol/")}
        seen.append((own - {"progress_token"}, request.params))
        return "done"

    async with Client(server, mode=mode) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("drop", {"order_id": "7"}, meta={"table": "customers"}))
        await served.decide()
        assert not (await call).is_error
    assert seen == [(set(), {"name": "drop", "arguments": {"order_id": 7}})]


async def test_a_read_keeps_its_own_rounds(served):
    server = GatedServer("shop", gate=served.gate(budgets=SHORT))

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def look(order_id: int, context: Context) -> CallToolResult | InputRequiredResult:
        if context.request_state is None:
            return InputRequiredResult(request_state="page 2")
        return CallToolResult(content=[TextContent(type="text", text=f"{context.request_state}")])

    async with Client(server, mode=MODERN) as client:
        assert text(await client.call_tool("look", CALL)) == "page 2"


@pytest.mark.parametrize(
    "state",
    [
        None,
        "",
        "page 2",
        "approvals:1:short:1",
        "approvals:1:0123456789:-1",
        "approvals:1:0123456789:1234",
        "approvals:1:0123456789:٣",
        "approvals:1:0123456789:1\n",
        "approvals:2:0123456789:1",
        f"approvals:1:{'a' * 65}:1",
        "approvals:1:../../admin:1",
    ],
)
def test_a_state_that_is_none_of_ours_says_nothing(state):
    assert Round.of(state) == Round()
    assert not is_ours(state)


def test_a_state_says_which_request_and_which_round():
    assert Round.of("approvals:1:0123456789:999") == Round(999, "0123456789")
