"""Which arguments a declared path keeps back: what it names, and whatever stands there instead."""

from typing import Annotated, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client
from pydantic import BaseModel, Field

from approvals import Approval, GatedServer
from approvals.errors import Invalid
from approvals.protocol import redaction, secret_paths
from approvals.protocol.canonical import canonical, encode
from approvals.protocol.definitions import checked
from approvals.protocol.registration import ToolDefinition
from approvals.protocol.schema_paths import MOST, SchemaPaths, TooIntricate

PEPPER = b"p" * 32
SECRET = "hunter2hunter2"


class Card(BaseModel):
    number: str
    holder: str = ""
    parts: "list[Card]" = []
    """Cards within cards."""


class Login(BaseModel):
    token: str = Field(alias="accessToken")


def pay(
    card: Card,
    items: list[Card],
    rows: list[list[Card]],
    login: Login,
    pin: str,
    anything: Any,
    headers: dict[str, str],
    loose: dict[str, Any],
    either: Card | int | None = None,
    pair: tuple[Card, int] | None = None,
    wallets: dict[str, Card] | None = None,
    deep: dict[str, list[Card]] | None = None,
) -> str:
    return "paid"


def added(*secret):
    mcp = GatedServer("shop")
    mcp.add_tool(pay, approval=Approval(secret=secret))
    return mcp


def test_p8_a_secret_of_each_value_is_kept_back_under_every_name():
    sent = {"users": {"bob": {"token": "hunter2"}, "$x": {"token": "tr0ub4dor"}, "list": ["odd"], "none": None}}
    kept = secret_paths.kept_back(encode(sent), ("users.*.token", "users.bob.pin"), lambda where, value: where)
    assert kept["users"] == {
        "bob": {"token": "users.bob.token"},
        "$$x": {"token": "users.$x.token"},
        "list": "users.list",
        "none": None,
    }


def test_p8_a_name_of_its_own_does_not_shade_what_is_said_of_each():
    sent = {"users": {"bob": {"token": "hunter2", "pin": "1234"}}}
    paths = ("users.bob.pin", "users.*.token")
    assert secret_paths.kept_back(sent, paths, lambda where, value: "…") == {
        "users": {"bob": {"token": "…", "pin": "…"}}
    }
    assert sorted(secret_paths.declared_at(sent, map(secret_paths.steps_of, paths))) == ["1234", "hunter2"]


@pytest.mark.parametrize(
    "path",
    [
        "pin", "card", "card.number", "card.parts[].parts[].number", "items", "items[]", "items[].number",
        "rows[][].number", "login.accessToken", "anything", "headers.Authorization", "loose.token", "either.number",
        "pair[].number", "wallets.*.number", "wallets.*", "wallets.mine", "headers.*", "deep.*[].number",
    ],
)  # fmt: skip
def test_a_secret_path_that_names_something_is_taken(path):
    assert [tool.secret for tool in added(path).gate.definitions()] == [(path,)]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("pn", "the tool has no 'pn': did you mean 'pin'?"),
        ("card.numbr", "'card' has no 'numbr': did you mean 'number'?"),
        ("login.token", "'login' has no 'token'"),
        ("items.number", "'items' is a list: write items[].number"),
        ("rows[].number", "'rows[]' is a list: write rows[][].number"),
        ("pin.digits", "there is nothing below 'pin'"),
        ("pin[]", "'pin' is no list"),
        ("card[].number", "'card' is no list"),
        ("anything.token", "'anything' may be anything: name 'anything' itself, or give it a type"),
        ("anything[].token", "'anything' is no list"),
        ("loose.token.value", "'loose.token' may be anything"),
        ("headers.Authorization.x", "there is nothing below 'headers.Authorization'"),
        ("either.numbr", "'either' has no 'numbr'"),
        ("wallets.number", "'wallets' has names of its caller's: write wallets.*.number for each of its values"),
        ("deep.number", "write deep.*[].number for each of its values"),
        ("wallets.*.numbr", "'wallets.*' has no 'numbr': did you mean 'number'?"),
        ("card.*", "'card' has no names of its caller's"),
        ("", "the tool has no ''"),
        ("card.", "'card' has no ''"),
    ],
)
def test_p8_a_secret_path_that_names_nothing_is_refused_when_the_tool_is_added(path, words):
    with pytest.raises(ValueError, match="cannot be gated") as refused:
        added(path)
    assert words in str(refused.value)


def test_p5_a_schema_that_cannot_be_followed_in_time_is_refused_and_an_honest_recursive_one_costs_nothing():
    wide = {"anyOf": [{"$ref": f"#/$defs/N{number}"} for number in range(300)]}
    node = {"type": "object", "properties": {"a": {"$ref": "#/$defs/Any"}}}
    definitions = {"Any": wide} | {f"N{number}": node for number in range(300)}
    bomb = SchemaPaths({"properties": {"a": wide}, "$defs": definitions})
    with pytest.raises(TooIntricate):
        bomb.fault("a" + ".a" * 90)
    assert bomb._looked <= MOST + 1
    with pytest.raises(Invalid, match="too intricate"):
        checked(ToolDefinition(name="t", input_schema=bomb._root, secret=("a" + ".a" * 90,)))
    schema = Card.model_json_schema()
    honest = SchemaPaths({"properties": {"card": {"$ref": "#/$defs/Card"}}, "$defs": schema["$defs"]})
    assert honest.fault("card" + ".parts[]" * 20 + ".number") == ""
    assert honest._looked < 150


ODD = st.recursive(
    st.just(SECRET) | st.none() | st.just(2**60) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["token", "card", "$x", "items", "z"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = st.lists(
    st.sampled_from(
        ["token", "card.token", "items[].token", "items[]", "card.items[].card", "$x", "card.$x", "m[][].token"]
    ),
    min_size=1, max_size=4, unique=True,
).map(tuple)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["token", "card", "items", "$x", "m"]), ODD, max_size=4), PATHS)
def test_p8_what_a_gate_keeps_back_is_all_that_the_service_would_miss_and_nothing_beside_the_paths_is_touched(
    arguments, paths
):
    encoded = encode(arguments)
    before = canonical(encoded)
    kept = redaction.leaves(encoded, paths, PEPPER)
    assert list(secret_paths.shown(kept, paths)) == []
    assert canonical(encoded) == before
    tops = {path.split(".")[0].split("[")[0] for path in paths}
    for name, value in encoded.items():
        if (name[1:] if name.startswith("$$") else name) not in tops:
            assert kept[name] == value
    for value in secret_paths.declared_at(arguments, map(secret_paths.steps_of, paths)):
        assert value is not None


@pytest.mark.parametrize(
    "sent",
    [{"token": SECRET}, [{"token": SECRET}], [SECRET], SECRET, {"token": [SECRET]}, {"token": {"x": SECRET}}, 2**70],
    ids=repr,
)
def test_p8_whatever_is_sent_where_a_secret_is_declared_is_kept_back(sent):
    kept = redaction.leaves(encode({"m": sent, "note": "n"}), ("m.token",), PEPPER)
    assert SECRET not in canonical(kept).decode()
    assert str(2**70) not in canonical(kept).decode()
    assert kept["note"] == "n"
    unredacted = list(secret_paths.shown(encode({"m": sent}), ("m.token",)))
    assert unredacted, "and a gate that sends it as it is gets it back"


def test_p8_a_secret_whose_name_begins_with_a_dollar_is_kept_back():
    kept = redaction.leaves(encode({"$token": SECRET}), ("$token",), PEPPER)
    assert SECRET not in canonical(kept).decode()


class Wallet(BaseModel):
    token: str = ""


async def test_p8_a_list_where_an_object_was_declared_secret_does_not_leave_the_gate(served):
    mcp = GatedServer("shop", gate=served.gate())

    @mcp.tool(approval=Approval(secret=["m.token"]))
    def store(m: Annotated[Wallet | list[str] | str, Field(union_mode="left_to_right")]) -> str:
        return "stored"

    for sent in ([SECRET, "x"], SECRET, {"token": SECRET}):
        async with Client(mcp) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "store", {"m": sent})
            row = await served.pending()
            assert SECRET not in row.arguments + row.summary
            await served.decide("deny", comment="no")


def test_paths_cost_one_walk_together_however_many_they_are():
    paths = tuple(f"items[].name{number}" for number in range(200))
    arguments = encode({"items": [{"other": number} for number in range(2000)]})
    walked = []

    class Counted(secret_paths._Walk):
        def through(self, value, branch, where):
            walked.append(where)
            return super().through(value, branch, where)

    Counted(lambda where, value: value, encoded=True).through(
        arguments, [secret_paths.tree(tuple(map(secret_paths.steps_of, paths)))], ""
    )
    assert len(walked) == 2 + 2000
