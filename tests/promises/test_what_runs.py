"""What runs is what was shown: signatures that read, change, make up and hide their arguments in every way."""

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import pytest
from mcp import Client
from mcp.server.mcpserver import Context
from mcp_types import ToolAnnotations
from pydantic import (
    AfterValidator,
    AliasChoices,
    Base64Bytes,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    StringConstraints,
    computed_field,
    field_serializer,
    model_validator,
)
from typing_extensions import TypedDict

from approvals import Approval, Budgets, Gate, GatedServer
from approvals.gate.client import ServiceClient
from approvals.policy.model import Action, DefaultPolicy
from approvals.protocol.registration import Verdict
from support.answer_table import facts

pytestmark = pytest.mark.databases("one")

ERAS = ["legacy", "2026-07-28"]
_count = itertools.count(1)
_clock = itertools.count(1_800_000_000, 60)


def text(result) -> str:
    return "\n".join(block.text for block in result.content)


class Allowed(DefaultPolicy):
    """Everything is allowed, and filed."""

    def judge(self, call):
        return replace(super().judge(call), action=Action.ALLOW)


class Colour(Enum):
    RED = "red"


class Aliased(BaseModel):
    """Reads one name, writes another."""

    model_config = ConfigDict(extra="forbid")
    card: str = Field(validation_alias="cardNumber", serialization_alias="card_no")
    holder: str = Field("", validation_alias=AliasChoices("holder", "owner"))


class Computing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    cents: int

    @computed_field
    def dollars(self) -> float:
        return self.cents / 100


class Writing(BaseModel):
    """Writes other than it reads."""

    at: datetime
    cents: Annotated[int, PlainSerializer(lambda cents: "***")]
    note: str = Field(exclude=True)

    @field_serializer("at")
    def date_only(self, value: datetime) -> str:
        return "some day"


class Stamped(BaseModel):
    """Says when it was read, unless that was said."""

    what: str
    at: int = 0

    @model_validator(mode="after")
    def stamp(self) -> "Stamped":
        self.at = self.at or next(_clock)
        return self


class Patch(BaseModel):
    name: str | None = None
    email: str | None = None


@dataclass
class Parcel:
    sku: str
    marks: list[str] = field(default_factory=list)


class Window(TypedDict, total=False):
    since: date
    until: date


class Odd:
    """A server of odd tools, each of which says what it got."""

    def __init__(self, gate: Gate) -> None:
        self.got: list[Any] = []
        self.mcp = GatedServer("shop", gate=gate)
        got = self.got.append

        @self.mcp.tool()
        def delete_rows(where: Annotated[str, StringConstraints(to_lower=True)] | None = None) -> str:
            got(where)
            return "deleted ALL ROWS" if where is None else f"deleted rows where {where}"

        @self.mcp.tool()
        def tag(tags: Annotated[list[str] | str, AfterValidator(json.dumps)] = "") -> str:
            got(tags)
            return tags

        @self.mcp.tool()
        def pay(cents: int, key: str = Field(default_factory=lambda: uuid.uuid4().hex)) -> str:
            got((cents, key))
            return f"paid {cents}"

        @self.mcp.tool()
        def note(note: Stamped) -> str:
            got((note.what, note.at))
            return f"noted at {note.at}"

        @self.mcp.tool()
        def label(labels: set[str], order: frozenset[int] = frozenset()) -> str:
            got((labels, order))
            return "labelled"

        @self.mcp.tool()
        def count_up(number: Annotated[int, AfterValidator(lambda n: n + 1)]) -> int:
            got(number)
            return number

        @self.mcp.tool()
        def split(words: Annotated[list[str], BeforeValidator(lambda words: words.split(","))]) -> str:
            got(words)
            return " ".join(words)

        @self.mcp.tool()
        def charge(card: Aliased) -> str:
            got((card.card, card.holder))
            return "charged"

        @self.mcp.tool()
        def compute(amount: Computing) -> str:
            got(amount.dollars)
            return "computed"

        @self.mcp.tool()
        def write(entry: Writing) -> str:
            got((entry.at.isoformat(), entry.cents, entry.note))
            return "written"

        @self.mcp.tool()
        def limit(most: int = None, colour: Colour = "red", days: list[int] = (1,)) -> str:  # noqa: RUF013
            got((most, colour, days))
            return "limited"

        @self.mcp.tool()
        def upload(data: Base64Bytes, meta: dict[str, Json[list[int]]]) -> str:
            got((data, meta))
            return "uploaded"

        @self.mcp.tool()
        def patch(change: Patch) -> str:
            got(change.model_dump(exclude_unset=True))
            return "patched"

        @self.mcp.tool()
        def send(parcel: Parcel, window: Window, context: Context) -> str:
            got((parcel, window, context.request_id is not None))
            return "sent"

        @self.mcp.tool()
        def bill(amount: Decimal | Literal["1"]) -> str:
            got(amount)
            return type(amount).__name__

        @self.mcp.tool()
        def paint(what: Colour | Path) -> str:
            got(what)
            return type(what).__name__

        @self.mcp.tool()
        def restless(number: Annotated[int, AfterValidator(lambda n: n + next(_count))]) -> str:
            got(number)
            return "moved"


@pytest.fixture
def odd(served):
    return Odd(served.gate())


def calls(served) -> list[tuple[str, str]]:
    return served.scenario.rows("SELECT arguments, state FROM request ORDER BY id")


async def run(served, odd, tool, arguments, era="2026-07-28"):
    """Call it, and approve it; what was shown and its result."""
    async with Client(odd.mcp, mode=era) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool(tool, arguments))
        row = await served.decide()
        with anyio.fail_after(10):
            return json.loads(row.arguments), await call


@pytest.mark.parametrize("era", ERAS)
async def test_p2_a_text_that_validation_made_is_not_parsed_again(served, odd, era):
    shown, result = await run(served, odd, "delete_rows", {"where": "NULL"}, era)
    assert shown == {"where": "null"}
    assert text(result) == "deleted rows where null"
    assert odd.got == ["null"]


async def test_p2_json_that_a_validator_wrote_stays_text(served, odd):
    shown, result = await run(served, odd, "tag", {"tags": '["a"]'})
    assert shown == {"tags": '["a"]'}
    assert (text(result), odd.got) == ('["a"]', ['["a"]'])


WORK = [
    ("count_up", {"number": 1}, {"number": 2}, 2),
    ("split", {"words": "a,b"}, {"words": ["a", "b"]}, ["a", "b"]),
    ("charge", {"card": {"cardNumber": "4", "owner": "x"}}, {"card": {"cardNumber": "4", "holder": "x"}}, ("4", "x")),
    ("compute", {"amount": {"cents": 150}}, {"amount": {"cents": 150}}, 1.5),
    (
        "write",
        {"entry": {"at": "2026-01-01T10:00:00Z", "cents": 5, "note": "n"}},
        {"entry": {"at": "2026-01-01T10:00:00Z", "cents": 5, "note": "n"}},
        ("2026-01-01T10:00:00+00:00", 5, "n"),
    ),
    ("limit", {}, {"most": None, "colour": "red", "days": [1]}, (None, "red", (1,))),
    ("limit", {"colour": "red"}, {"most": None, "colour": "red", "days": [1]}, (None, Colour.RED, (1,))),
    (
        "upload",
        {"data": "/w==", "meta": {"a": "[1]"}},
        {"data": "base64:/w==", "meta": {"a": [1]}},
        (b"\xff", {"a": [1]}),
    ),
    ("patch", {"change": {"name": "x"}}, {"change": {"name": "x", "email": None}}, {"name": "x"}),
    (
        "send",
        {"parcel": {"sku": "a"}, "window": {"since": "2026-01-01"}},
        {"parcel": {"sku": "a", "marks": []}, "window": {"since": "2026-01-01"}},
        (Parcel("a"), {"since": date(2026, 1, 1)}, True),
    ),
]


@pytest.mark.parametrize(
    ("tool", "arguments", "shown", "got"), WORK, ids=[f"{number} {case[0]}" for number, case in enumerate(WORK)]
)
async def test_p2_a_model_that_cannot_read_its_own_json_is_shown_as_it_is_read(
    served, odd, tool, arguments, shown, got
):
    card, result = await run(served, odd, tool, arguments)
    assert not result.is_error, text(result)
    assert (card, odd.got) == (shown, [got])


async def test_p2_validators_that_never_come_to_rest_ask_nobody_and_blame_their_author(served, odd):
    async with Client(odd.mcp) as client:
        result = await client.call_tool("restless", {"number": 1})
    assert facts(result)["status"] == "invalid"
    assert "author" in text(result)
    assert calls(served) == odd.got == []


SAME = [
    ("pay", [{"cents": 5}, {"cents": "5"}, {"cents": 5.0}]),
    ("note", [{"note": {"what": "x"}}, {"note": '{"what": "x"}'}]),
    ("label", [{"labels": list(order)} for order in itertools.permutations("abc")]),
]


@pytest.mark.parametrize(("tool", "spellings"), SAME, ids=[case[0] for case in SAME])
async def test_p3_what_a_call_makes_by_itself_does_not_make_it_another_call(served, odd, tool, spellings):
    served.scenario.service.policy.present = Allowed()
    async with Client(odd.mcp) as client:
        answers = [await client.call_tool(tool, arguments) for arguments in spellings]
    assert len(odd.got) == len(calls(served)) == 1
    assert [text(answer).startswith("[replayed]") for answer in answers] == [False, *[True] * (len(spellings) - 1)]


APART = [
    ("bill", [{"amount": 1}, {"amount": "1"}], ["Decimal", "str"]),
    ("paint", [{"what": "red"}, {"what": "./red"}], ["Colour", "PosixPath"]),
]


@pytest.mark.parametrize(("tool", "spellings", "kinds"), APART, ids=[case[0] for case in APART])
async def test_p2_calls_that_are_read_as_two_things_are_two_requests(served, odd, tool, spellings, kinds):
    served.scenario.service.policy.present = Allowed()
    async with Client(odd.mcp) as client:
        for _ in range(2):
            answers = [await client.call_tool(tool, arguments) for arguments in spellings]
    assert [type(value).__name__ for value in odd.got] == kinds
    assert len(calls(served)) == 2
    assert [text(answer).partition("\n")[0].startswith("[replayed]") for answer in answers] == [True, True]


@pytest.mark.parametrize(("tool", "arguments"), [("pay", {"cents": 5}), ("note", {"note": {"what": "x"}})])
@pytest.mark.parametrize("restarted", [False, True], ids=["in one process", "after a restart"])
async def test_p2_the_repeat_of_an_approved_call_runs_what_was_approved(served, tool, arguments, restarted):
    odd = Odd(served.gate(budgets=Budgets(plain=0.05)))
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(odd.mcp))
        pending = await client.call_tool(tool, arguments)
        assert facts(pending)["status"] == "pending"
        row = await served.decide()
        if restarted:
            odd = Odd(served.gate())
            await stack.aclose()
            client = await stack.enter_async_context(Client(odd.mcp))
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, text(result)
    assert [row.id] == [request_id for (request_id,) in served.scenario.rows("SELECT id FROM request")]
    (got,) = odd.got
    assert set(map(str, got)) <= set(map(str, _leaves(json.loads(row.arguments))))


def _leaves(value):
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [value]


async def test_p2_identical_calls_at_once_run_the_one_value_that_was_shown(served, odd):
    async with Client(odd.mcp) as client, asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(client.call_tool("pay", {"cents": 7})) for _ in range(5)]
        row = await served.decide()
        with anyio.fail_after(20):
            answers = [await call for call in waiting]
    assert odd.got == [(7, json.loads(row.arguments)["key"])]
    assert {text(answer).split("\n")[-1] for answer in answers} == {"paid 7"}


async def test_p2_what_was_approved_of_another_call_never_runs_for_this_one(served, monkeypatch):
    """As if the service took one call for another."""
    odd, file = Odd(served.gate(budgets=Budgets(plain=0.05))), ServiceClient.file

    async def confused(self, filing):
        return await file(self, replace(filing, message=filing.message.model_copy(update={"said": "0" * 64})))

    monkeypatch.setattr(ServiceClient, "file", confused)
    async with Client(odd.mcp) as client:
        await client.call_tool("pay", {"cents": 5})
        row = await served.decide()
        result = await client.call_tool("pay", {"cents": 6})
    assert result.is_error
    assert "no call that says this" in text(result)
    assert odd.got == []
    assert served.scenario.row(row.id).state == "not_executed"


def bad_tools():
    class Keyed(TypedDict):
        token: Annotated[str, Field(alias="Token")]

    def forgets(entry: Keyed) -> str:
        return ""

    def reads_once(numbers: Iterable[int]) -> str:
        return ""

    def short(key: Annotated[str, Field(max_length=8)]) -> str:
        return ""

    return [
        (forgets, Approval(), "alias"),
        (reads_once, Approval(), "list"),
        (short, Approval(idempotency="key"), "UUID"),
    ]


@pytest.mark.parametrize(("tool", "approval", "words"), bad_tools(), ids=[tool.__name__ for tool, _, _ in bad_tools()])
def test_p2_what_cannot_be_shown_is_refused_when_the_tool_is_added(tool, approval, words):
    mcp = GatedServer("shop", gate=Gate("shop"))
    with pytest.raises(ValueError, match=words):
        mcp.add_tool(tool, approval=approval)


class Ledger:
    """A balance that is read and changed, where the policy decides about reads call by call."""

    def __init__(self, gate: Gate) -> None:
        self.balance = 10
        self.proceed = asyncio.Event()
        self.proceed.set()
        self.looks = 0
        self.mcp = GatedServer("shop", gate=gate)

        @self.mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
        async def look(account: int) -> str:
            self.looks += 1
            await self.proceed.wait()
            return f"balance {self.balance}"

        @self.mcp.tool()
        def draw(cents: int) -> str:
            self.balance -= cents
            return "drawn"


class PerCall(Allowed):
    """As with a `when:` on each rule."""

    def verdict(self, tool):
        return Verdict.DEPENDS


async def test_p3_a_read_that_the_policy_allows_call_by_call_is_run_anew(served):
    served.scenario.service.policy.present = PerCall()
    ledger = Ledger(served.gate())
    async with Client(ledger.mcp) as client:
        answers = [
            text(await client.call_tool(tool, arguments))
            for tool, arguments in [("look", {"account": 1}), ("draw", {"cents": 4}), ("look", {"account": 1})]
        ]
        again = await client.call_tool("draw", {"cents": 4})
    assert answers == ["balance 10", "drawn", "balance 6"]
    assert text(again).startswith("[replayed]")
    assert (ledger.balance, ledger.looks) == (6, 2)


async def test_p3_a_read_does_not_join_one_that_started_before_it(served, until):
    served.scenario.service.policy.present = PerCall()
    ledger = Ledger(served.gate())
    ledger.proceed.clear()
    async with Client(ledger.mcp) as client, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(client.call_tool("look", {"account": 1}))
        await until(lambda: ledger.looks == 1)
        second = tasks.create_task(client.call_tool("look", {"account": 1}))
        await until(lambda: ledger.looks == 2)
        ledger.proceed.set()
        with anyio.fail_after(10):
            assert text(await first) == text(await second) == "balance 10"
    assert [state for _, state in calls(served)] == ["succeeded", "succeeded"]


async def test_p3_a_read_that_a_person_approved_is_still_replayed(served):
    """Its answer may not have arrived, and nobody should have to approve it twice."""

    class Asking(DefaultPolicy):
        def verdict(self, tool):
            return Verdict.ASK

        def judge(self, call):
            return replace(super().judge(call), action=Action.REQUIRE_APPROVAL)

    served.scenario.service.policy.present = Asking()
    ledger = Ledger(served.gate())
    async with Client(ledger.mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("look", {"account": 1}))
        await served.decide()
        await call
        assert text(await client.call_tool("look", {"account": 1})).startswith("[replayed]")
