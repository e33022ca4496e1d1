"""What a gate serves is taken down in parts, each tool for itself, at a cost that grows with the bytes alone."""

import asyncio

import anyio
import pytest
from mcp import Client
from mcp_types import ToolAnnotations

from approvals import Approval, GatedServer
from approvals.errors import Invalid, TooMany
from approvals.gate import enrolment
from approvals.protocol import canonical, definitions
from approvals.protocol.limits import MAX_BODY
from approvals.protocol.registration import Registration, ToolDefinition
from approvals.service.tools import registrations

ODD = {
    "a long description": {"description": "x" * 20_001},
    "a long name": {"name": "x" * 129},
    "a control character in the name": {"name": "x\ny"},
    "half a surrogate pair": {"description": "\ud800"},
    "half a surrogate pair in the schema": {"input_schema": {"properties": {"\ud800": {}}}},
    "a long title": {"title": "x" * 501},
    "a summary that names nothing": {"summary": "Refund {order}"},
    "a summary that breaks its line": {"summary": "Refund\nnothing"},
    "a long summary": {"summary": "x" * 501},
    "a secret that names nothing": {"secret": ("pin",)},
    "too many secrets": {"secret": ("order_id",) * 201},
    "a schema of more than 256 kB": {"output_schema": {"description": "x" * 262_144}},
}


def deep(levels):
    schema = {}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


ODD["a schema that nests deeper than 32 levels"] = {"input_schema": deep(20)}


@pytest.mark.parametrize("odd", ODD)
def test_p7_one_odd_tool_is_refused_alone_and_by_name(scenario, odd):
    strange = scenario.tool(**{"name": "strange"} | ODD[odd])
    answer = scenario.register(scenario.tool(), strange, scenario.tool(name="look", summary=None))
    assert set(answer.tools) == {"refund_order", "look"}
    assert set(answer.refused) == {strange.name}
    assert answer.refused[strange.name]
    assert scenario.row(scenario.file().request_id).state == "pending"


def test_a_tool_that_is_odd_from_now_on_is_no_more_served_and_the_others_are(scenario):
    scenario.register(scenario.tool(), scenario.tool(name="look", summary=None))
    answer = scenario.register(scenario.tool(description="x" * 20_001), scenario.tool(name="look", summary=None))
    assert set(answer.tools) == {"look"}


def test_p4_a_registration_in_parts_loses_nothing_on_the_way(scenario):
    tools = [scenario.tool(name=f"tool{number}") for number in range(4)]
    filed = scenario.file()
    scenario.decide(filed.request_id)
    first = Registration(session=scenario.session, tools=tuple(tools[:2]), complete=False)
    scenario.take(first, scenario.installation())
    assert scenario.claim(filed.request_id) is None, "until the last part it serves what it served before"
    again = first.model_copy(update={"tools": (tools[2], scenario.tool()), "complete": True})
    assert set(scenario.take(again, scenario.installation()).tools) == {"tool0", "tool1", "tool2", "refund_order"}
    assert set(scenario.register(tools[3]).tools) == {"tool3"}


def test_a_name_given_twice_is_refused_in_whatever_parts_it_comes(scenario):
    with pytest.raises(Invalid, match="registered twice"):
        scenario.register(scenario.tool(), scenario.tool(title="again"))
    first = Registration(session=scenario.session, tools=(scenario.tool(),), complete=False)
    scenario.take(first, scenario.installation())
    with pytest.raises(Invalid, match="registered twice"):
        scenario.take(first.model_copy(update={"complete": True}), scenario.installation())


@pytest.mark.parametrize("limit", ["MAX_TOOLS", "MAX_SERVED"])
def test_p5_what_one_process_serves_is_bounded(scenario, monkeypatch, limit):
    monkeypatch.setattr(registrations, limit, 1)
    with pytest.raises(Invalid, match="at most"):
        scenario.register()


@pytest.mark.parametrize("limit", ["MAX_TOOLS", "MAX_SERVED"])
def test_p5_an_installation_brings_so_many_new_definitions_a_minute_and_known_ones_cost_nothing(
    scenario, monkeypatch, limit
):
    scenario.clock.forward(61)
    known, look = scenario.tool(), scenario.tool(name="look", summary=None)
    most = {"MAX_TOOLS": 3, "MAX_SERVED": 3 * definitions.checked(known).size + 200}[limit]
    monkeypatch.setattr(registrations, limit, most)
    for number in range(3):
        scenario.register(scenario.tool(title=f"Version {number}"))
    scenario.clock.forward(20)
    with pytest.raises(TooMany, match=r"defines too many tools anew: .* new tool definitions a minute") as refused:
        scenario.register(scenario.tool(title="Version 3"))
    assert 40 <= refused.value.extra["retry_after_seconds"] <= 41
    assert not scenario.rows("SELECT name FROM tool_definition WHERE body LIKE '%Version 3%'")
    for number in range(20):
        scenario.register(known, session=f"session-of-process-{number}")
        scenario.register(scenario.tool(title="Version 1"), session=f"session-of-process-{number}")
    scenario.add_server("mine", "laptop")
    scenario.register(
        scenario.tool(title="Version 3"),
        session="another-installation",
        installation=scenario.installation("mine", "laptop"),
    )
    scenario.clock.forward(41)
    assert scenario.register(scenario.tool(title="Version 3"), look).tools.keys() == {"refund_order", "look"}


@pytest.mark.parametrize("kind", ["names", "descriptions", "references", "alternatives", "secrets"])
def test_p5_registering_costs_steps_in_proportion_to_bytes_whatever_the_shape(monkeypatch, kind):
    """Steps, not seconds: every value that is encoded, and every place of a schema that is looked at."""
    steps = []
    encode, places = canonical._encode, definitions.SchemaPaths.places
    monkeypatch.setattr(canonical, "_encode", lambda *given: steps.append(0) or encode(*given))
    monkeypatch.setattr(
        definitions.SchemaPaths, "places", lambda self, at: (steps.append(0) or each for each in places(self, at))
    )

    def cost(size):
        steps.clear()
        definition = SHAPES[kind](size)
        found = definitions.checked(definition)
        return len(steps) / found.size

    small, large = cost(20), cost(200)
    assert large < 2 * small + 0.05


def references(size):
    node = {"type": "object", "properties": {f"p{number}": {"$ref": "#/$defs/N"} for number in range(size)}}
    return {"properties": {"root": {"$ref": "#/$defs/N"}}, "$defs": {"N": node}}


def alternatives(size):
    each = [{"type": "object", "properties": {f"p{number}": {"type": "string"}}} for number in range(size)]
    return {"properties": {"root": {"anyOf": each}}}


SHAPES = {
    "names": lambda size: ToolDefinition(name="t", input_schema={"properties": {f"n{n}": {} for n in range(size)}}),
    "descriptions": lambda size: ToolDefinition(name="t", input_schema={"description": "x" * size * 50}),
    "references": lambda size: ToolDefinition(
        name="t", input_schema=references(size), secret=("root.p0.p1.p2",), summary="{root.p0.p1}"
    ),
    "alternatives": lambda size: ToolDefinition(name="t", input_schema=alternatives(size), secret=("root.p1",)),
    "secrets": lambda size: ToolDefinition(
        name="t", input_schema=references(size), secret=tuple(f"root.p{number}.p1" for number in range(size))
    ),
}


async def test_p5_a_schema_bomb_is_registered_and_filed_against_like_any_other(served):
    bomb = references(100)
    for number in range(20):
        bomb["$defs"][f"N{number}"] = bomb["$defs"]["N"]
    definition = {"name": "tree", "input_schema": bomb}
    body = {"session": "session-bomb", "tools": [definition]}
    async with served.client() as gate:
        answer = await gate.put("/servers/shop/tools", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["tools"]["tree"]["verdict"] == "ask"


async def test_p7_more_tools_than_a_part_and_more_bytes_than_a_body_are_gated(served, monkeypatch):
    monkeypatch.setattr(enrolment, "PART_TOOLS", 9)
    mcp = GatedServer("shop", gate=served.gate())
    for number in range(60):
        mcp.add_tool(write, name=f"write{number}", description="x" * 18_000)
    assert sum(len(one.description) for one in mcp.gate.definitions()) > MAX_BODY
    async with Client(mcp) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, "write59", {"text": "hello"})
        row = await served.pending()
        assert row.tool == "write59"
        await served.decide("deny", comment="no")
    (count,) = served.scenario.rows("SELECT count(*) FROM session_tool WHERE name LIKE 'write%'")
    assert count == (60,)


def write(text: str) -> str:
    return text


@pytest.mark.parametrize(
    "options",
    [
        {"description": "x" * 20_001},
        {"name": "x" * 129},
        {"description": "\ud800"},
        {"title": "x" * 501},
        {"approval": Approval(summary="{txt}")},
        {"approval": Approval(summary="two\nlines")},
    ],
    ids=lambda options: str(options)[:40],
)
def test_an_odd_tool_is_refused_when_it_is_added_in_words_for_its_author(options):
    mcp = GatedServer("shop")
    with pytest.raises(ValueError, match="cannot be gated: its "):
        mcp.add_tool(write, **{"name": "write"} | options)
    assert mcp.gate.definitions() == ()


async def test_p7_a_tool_that_became_odd_is_refused_alone_and_nobody_blames_the_agent(served):
    mcp = GatedServer("shop", gate=served.gate())
    mcp.add_tool(write, name="odd")
    mcp.add_tool(write, name="even", annotations=ToolAnnotations(read_only_hint=True))
    mcp._tool_manager.get_tool("odd").description = "x" * 20_001
    mcp._definitions = None
    async with Client(mcp) as client:
        assert (await client.call_tool("even", {"text": "hello"})).content[0].text == "hello"
        refused = await client.call_tool("odd", {"text": "hello"})
    words = refused.content[0].text
    assert refused.is_error
    assert "this tool is refused here. It cannot be gated as its author wrote it: its description has" in words
    assert "Do not call it again" in words


def test_parts_fit_a_body_whatever_is_in_them():
    wide = [ToolDefinition(name=f"t{number}", input_schema={}, description="漢" * 20_000) for number in range(40)]
    tools, _ = enrolment._examined(wide)
    for part in enrolment._parts(tools):
        body = Registration(session="session-0001", tools=tuple(tool.definition for tool in part)).model_dump_json()
        assert len(body.encode()) < MAX_BODY


async def test_p5_a_large_registration_leaves_the_writer_to_others_in_between(served, monkeypatch):
    monkeypatch.setattr(registrations, "AT_ONCE", 3)
    scenario, taken = served.scenario, []
    take = scenario.service.registrations.take
    monkeypatch.setattr(
        scenario.service.registrations, "take", lambda tx, *args, **more: taken.append(take(tx, *args, **more))
    )
    tools = tuple(scenario.tool(name=f"tool{number}") for number in range(7))
    told = Registration(session=scenario.session, tools=tools)
    first, second = told, Registration(session=scenario.session, tools=tools[:4])
    service, at = scenario.service, scenario.installation()
    answers = await asyncio.gather(service.register(at, first), service.register(at, second))
    assert [len(answer.tools) for answer in answers] in ([7, 4], [4, 4])
    assert len(taken) == 5
    assert set((await service.leased(at, scenario.session)).tools) == {tool.name for tool in tools[:4]}
