"""Nothing declared secret leaves the gate: what a real gate sends to the service, looked at before it is sent."""

import asyncio
import base64
import hashlib
import html
import itertools
import json
import re
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, quote_plus

import anyio
import markupsafe
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, Implementation, TextContent, ToolAnnotations
from pydantic import AfterValidator, AliasChoices, AliasPath, BaseModel, ConfigDict, Field

from approvals import Approval, GatedServer
from approvals.errors import Invalid
from approvals.gate.masking import Mask
from approvals.protocol.canonical import encode
from approvals.protocol.definitions import checked
from approvals.protocol.messages import ClientInfo, Filing, Outcome
from approvals.protocol.redaction import told
from approvals.protocol.registration import ToolDefinition
from approvals.protocol.secret_text import Declared

pytestmark = pytest.mark.databases("one")

SECRET = ("password", "card.number", "codes[]", "accounts[].token", "env")
KEY = "mcpa_0123456789ab_" + "x" * 43


def refuses(value: str) -> str:
    if "refuse" in value:
        raise ValueError(f"{value!r} is too weak")
    return value


NOT_OF_THE_SECRET = {"date", "datetime", "tzinfo", "TzInfo"}


class Card(BaseModel):
    number: Annotated[str, AfterValidator(refuses)]
    holder: str = "Ann"


class Account(BaseModel):
    token: Annotated[str, AfterValidator(str.strip)]
    name: str = "main"


class Strict(BaseModel):
    only: int


WRITERS = {
    "plain": lambda text: f"cannot use {text} here",
    "upper": lambda text: f"cannot use {text.upper()} here",
    "repr": lambda text: f"cannot use {text!r} here",
    "bytes": lambda text: f"cannot use {text.encode()!r} here",
    "json": lambda text: json.dumps({"error": {"got": text}}),
    "json in json": lambda text: json.dumps({"body": json.dumps({"got": text})}),
    "url": lambda text: f"GET https://api.example/login?p={quote(text, safe='')} gave 401",
    "form": lambda text: f"user=ann&p={quote_plus(text)}&x=1",
    "html": lambda text: f"<td>{html.escape(text)}</td>",
    "html of Jinja": lambda text: f"<td>{markupsafe.escape(text)}</td>",
    "html of templates": lambda text: f"<td>{html.escape(text).replace('&#x27;', '&#39;')}</td>",
    "json of PHP": lambda text: json.dumps([text]).replace("/", "\\/"),
    "basic": lambda text: f"tried {base64.b64encode(f'ann:{text}'.encode()).decode()}",
    "base64": lambda text: f"tried {base64.urlsafe_b64encode(text.encode()).decode()}",
    "sql": lambda text: "SET p = '" + text.replace("'", "''") + "'",
    "csv": lambda text: '1,"' + text.replace('"', '""') + '"',
    "shell": lambda text: "login '" + text.replace("'", "'\\''") + "'",
    "ascii": lambda text: f"got {text!a}",
    "url twice": lambda text: f"https://api.example/?next={quote(quote(text, safe=''), safe='')}",
    "hex": lambda text: f"tried {text.encode().hex()}",
    "cut": lambda text: f"bad value {text[:14]}... ({len(text)} characters)",
    "end": lambda text: f"bad value ...{text[-14:]}",
}
ACTS = [*(f"raise {name}" for name in WRITERS), *(f"give {name}" for name in WRITERS), "structure", "model", "refuse"]


@dataclass
class Watch:
    """All that a gate sends."""

    bodies: list[str]

    def over(self, gate: Any) -> None:
        """From now on."""
        http = gate.session._client._http
        headers_for = http._with

        def noted(body: bytes) -> Any:
            self.bodies.append(body.decode())
            return headers_for(body)

        http._with = noted

    def said(self) -> str:
        """As it was sent, and with its texts as they read."""
        return "\n".join((*self.bodies, *(text for body in self.bodies if body for text in texts(json.loads(body)))))


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *texts(item))]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [str(value)]


def bank(gate: Any) -> GatedServer:
    """A server whose tool says all it knows, in every way."""
    mcp = GatedServer("shop", gate=gate)

    def log_in(
        act: str,
        password: Annotated[str, AfterValidator(refuses)],
        card: Card,
        codes: list[Annotated[str, AfterValidator(refuses)]],
        accounts: list[Account],
        env: dict[str, str],
        pin: int = 0,
        number: int = 0,
    ) -> CallToolResult:
        secrets = [password, card.number, *codes, *(account.token for account in accounts), *env.values()]
        verb, _, how = act.partition(" ")
        if verb == "model":
            Strict.model_validate({"only": secrets[0]})
        if verb == "structure":
            return CallToolResult(content=[], structured_content={"seen": secrets, "pin": pin})
        words = "\n".join(map(WRITERS[how], secrets)) + f"\npin {pin}"
        if verb == "raise":
            raise ToolError(words)
        return CallToolResult(content=[TextContent(type="text", text=words)])

    approval = Approval(secret=[*SECRET, "pin"])
    mcp.add_tool(log_in, name="write", approval=approval)
    mcp.add_tool(log_in, name="read", annotations=ToolAnnotations(read_only_hint=True), approval=approval)
    return mcp


numbers = st.integers(0, 10**9).map(lambda number: hashlib.sha256(str(number).encode()).hexdigest())
secrets = st.builds(
    lambda unique, more: f"{unique[:20]}{more}",
    numbers,
    st.text(st.sampled_from("aZ09 \n\t\"'\\/+&%<>é€😀{}[]:="), max_size=30),
).filter(lambda text: text == text.strip())


@st.composite
def calls(draw: Any) -> dict[str, Any]:
    arguments = {
        "act": draw(st.sampled_from(ACTS)),
        "password": draw(secrets),
        "card": {"number": draw(secrets)},
        "codes": draw(st.lists(secrets, max_size=2)),
        "accounts": [{"token": draw(secrets)} for _ in range(draw(st.integers(0, 2)))],
        "env": {"REGION": draw(secrets)},
        "pin": int(draw(numbers)[:12], 16) + 10**12,
    }
    if arguments["act"] == "refuse":
        arguments["card"]["number"] += " refuse"
        arguments["password"] += "refuse"
    if draw(st.booleans()):
        arguments["approval_reason"] = f"log in with {arguments['password']}"
    if draw(st.booleans()):
        arguments["card"] = json.dumps(arguments["card"])
    return arguments


def planted(arguments: dict[str, Any]) -> list[str]:
    card = arguments["card"]
    number = (json.loads(card) if isinstance(card, str) else card)["number"]
    listed = [*arguments["codes"], *(account["token"] for account in arguments["accounts"])]
    return [arguments["password"], number, *listed, *arguments["env"].values(), str(arguments["pin"])]


def traces(secret: str) -> set[str]:
    """What would give it away: its ends, in every way of writing."""
    forms = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe=""), secret.encode().hex()}
    forms |= {base64.b64encode(bytes(n) + secret.encode()).decode()[4:-4] for n in range(3)}
    return {end.lower() for form in forms if len(form) >= 12 for end in (form[:14], form[-14:])}


async def test_p8_no_text_of_a_declared_leaf_is_in_anything_that_the_gate_sends(served):
    mcp, watch = bank(served.gate()), Watch([])
    async with Client(mcp) as agent:
        watch.over(mcp.gate)

        async def act(tool: str, arguments: dict[str, Any]) -> None:
            async with asyncio.TaskGroup() as tasks:
                call = tasks.create_task(agent.call_tool(tool, arguments))
                if tool == "write" and arguments["act"] != "refuse":
                    await served.decide()
                with anyio.fail_after(20):
                    await call
            await mcp.gate.session._recorder.flush()

        each = itertools.count()

        @settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.sampled_from(["read", "write"]), calls())
        def every(tool: str, arguments: dict[str, Any]) -> None:
            watch.bodies.clear()
            anyio.from_thread.run(act, tool, arguments | {"number": next(each)})
            said = watch.said().lower()
            assert len(said) > 100
            for secret in planted(arguments):
                assert not [trace for trace in traces(secret) if trace in said]

        await anyio.to_thread.run_sync(every)


async def test_p8_what_a_validator_says_of_a_secret_is_on_record_without_its_words_and_told_to_its_sender(served):
    mcp, watch = bank(served.gate()), Watch([])
    arguments = {"act": "give plain", "password": "refuse this hunter2", "card": {"number": "1"}, "codes": []}
    async with Client(mcp) as agent:
        watch.over(mcp.gate)
        answer = await agent.call_tool("write", arguments | {"accounts": [], "env": {}})
        await mcp.gate.session._recorder.flush()
    assert "too weak" in answer.content[0].text
    assert "password: value_error" in watch.said()
    assert "hunter2" not in watch.said()
    assert "too weak" not in watch.said()


class Named(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    token: Annotated[str, Field(alias="Token")]


def aliased(gate: Any) -> GatedServer:
    """A server whose secrets have several names."""
    mcp = GatedServer("shop", gate=gate)

    def log_in(
        password: Annotated[
            str, AfterValidator(refuses), Field(validation_alias=AliasChoices("password", "pass.word", "pwd"))
        ] = "",
        pin: Annotated[str, AfterValidator(refuses), Field(validation_alias=AliasPath("codes", 0, "pin"))] = "",
        account: Named | None = None,
        nested: list[list[Annotated[str, AfterValidator(refuses)]]] = [],  # noqa: B006
    ) -> str:
        return "in"

    mcp.add_tool(log_in, name="write", approval=Approval(secret=["password", "pin", "account.Token", "nested[][]"]))
    return mcp


@pytest.mark.parametrize(
    "arguments",
    [
        *({name: "refuse hunter2hunter2"} for name in ("password", "pass.word", "pwd")),
        {"codes": [{"pin": "refuse hunter2hunter2"}]},
        {"account": {"token": "refuse hunter2hunter2"}, "pwd": "refuse"},
        {"account": {"Token": "refuse hunter2hunter2"}, "undeclared": 1},
        {"nested": [["refuse hunter2hunter2"]]},
    ],
)
async def test_p8_a_secret_is_one_under_every_name_that_its_tool_takes(served, arguments):
    mcp, watch = aliased(served.gate()), Watch([])
    words = {"approval_reason": "with refuse hunter2hunter2"}
    async with Client(mcp) as agent:
        watch.over(mcp.gate)
        with anyio.fail_after(20):
            answer = await agent.call_tool("write", arguments | words)
        await mcp.gate.session._recorder.flush()
    assert answer.is_error
    assert "refused" in watch.said()
    assert "hunter2" not in watch.said()


async def test_p8_words_of_a_caller_are_masked_that_repeat_a_secret_under_another_name(served):
    mcp = aliased(served.gate())
    arguments = {"account": {"token": "swordfish one"}, "approval_reason": "it says swordfish one"}
    async with Client(mcp) as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("write", arguments))
        row = await served.pending()
        await served.decide()
        with anyio.fail_after(10):
            await call
    assert "swordfish" not in str(dict(row))


@pytest.mark.parametrize(
    "secret, written",
    [
        ("1979-05-17", "datetime.date(1979, 5, 17)"),
        ("1979-05-17", "17.05.1979"),
        ("1979-05-17", "17 May 1979"),
        ("1979-05-17T04:05:06Z", "1979-05-17 04:05:06+00:00"),
        ("1979-05-17T04:05:06Z", "datetime.datetime(1979, 5, 17, 4, 5, 6, tzinfo=TzInfo(0))"),
        (1234567, "1,234,567"),
        (1234567, "1.234.567,00"),
        (98765.5, "98,765.50"),
        ("1234567.50", "1234567.5"),
        ("1234567.50", "1 234 567.50"),
        ("pässwört-geheim", "pa\u0308sswo\u0308rt-geheim"),
        ("pa\u0308sswo\u0308rt-geheim", "pässwört-geheim"),
        ("pässwört-geheim", "p&#228;ssw&#246;rt-geheim"),
        ("pässwört-geheim", "p&#xe4;ssw&#xf6;rt-geheim"),
        ("a secret", "61:20:73:65:63:72:65:74"),
        ("a secret", "[97, 32, 115, 101, 99, 114, 101, 116]"),
    ],
)
def test_p8_a_mask_hides_a_number_a_day_or_accents_as_a_tool_writes_them(secret, written):
    """The gate knows what was sent as JSON; the tool holds a value that it writes in its own way."""
    mask = Mask(("password",), ({"password": secret},))
    words = f"set it to {written} now"
    told = mask.message(Outcome, claim_id="claim-0001", outcome="failed", error=words).message.error
    left = re.findall(r"[^\W_]{2,}", told.removeprefix("set it to").removesuffix("now"))
    assert [part for part in left if part in written and part not in NOT_OF_THE_SECRET] == []


@given(st.sampled_from(list(WRITERS)), secrets, st.text(max_size=60), st.text(max_size=60))
def test_p8_a_mask_hides_a_secret_however_it_is_written_and_whatever_stands_around_it(writer, secret, before, after):
    mask = Mask(("password",), ({"password": secret},))
    words = f"{before} {WRITERS[writer](secret)} {after}"
    told = mask.message(Outcome, claim_id="claim-0001", outcome="failed", error=words).message
    assert not [trace for trace in traces(secret) if trace in told.error.lower()]


@given(secrets, st.integers(-60, 60), st.sampled_from([" ", "x", "x "]))
def test_p8_a_cut_leaves_no_part_of_a_secret_behind(secret, shift, filler):
    begin = 4 * 200 + shift
    words = (filler * 1000)[:begin] + secret + filler * 300
    shown, _ = told(words, 200, Declared([secret]))
    assert len(shown) <= 200
    assert not [i for i in range(len(secret) - 11) if secret[i : i + 12] in shown]
    dense = f"{KEY} " * 17  # masked it is far shorter, so that what was cut comes within the cap
    shown, _ = told((dense + "y" * 800)[: begin - 90] + " " + secret[:90], 200, Declared([secret]))
    assert not [i for i in range(len(secret) - 11) if secret[i : i + 12] in shown]


@pytest.mark.parametrize(
    ("secret", "words", "shown"),
    [
        ("1042", "pin 1042 is wrong", "pin [4 characters hidden] is wrong"),
        (1042, "pin 1042, then 910423", "pin [4 characters hidden], then 9[4 characters hidden]3"),
        ("042", "pin 042 of order 10423", "pin [3 characters hidden] of order 10423"),
        ("7", "pin 7", "pin 7"),
        (True, "it is True", "it is True"),
        ("4111111111111111", "card 4111 1111 1111 1111", "card [19 characters hidden]"),
        ("DE89 3704 0044", "no account DE8937040044", "no account [12 characters hidden]"),
        ("hunter2", "HUNTER2 or hunter2?", "[7 characters hidden] or [7 characters hidden]?"),
        ("pässwörd", "PÄSSWÖRD or Pässwörd?", "[8 characters hidden] or [8 characters hidden]?"),
        ("straße", "STRASSE", "[7 characters hidden]"),
        ("Οδός", "ΟΔΌΣ", "[4 characters hidden]"),
        ("hunter'2", "<b>hunter&#39;2</b> hunter&#x27;2", "<b>[12 characters hidden]</b> [13 characters hidden]"),
    ],
)
def test_p8_a_short_secret_is_hidden_where_it_could_be_nothing_else(secret, words, shown):
    mask = Mask(("pin",), ({"pin": secret},))
    assert mask.message(Outcome, claim_id="claim-0001", outcome="failed", error=words).message.error == shown


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("card.number", {"card": '{"number": "hunter2hunter2"}'}),
        ("card.number", {"card": "hunter2hunter2"}),
        ("card.number", {"card": ["hunter2hunter2"]}),
        ("cards[].number", {"cards": {"number": "hunter2hunter2"}}),
        ("card", {"card": {"deep": [{"er": "hunter2hunter2"}]}}),
        ("card", {"card": ("x" * 300_000) + "hunter2hunter2" + ("y" * 300_000)}),
    ],
)
def test_p8_a_secret_in_another_shape_than_declared_is_hidden_all_the_same(path, arguments):
    told = Mask((path,), (arguments,)).message(
        Outcome, claim_id="claim-0001", outcome="failed", error=f"found {'x' * 200}hunter2hunter2{'y' * 200}"
    )
    assert "hunter2hunter2" not in told.message.error


@pytest.mark.parametrize("place", ["reason", "name", "on_behalf_of", "agent_session", "value", "key", "deep key"])
async def test_p8_a_credential_anywhere_in_a_call_is_masked_and_counted(served, place):
    mcp = GatedServer("shop", gate=served.gate())

    @mcp.tool()
    def label(order_id: int, labels: dict[str, Any] = {}) -> str:  # noqa: B006
        return "done"

    arguments: dict[str, Any] = {"order_id": 1}
    arguments |= {"approval_reason": f"with {KEY}"} if place == "reason" else {}
    arguments |= {"labels": {"a": [KEY]}} if place == "value" else {}
    arguments |= {"labels": {KEY: 1}} if place == "key" else {}
    arguments |= {"labels": {"a": [{"b": {KEY: {"c": 1}}}]}} if place == "deep key" else {}
    meta: Any = {f"mcp-approvals/{name}": KEY for name in ("on_behalf_of", "session") if name in place}
    info = {"name": f"robot {KEY}" if place == "name" else "robot", "version": "1"}
    async with Client(mcp, client_info=Implementation(**info)) as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("label", arguments, meta=meta or None))
        row = await served.pending()
        await served.decide()
        with anyio.fail_after(10):
            await call
    assert row.hidden >= len(KEY)
    assert "xxxxxx" not in str(dict(row))


@pytest.mark.parametrize("secret", [KEY, "hunter2!"])
@pytest.mark.parametrize("before", [0, 60, 70, 90, 94, 1_980, 250_000])
async def test_p8_a_name_that_no_argument_has_is_masked_before_it_is_cut(served, secret, before):
    mcp, watch = bank(served.gate()), Watch([])
    arguments = {"act": "give plain", "password": secret, "card": {"number": "1"}, "codes": [], "accounts": []}
    async with Client(mcp) as agent:
        watch.over(mcp.gate)
        undeclared = {"x" * before + f" {secret} it is": 1}
        answer = await agent.call_tool("write", arguments | {"env": {}} | undeclared)
        await mcp.gate.session._recorder.flush()
    assert "The tool has no argument" in watch.said()
    assert secret[:7] not in watch.said()
    assert len(answer.content[0].text) < 2_200


@pytest.mark.parametrize("shift", range(40))
@pytest.mark.parametrize(
    "words", ["redis://u:WINSEC(ret,of;ours[1]@db/x", "PASSWORD: 'WINSEC(ret,of;ours'", "hunter2 WINSEC, it is"]
)
def test_p8_a_credential_at_the_end_of_what_is_looked_at_shows_no_part(words, shift):
    before = f"-----BEGIN PRIVATE KEY-----{'Q' * 7_000}-----END PRIVATE KEY----- "  # masked it leaves room for the rest
    before += "y " * ((8_000 - len(before) - shift) // 2)
    shown, _ = told(f"{before}{words} {'z ' * 3_000}", 2_000, Declared(["hunter2 WINSEC, it is"]))
    assert "WINSEC" not in shown
    assert "hunter2" not in shown


SCHEMAS = {
    "default": {"default": "Hunter2Hunter2"},
    "examples": {"examples": ["Hunter2Hunter2"]},
    "enum": {"enum": ["Hunter2Hunter2", "x"]},
    "const": {"const": "Hunter2Hunter2"},
}


@pytest.mark.parametrize("stated", list(SCHEMAS))
@pytest.mark.parametrize("depth", range(4))
def test_p8_a_tool_whose_schema_states_a_secret_cannot_be_gated(stated, depth):
    schema, path, value = SCHEMAS[stated] | {"type": "string"}, "token", "Hunter2Hunter2"
    schema = {"type": "object", "properties": {"token": schema}}
    if depth == 1:
        schema = {"properties": {"all": {"$ref": "#/$defs/One"}}, "$defs": {"One": schema}}
        path = "all.token"
    if depth == 2:
        schema = {"properties": {"all": {"anyOf": [{"type": "array", "items": schema}, {"type": "null"}]}}}
        path = "all[].token"
    if depth == 3:  # with the object that it is in
        whole = {"default": {"token": value}} if stated == "default" else {stated: [{"token": value}]}
        whole = {"const": {"token": value}} if stated == "const" else whole
        schema = {"properties": {"all": {"properties": {"token": {"type": "string"}}} | whole}}
        path = "all.token"
    with pytest.raises(Invalid, match="states a value of its secret"):
        checked(ToolDefinition(name="x", input_schema=schema, secret=(path,)))


def test_p8_a_default_of_a_secret_is_refused_when_its_tool_is_added():
    def log_in(code: str = "DefaultHunter2Secret") -> str:
        return "in"

    def leave(password: str | None = None, pin: str = "", code: int = 0) -> str:
        return "out"

    mcp = GatedServer("shop")
    mcp.add_tool(leave, approval=Approval(secret=["password", "pin", "code"]))
    with pytest.raises(ValueError, match="leave out its default"):
        mcp.add_tool(log_in, approval=Approval(secret=["code"]))


@pytest.mark.parametrize("key", ["SECk34", "k1", "x y", "[1]"])
def test_p8_a_key_of_a_declared_object_is_as_secret_as_its_value(key):
    mask = Mask(("d",), ({"d": {key: "v", "deep": [{key: 1}]}},))
    words = mask.message(Outcome, claim_id="claim-0001", outcome="failed", error=f"about {key} only").message.error
    assert words == f"about [{len(key)} characters hidden] only"


@pytest.mark.parametrize("sent", ["password", "recipient", "amount_cents"])
async def test_p2_the_name_of_an_argument_sent_as_a_secret_hides_nothing_of_the_call(served, sent):
    mcp = GatedServer("shop", gate=served.gate())

    @mcp.tool(approval=Approval(secret=["password"]))
    def transfer(recipient: str, amount_cents: int, password: str) -> str:
        return "done"

    arguments = {"recipient": "Ann", "amount_cents": 5_000, "password": sent}
    async with Client(mcp) as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("transfer", arguments))
        row = await served.pending()
        await served.decide()
        with anyio.fail_after(10):
            await call
    shown = json.loads(row.arguments)
    assert (shown["recipient"], shown["amount_cents"]) == ("Ann", 5_000)
    assert shown["password"].keys() == {"$redacted", "length"}
    assert row.hidden == 0


def test_p8_what_is_hidden_is_counted_once_and_as_it_reads():
    mask = Mask(("password",), ({"password": "hunter2hunter2"},))
    arguments = {"password": "hunter2hunter2", "hunter2hunter2": 1.0}
    shown, hidden = mask.arguments(encode(arguments), b"p" * 32)
    assert shown["length"] == len(json.dumps(arguments, separators=(",", ":"))) - len('""')
    assert hidden == shown["length"] - len("hunter2hunter2")


@pytest.mark.parametrize("value", [0.0, -2.0, 1.5, 2**60, 7, True, "ab", ["ab", 1.0], {"a": {"b": 1.0}, "$x": "é"}])
def test_p2_a_stand_in_says_how_many_characters_stand_there(value):
    mask = Mask(("value",), ({"value": value},))
    shown, hidden = mask.arguments(encode({"value": value}), b"p" * 32)
    written = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    assert shown["value"]["length"] == len(written)
    assert hidden == 0


def test_p8_a_client_name_that_is_cut_shows_no_half_of_a_credential():
    client = ClientInfo.model_construct(name="x " * 92 + KEY, version="", protocol="", transport="")
    named = {"session": "session-0001", "call_id": "call-0001", "tool": "x", "tool_hash": "0" * 64}
    told = Mask().message(Filing, **named, arguments={}, client=client).message
    assert "mcpa_0" not in told.client.name
    assert len(told.client.name) <= 200
    assert told.hidden == len(KEY)
