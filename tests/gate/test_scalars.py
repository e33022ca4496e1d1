"""The quick way of a call that nobody has to approve: what it records and runs is what the whole way would."""

import enum
import json
from dataclasses import replace
from typing import Annotated, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import AfterValidator, BeforeValidator, Field

from approvals import Approval, GatedServer
from approvals.clock import boot_clock
from approvals.gate import agents, lease, recorder, scalars
from approvals.gate.arguments import effective
from approvals.gate.lease import VerdictLease
from approvals.gate.masking import NO_SECRETS
from approvals.gate.session import Session
from approvals.protocol.canonical import canonical, encode

READS = ToolAnnotations(read_only_hint=True)


class Color(enum.StrEnum):
    RED = "red"


def plain(order: int, note: str = "none", limit: int | None = None, deep: bool = False, share: float = 0.5) -> str:
    return ""


def bounded(
    order: Annotated[int, Field(ge=0)], note: Annotated[str, Field(max_length=40)] = "", more: str | None = None
):
    return ""


def changing(order: Annotated[int, AfterValidator(lambda n: n + 1)], note: str = "") -> str:
    return ""


def trimming(note: Annotated[str, BeforeValidator(lambda value: str(value).strip())], order: int = 0) -> str:
    return ""


def chosen(note: Literal["a", "b"] = "a", order: Color = Color.RED, either: int | str = 1) -> str:
    return ""


def nested(order: list[int], note: dict[str, str] | None = None) -> str:
    return ""


def made(order: int, note: str = Field(default_factory=lambda: "made")) -> str:
    return ""


def renamed(
    order: Annotated[int, Field(alias="orderId")], note: Annotated[str, Field(validation_alias="n")] = ""
) -> str:
    return ""


def anything(order, note=None) -> str:
    return ""


TOOLS = {fn.__name__: fn for fn in (plain, bounded, changing, trimming, chosen, nested, made, renamed, anything)}
SERVER = MCPServer("tools")
for written_tool in TOOLS.values():
    SERVER.add_tool(written_tool, structured_output=False)

TEXTS = st.text(max_size=12) | st.sampled_from(
    ["5", "null", "true", '"a"', "[1]", "a", "red", "ghp_" + "a" * 36, "AKIAABCDEFGHIJKLMNOP", "password=hunter22"]
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**54), 2**54) | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    LEAVES, lambda some: st.lists(some, max_size=2) | st.dictionaries(TEXTS, some, max_size=2), max_leaves=4
)
NAMES = st.sampled_from(["order", "note", "limit", "deep", "share", "more", "either", "orderId", "n", "other"])


@given(st.sampled_from(sorted(TOOLS)), st.dictionaries(NAMES, VALUES, max_size=4))
@example("plain", {"order": 1})
@example("plain", {"order": 1, "note": "x", "limit": None, "deep": True})
@example("plain", {"order": 1, "share": 1})
@example("plain", {"order": 2**53})
@example("plain", {"order": "5"})
@example("bounded", {"order": 1, "more": "null"})
@example("plain", {"order": 1, "note": "\N{LATIN SMALL LETTER E WITH ACUTE}"})
@example("plain", {"order": 1, "note": "ghp_" + "a" * 36})
def test_p8_what_the_quick_way_puts_on_record_and_runs_is_what_the_whole_way_does(name, arguments):
    tool = SERVER._tool_manager.get_tool(name)
    text = scalars.written(tool.fn_metadata.arg_model, arguments)
    if text is None:
        return
    read = effective(tool, arguments)  # raises nothing
    shown, hidden = NO_SECRETS.arguments(encode(read.shown), b"pepper")
    assert (canonical(shown).decode(), hidden) == (text, 0)
    runs = tool.fn_metadata.validate_arguments(arguments)
    assert [(key, type(value), value) for key, value in runs.items()] == [
        (key, type(value), value) for key, value in read.values.items()
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("plain", {"order": 1}, None),  # its default is a float
        ("bounded", {"order": 1}, '{"more":null,"note":"","order":1}'),
        ("bounded", {"order": 1, "note": 'a "b" \\ c'}, '{"more":null,"note":"a \\"b\\" \\\\ c","order":1}'),
        ("bounded", {"order": -1}, None),
        ("bounded", {"order": 1, "other": 1}, None),
        ("bounded", {"order": 1, "more": "x"}, None),  # MCPServer looks whether it is JSON
        ("bounded", {"order": 1, "note": "ghp_" + "a" * 36}, None),
        ("changing", {"order": 1}, None),
        ("trimming", {"note": "x"}, None),
        ("made", {"order": 1}, None),
        ("renamed", {"orderId": 1}, None),
        ("nested", {"order": [1]}, None),
        ("chosen", {}, None),
        ("anything", {"order": 1}, None),
    ],
)
def test_the_quick_way_is_for_scalars_that_pydantic_alone_reads(name, arguments, text):
    assert scalars.written(SERVER._tool_manager.get_tool(name).fn_metadata.arg_model, arguments) == text


CALLS = [
    ("look", {"order": 7}, True),
    ("look", {"order": 7, "note": "a"}, True),
    ("look", {"order": "7"}, False),
    ("look", {"order": "seven"}, False),
    ("look", {"order": 7, "other": 1}, False),
    ("look", {"order": 7, "approval_reason": "why"}, False),
    ("fail", {"order": 7}, True),
    ("crash", {"order": 7}, True),
    ("unlock", {"pin": "483211"}, False),
]
"""Calls, and whether they go the quick way."""


def reading(gate) -> GatedServer:
    mcp = GatedServer("shop", gate=gate)

    @mcp.tool(annotations=READS)
    def look(order: int, note: str = "") -> str:
        return f"order {order}{note}"

    @mcp.tool(annotations=READS)
    async def fail(order: int) -> str:
        raise ToolError(f"no order {order}")

    @mcp.tool(annotations=READS)
    async def crash(order: int) -> str:
        raise KeyError(order)

    @mcp.tool(annotations=READS, approval=Approval(secret=["pin"]))
    async def unlock(pin: str) -> str:
        raise ToolError(f"wrong pin {pin}")

    return mcp


async def answers(gate) -> list[str]:
    async with Client(reading(gate)) as client:
        await client.call_tool("look", {"order": 1})  # from now on the gate knows all that it has to
        return [(await client.call_tool(name, arguments)).model_dump_json() for name, arguments, _ in CALLS]


def records(served) -> list[dict[str, object]]:
    connection = served.scenario.service.database.connect()
    rows = connection.execute(
        "SELECT body FROM audit_payload JOIN audit_event USING (payload_hash) WHERE kind = 'calls.recorded' ORDER BY id"
    ).fetchall()
    connection.close()
    return [
        {name: value for name, value in call.items() if name not in {"ago", "duration_ms"}}
        for (body,) in rows
        for call in json.loads(body)["calls"]
    ]


@pytest.mark.databases("one")
async def test_p8_both_ways_give_the_same_answers_and_the_same_records(served, monkeypatch):
    quick = []
    run = Session.read

    async def counted(self, tool, act, agent, arguments):
        quick.append((tool, json.loads(arguments)["order"]))
        return await run(self, tool, act, agent, arguments)

    monkeypatch.setattr(Session, "read", counted)
    told = await answers(served.gate())
    assert quick == [(name, arguments["order"]) for name, arguments, is_quick in CALLS if is_quick]
    kept = records(served)
    monkeypatch.setattr(scalars, "written", lambda model, arguments: None)
    assert await answers(served.gate()) == told
    assert records(served)[len(kept) :] == kept
    assert [call["target"] for call in kept if call["method"] == "tools/call"] == [
        "look",
        *(name for name, *_ in CALLS),
    ]
    assert "483211" not in str(kept)


@pytest.mark.databases("one")
async def test_p1_the_quick_way_ends_with_what_the_gate_knows(served, monkeypatch):
    """A verdict that ran out, an agent's answer that did, other tools than were registered, and a full record."""
    gate = served.gate()
    mcp = reading(gate)
    async with Client(mcp) as client:
        await client.call_tool("look", {"order": 1})
        session, key = gate.session, gate.settings.agent_key
        assert session.lets_read("look", key) == "scout"
        assert session.lets_read("look", "mcpa_another") is None
        assert session.lets_read("look", None) == ""
        assert session.lets_read("unlock", key) is None
        assert session.lets_read("nothing", key) is None
        with monkeypatch.context() as patch:
            patch.setattr(lease, "boot_clock", lambda: boot_clock() + 60)
            assert session.lets_read("look", key) is None
        with monkeypatch.context() as patch:
            patch.setattr(agents, "boot_clock", lambda: boot_clock() + 60)
            assert session.lets_read("look", key) is None
        with monkeypatch.context() as patch:
            patch.setattr(recorder, "MAX_UNREPORTED", 0)
            assert session.lets_read("look", key) is None
        mcp.remove_tool("fail")
        assert session.lets_read("look", key) is None


@pytest.mark.databases("one")
async def test_p1_a_server_for_an_audience_and_a_key_of_some_tools_are_asked_about(served, monkeypatch):
    gate = served.gate()
    async with Client(reading(gate)) as client:
        await client.call_tool("look", {"order": 1})
        session, key = gate.session, gate.settings.agent_key
        with monkeypatch.context() as patch:
            patch.setattr(VerdictLease, "audience", "ops")
            assert session.lets_read("look", None) is None
        known = session._agents._known
        for name, agent in known.items():
            known[name] = replace(agent, tools=("refund_*",))
        assert session.lets_read("look", key) is None
        for name, agent in known.items():
            known[name] = replace(agent, tools=("refund_*", "loo?"))
        assert session.lets_read("look", key) == "scout"
