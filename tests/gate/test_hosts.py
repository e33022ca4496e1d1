"""Answers are put so that each host shows them to its model, whatever the tool's output schema (P7)."""

from typing import Annotated, Any, Literal

import anyio
import pytest
from jsonschema.validators import validator_for
from mcp import Client
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, ConfigDict, StringConstraints

from approvals import Budgets, GatedServer
from approvals.gate import answers, hosts
from approvals.policy.loader import read
from approvals.protocol.messages import RequestStatus
from approvals.protocol.states import State
from support.answer_table import facts

pytestmark = pytest.mark.databases("one")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    amount: int


class Node(BaseModel):
    children: "list[Node]" = []


class Taken(BaseModel):
    approval_replayed: bool = False


Key = Annotated[str, StringConstraints(max_length=3)]
KINDS: dict[str, tuple[Any, Any]] = {
    "text": (str, "done"),
    "list": (list[int], [1, 2]),
    "strict": (Strict, Strict(amount=5)),
    "mapping": (dict[str, int], {"a": 1}),
    "recursive": (Node, Node(children=[Node()])),
    "union": (Strict | Node, Strict(amount=1)),
    "closed keys": (dict[Literal["a", "b"], int], {"a": 1}),
    "short keys": (dict[Key, int], {"a": 1}),
    "taken": (Taken, Taken()),
    "none": (CallToolResult, CallToolResult(content=[TextContent(type="text", text="as it is")])),
    "loose": (CallToolResult, CallToolResult(content=[], structured_content={"n": 1})),
}
UNMARKED = {"taken", "none"}
"""Where there is no place for the words, or no structure: the text alone says it."""


ENDED = RequestStatus(
    id="r",
    server="shop",
    tool="write",
    tool_hash="0" * 64,
    state=State.SUCCEEDED,
    digest="0" * 64,
    content_version=1,
    summary="write()",
    review_url="http://here/requests/r",
    finished_ago=3.0,
)


def server_with(served, kind):
    """A tool that answers so, and one of the same kind that fails."""
    server = GatedServer("shop", gate=served.gate(budgets=Budgets(plain=0.05)))
    annotation, value = KINDS[kind]

    async def write(order_id: int):
        return value

    async def fail(order_id: int):
        raise ToolError("the carrier is closed")

    for function in (write, fail):
        function.__annotations__["return"] = annotation
        server.tool()(function)
    return server


async def asked_and_approved(served, client, tool):
    pending = await client.call_tool(tool, {"order_id": 7})
    await served.decide()
    return pending, await client.call_tool(tool, {"order_id": 7}), await client.call_tool(tool, {"order_id": 7})


def fits(result, schema):
    return schema is None or validator_for(schema)(schema).is_valid(result.structured_content)


def text(result):
    return "\n".join(block.text for block in result.content)


@pytest.mark.parametrize("kind", KINDS)
async def test_p7_every_answer_of_every_kind_of_tool_fits_the_listed_schema_and_says_all_in_its_text(served, kind):
    with anyio.fail_after(20):
        async with Client(server_with(served, kind), mode="legacy") as client:
            schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
            pending, first, again = await asked_and_approved(served, client, "write")
            _, failed, failed_again = await asked_and_approved(served, client, "fail")
    for result in (pending, first, again, failed, failed_again):
        structured = result.structured_content
        assert structured is None or fits(result, schemas["write"]), structured
        assert not result.is_error or (structured is None) is (schemas["write"] is not None)
    assert text(again).startswith("[replayed]")
    assert facts(first) == {}
    assert facts(again)["executed"] is True
    marked = (again.structured_content or {}).get(hosts.REPLAYED)
    assert marked is False if kind == "taken" else (marked is None) is (kind in UNMARKED)
    assert {name: value for name, value in (again.structured_content or {}).items() if value is not marked} == {
        name: value for name, value in (first.structured_content or {}).items() if value is not False
    }


@pytest.mark.parametrize("tool", ["write", "fail"])
async def test_p7_who_reads_only_the_structure_reads_every_word(served, tool):
    async with Client(server_with(served, "none"), mode="legacy") as client:
        pending, first, again = await asked_and_approved(served, client, tool)
        looked = await client.call_tool("get_approval", {"request_id": facts(pending)["request_id"]})
    for result in (pending, looked, *((first, again) if tool == "fail" else ())):
        assert result.structured_content == facts(result) | {"message": text(result)}
    if tool == "fail":
        assert "the carrier is closed" in first.structured_content["message"]
        assert "[replayed]" in again.structured_content["message"]


async def test_p7_a_tools_own_structured_error_is_kept_and_has_the_facts_beside_it(served):
    server = GatedServer("shop", gate=served.gate(budgets=Budgets(plain=0.05)))
    own = CallToolResult(
        content=[TextContent(type="text", text="closed")], structured_content={"code": 7}, is_error=True
    )

    @server.tool()
    async def write(order_id: int) -> CallToolResult:
        return own

    async with Client(server, mode="legacy") as client:
        _, first, again = await asked_and_approved(served, client, "write")
    assert (first.structured_content, first.content[:-1]) == (own.structured_content, own.content)
    assert facts(first)["status"] == "failed"
    assert again.structured_content == {hosts.REPLAYED: again.content[0].text, "code": 7}


def test_what_is_listed_is_the_tools_schema_with_places_for_the_words_of_a_replay_and_an_edit():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    assert hosts.listed(None) is None
    assert hosts.listed({"type": "array"}) == {"type": "array"}
    more = hosts.listed(schema)
    assert list(more["properties"]) == ["n", hosts.REPLAYED, hosts.EDITED]
    assert hosts.REPLAYED not in schema["properties"]
    assert hosts.listed(more) == more


@pytest.mark.parametrize(
    "more",
    [
        {"maxProperties": 1},
        {"propertyNames": {"enum": ["a"]}},
        {"patternProperties": {"^app": {"type": "integer"}}},
        {"not": {"required": [hosts.REPLAYED]}},
        {"$ref": "#/$defs/Own", "$defs": {"Own": {"additionalProperties": False}}},
        {"type": ["object", "null"], "additionalProperties": False},
        {"properties": {hosts.REPLAYED: {"type": "integer"}}},
    ],
    ids=lambda more: next(iter(more)),
)
def test_p7_words_that_the_schema_may_have_no_room_for_stand_in_the_text_alone(more):
    again = answers.replayed(CallToolResult(content=[], structured_content={"a": 1}), ENDED)
    open_one = {"type": "object"}
    assert hosts.REPLAYED in hosts.shown(again, open_one).structured_content
    assert hosts.shown(again, open_one | more).structured_content == {"a": 1}
    assert "3 seconds ago" in text(hosts.shown(again, open_one | more))


@pytest.mark.parametrize(
    "own", [{"type": "any"}, {"pattern": r"^(\w+\s?)*$"}, {"$ref": "http://127.0.0.1:9/x"}, {"minimum": "5"}]
)
def test_p5_a_replay_evaluates_nothing_of_an_upstreams_output_schema(own):
    stored = CallToolResult(content=[], structured_content={"a": "a" * 40 + "!"})
    again = hosts.shown(answers.replayed(stored, ENDED), {"type": "object", "properties": {"a": own}})
    assert "3 seconds ago" in again.structured_content[hosts.REPLAYED]


def test_p7_a_replay_of_a_bare_result_without_a_schema_shows_its_content_alone():
    stored = CallToolResult(content=[TextContent(type="text", text="done")])
    again = hosts.shown(answers.replayed(stored, ENDED), None)
    assert again.structured_content is None
    assert "3 seconds ago" in text(again)


ASK = "version: 1\ndefaults: {action: require_approval}\nrules: []\n"


async def test_p7_a_read_that_people_are_asked_about_is_listed_with_a_place_for_the_words_too(served):
    served.scenario.service.policy.present = read(ASK)
    server = GatedServer("shop", gate=served.gate(budgets=Budgets(plain=0.05)))

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def write(order_id: int) -> Strict:
        return Strict(amount=5)

    async with Client(server, mode="legacy") as client:
        await client.list_tools()  # then it holds results against what was listed
        _, _, again = await asked_and_approved(served, client, "write")
    assert again.structured_content == {hosts.REPLAYED: again.content[0].text, "amount": 5}
