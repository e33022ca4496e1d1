"""Arguments of a call that waits, against the JSON Schema that somebody else wrote."""

import json

import pytest

from approvals.errors import Invalid
from approvals_server.proxy.arguments import SchemaArguments


def of(**schema):
    return {"type": "object", "properties": {"a": schema}}


def test_what_fits_goes_on_and_what_does_not_is_named():
    SchemaArguments(of(type="string"), {"a": "x"}).settle()
    with pytest.raises(Invalid, match=r"a: 1 is not of type 'string'"):
        SchemaArguments(of(type="string"), {"a": 1}).settle()


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (of(type="any"), 1),
        (of(type=["string", "file"]), 1),
        (of(multipleOf=0), 1),
        (of(multipleOf=0.01), 10**400),
        (of(minimum="5"), 1),
        (of(pattern="(?<x"), "x"),
        (of(**{"$ref": "#/$defs/Missing"}), 1),
        (of(**{"$ref": "http://127.0.0.1:9/x"}), 1),
        ({"$ref": "#"}, 1),
    ],
)
def test_p7_a_schema_that_cannot_be_evaluated_is_an_honest_refusal(schema, value):
    with pytest.raises(Invalid, match="cannot be evaluated") as caught:
        SchemaArguments(schema, {"a": value}).settle()
    assert "author" in caught.value.hint


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
