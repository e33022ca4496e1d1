"""Arguments of a call that waits, against the JSON Schema that somebody else wrote."""

import json

import anyio
import pytest

from approvals.errors import Invalid
from approvals.gate import approval_arguments
from approvals_server.proxy import schemas
from approvals_server.proxy.arguments import SchemaArguments


def of(**schema):
    return {"type": "object", "properties": {"a": schema}}


async def test_what_fits_goes_on_and_what_does_not_is_named():
    await SchemaArguments(of(type="string"), {"a": "x"}).check()
    with pytest.raises(Invalid, match=r"a: 1 is not of type 'string'"):
        await SchemaArguments(of(type="string"), {"a": 1}).check()


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (of(type="any"), 1),
        (of(type=["string", "file"]), 1),
        (of(multipleOf=0), 1),
        (of(multipleOf=0.01), 10**400),
        (of(minimum="5"), 1),
        ({"type": "object", "patternProperties": {"(?<x>": {}}}, 1),
        (of(**{"$ref": "#/$defs/Missing"}), 1),
        (of(**{"$ref": "http://127.0.0.1:9/x"}), 1),
        ({"$ref": "#"}, 1),
    ],
)
async def test_p7_a_schema_that_cannot_be_evaluated_is_an_honest_refusal(schema, value):
    with pytest.raises(Invalid, match="cannot be evaluated") as caught:
        await SchemaArguments(schema, {"a": value}).check()
    assert "author" in caught.value.hint


@pytest.mark.parametrize("pattern", ["(?<year>[0-9]{4})", "\\p{L}+", "[[a-z]&&[b]]\\p{N}"])
async def test_a_pattern_of_javascripts_is_left_to_the_upstream(pattern):
    await SchemaArguments(of(type="string", pattern=pattern), {"a": "x"}).check()
    with pytest.raises(Invalid, match="not of type"):
        await SchemaArguments(of(type="string", pattern=pattern), {"a": 5}).check()


async def test_a_pattern_that_is_one_here_too_is_checked():
    with pytest.raises(Invalid, match="does not match"):
        await SchemaArguments(of(type="string", pattern="^[0-9]+$"), {"a": "x"}).check()


async def test_p8_a_call_that_its_schema_breaks_is_answered_and_on_record(proxied):
    async with proxied.wire() as wire:
        await wire.shake_hands()
        params = {"name": "any_note", "arguments": {"name": "a"}}
        await wire.say(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode())
        answer = (await wire.hear(1))["result"]
    assert answer["isError"]
    assert "cannot be evaluated" in answer["content"][0]["text"]
    assert proxied.did == []
    bodies = "SELECT body FROM audit_payload JOIN audit_event USING (payload_hash) WHERE kind = 'calls.recorded'"
    recorded = [call for (body,) in proxied.served.scenario.rows(bodies) for call in json.loads(body)["calls"]]
    assert ("any_note", "refused") in [(call["target"], call["outcome"]) for call in recorded]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (of(pattern=r"^(\w+\s?)*$"), "a" * 40 + "!"),
        (of(uniqueItems=True, items={"type": "object"}), [{"i": i} for i in range(20_000)]),
        (
            {"$defs": {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(30)} | {"d30": {}}}
            | {"$ref": "#/$defs/d0"},
            1,
        ),
    ],
    ids=["pattern", "unique", "references"],
)
async def test_p5_a_check_that_takes_too_long_is_stopped_while_the_proxy_goes_on(schema, value, monkeypatch):
    monkeypatch.setattr(schemas, "SECONDS", 2.0)
    turns = 0

    async def go_on():
        nonlocal turns
        while True:
            turns += 1
            await anyio.sleep(0.01)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go_on)
            with pytest.raises(Invalid, match="takes over 2 seconds"):
                await SchemaArguments(schema, {"a": value}).check()
            tasks.cancel_scope.cancel()
    assert turns > 20


async def test_what_is_checked_apart_is_judged_alike():
    reference = {"$defs": {"a": {"type": "string", "pattern": "^x"}}} | of(**{"$ref": "#/$defs/a"})
    await SchemaArguments(reference, {"a": "xy"}).check()
    with pytest.raises(Invalid, match="a: 'y' does not match"):
        await SchemaArguments(reference, {"a": "y"}).check()


@pytest.mark.parametrize("root", [{"$ref": "#/$defs/I"}, {"allOf": [{"$ref": "#/$defs/I"}]}])
def test_p2_a_tools_own_approval_reason_is_its_argument_wherever_its_schema_declares_it(root):
    schema = root | {"$defs": {"I": {"type": "object", "properties": {"approval_reason": {"type": "string"}}}}}
    words, own = approval_arguments.split(schema, {"approval_reason": "mine", "approval_repeat": "none"})
    assert own == {"approval_reason": "mine"}
    assert "approval_reason" not in words
    assert list(approval_arguments.added_to(schema)["properties"]) == ["approval_repeat"]
