"""Arguments that a schema itself calls secret."""

import pytest

from approvals.errors import Invalid
from approvals.protocol.definitions import checked
from approvals.protocol.registration import ToolDefinition
from approvals_server.proxy.catalogue import definitions_of
from approvals_server.proxy.rules.rule import NO_RULES, Rules
from approvals_server.proxy.rules.secrets import secrets_of

PASSWORD = {"type": "string", "format": "password"}
HIDDEN = {"type": "string", "writeOnly": True}


def of(**properties):
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "paths"),
    [
        (of(name={"type": "string"}), ()),
        (of(name={"type": "string"}, password=PASSWORD), ("password",)),
        (of(card=of(number=HIDDEN)), ("card.number",)),
        (of(items={"type": "array", "items": of(token=HIDDEN)}), ("items[].token",)),
        (of(users={"type": "object", "additionalProperties": of(token=HIDDEN)}), ("users.*.token",)),
        (of(key={"anyOf": [{"type": "null"}, PASSWORD]}), ("key",)),
        ({**of(key={"$ref": "#/$defs/Key"}), "$defs": {"Key": HIDDEN}}, ("key",)),
        (of(card=of(**{"num.ber": HIDDEN})), ("card",)),
        (of(**{"pass.word": HIDDEN}), ("(secrets)",)),
    ],
)
def test_they_are_found_wherever_they_stand(schema, paths):
    assert secrets_of(schema) == paths


@pytest.mark.parametrize(
    "schema", [of(**{"pass.word": HIDDEN}), of(password={**PASSWORD, "default": "hunter2hunter2"})]
)
def test_p8_a_tool_whose_secret_cannot_be_kept_back_cannot_be_gated(schema):
    with pytest.raises(Invalid):
        checked(ToolDefinition(name="a", input_schema=schema, secret=secrets_of(schema)))


def test_the_owners_and_the_schemas_are_kept_back_together():
    tools = [{"name": "a", "inputSchema": of(password=PASSWORD, note={"type": "string"})}]
    ruled = Rules.model_validate({"tools": {"a": {"secret": ["note"]}}})
    assert definitions_of(tools, NO_RULES)["a"].secret == ("password",)
    assert definitions_of(tools, ruled)["a"].secret == ("note", "password")
