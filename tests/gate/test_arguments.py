"""What code of a tool's author does to arguments, and how far two calls can be told apart beside it."""

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from itertools import count
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import pytest
from mcp import Client
from mcp.server.mcpserver.tools import Tool
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    Json,
    PrivateAttr,
    PydanticDeprecatedSince20,
    RootModel,
    StringConstraints,
    TypeAdapter,
    create_model,
    field_validator,
    model_validator,
    validator,
)
from pydantic.dataclasses import dataclass as checked_dataclass
from typing_extensions import TypedDict

from approvals import GatedServer
from approvals.errors import Invalid
from approvals.gate.arguments import Effective, effective
from approvals.gate.tools import Approval, unfit
from approvals.protocol.canonical import canonical, encode
from support.answer_table import facts

_count = count()


def tool(kind: Any, **more: Any) -> Tool:
    """A tool with one argument `x`."""

    def function(x: Any) -> str:
        return ""

    function.__annotations__ = {"x": kind, "return": str}
    function.__defaults__ = (more["default"],) if more else None
    return Tool.from_function(function)


def said(a_tool: Tool, words: Any) -> bytes:
    return canonical(encode(effective(a_tool, words).said))


class Account(BaseModel):
    cents: int
    account: str | None = None

    @field_validator("account", mode="before")
    @classmethod
    def main(cls, account: str | None) -> str:
        return account or "main-account"


class Defaulted(BaseModel):
    amount: Annotated[int, AfterValidator(lambda amount: amount * 100)] = 5


class Noticing(BaseModel):
    amount: int = 5

    @model_validator(mode="after")
    def notice(self) -> "Noticing":
        self.amount *= 100 if "amount" in self.model_fields_set else 1
        return self


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("odd")
    return number


class Numbered(BaseModel):
    id: Annotated[int, AfterValidator(_even)]


class Named(BaseModel):
    id: str


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ref: int


class Loose(BaseModel):
    ref: str
    note: str = ""


class Missing(Enum):
    A = "a"

    @classmethod
    def _missing_(cls, value: object) -> "Missing":
        return cls.A


def old() -> type[BaseModel]:
    class Old(BaseModel):
        note: str
        key: str = ""

        with pytest.warns(PydanticDeprecatedSince20):

            @validator("key", pre=True, always=True)
            def made(cls, key: str) -> str:
                return key or str(next(_count))

    return Old


class Extras(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[str, AfterValidator(lambda text: f"{text} {next(_count)}")]]


APART: dict[str, tuple[Any, list[Any]]] = {
    "a default that a validator never saw": (Account, [{"cents": 7}, {"cents": 7, "account": None}]),
    "a default that a validator would change": (Defaulted, [{}, {"amount": 5}]),
    "a model that looks at what was set": (Noticing, [{}, {"amount": 5}]),
    "a union that a validator chooses in": (
        Annotated[Annotated[int, AfterValidator(_even)] | str, Field(union_mode="left_to_right")],
        ["03", "3"],
    ),
    "models that a validator chooses between": (Numbered | Named, [{"id": "007"}, {"id": "7"}]),
    "a model that forbids": (Strict | Loose, [{"ref": "07", "note": "n"}, {"ref": "7", "note": "n"}]),
    "an enum with an answer to everything": (Missing, ["b", "c"]),
}


@pytest.mark.parametrize(("kind", "calls"), APART.values(), ids=APART)
def test_p3_different_words_are_different_calls_where_code_of_the_author_reads_them(kind, calls):
    for a_tool in (tool(kind), tool(kind | None, default=None)):
        assert len({said(a_tool, {"x": words}) for words in calls}) == len(calls)


def test_p3_a_default_and_its_absence_are_two_calls_where_a_validator_sees_one_of_them():
    a_tool = tool(Annotated[int, AfterValidator(lambda amount: amount * 100)], default=5)
    assert said(a_tool, {}) != said(a_tool, {"x": 5})
    plain = tool(int, default=5)
    assert said(plain, {}) == said(plain, {"x": 5}) == said(plain, {"x": "5"})


def test_p2_values_of_two_classes_are_two_calls_though_they_are_shown_alike():
    a_tool = tool(Decimal | str)
    assert effective(a_tool, {"x": 1.5}).shown == effective(a_tool, {"x": "1.5"}).shown
    assert said(a_tool, {"x": 1.5}) != said(a_tool, {"x": "1.5"})


def test_p3_validators_of_another_argument_do_not_change_how_one_is_read():
    def both(x: Strict | Loose, y: Annotated[str, AfterValidator(str.lower)] = "") -> str:
        return ""

    a_tool = Tool.from_function(both)
    one, other = ({"x": {"ref": ref, "note": "n"}} for ref in ("07", "7"))
    assert said(a_tool, one) != said(a_tool, other)
    assert said(a_tool, {"x": {"ref": 7}}) == said(a_tool, {"x": {"ref": 7}, "y": "A"}).replace(b'"y":"A"', b"")


@pytest.mark.parametrize(("kind", "words"), [(old(), {"note": "same"}), (Extras, {"a": "same"})], ids=["V1", "extras"])
def test_p3_equal_words_are_one_call_whatever_validators_make_of_them(kind, words):
    a_tool = tool(kind)
    assert len({said(a_tool, {"x": words}) for _ in range(3)}) == 1
    assert len({canonical(effective(a_tool, {"x": words}).shown) for _ in range(3)}) == 3


class Private(BaseModel):
    cents: int
    _key: int = PrivateAttr(default_factory=lambda: next(_count))


class Hooked(BaseModel):
    cents: int
    _key: int

    def model_post_init(self, context: Any) -> None:
        self._key = next(_count)


class Twice(BaseModel):
    one: int = Field(alias="v")
    two: str = Field(alias="v")


class Filled(TypedDict, total=False):
    a: Annotated[int, Field(default=5)]


class Spoken(BaseModel):
    model_config = ConfigDict(validate_by_alias=False, validate_by_name=True)
    a: int = Field(1, alias="A")


@checked_dataclass(config=ConfigDict(validate_by_alias=False, validate_by_name=True))
class SpokenToo:
    a: int = Field(1, alias="A")


@checked_dataclass
class TwiceToo:
    one: int = Field(alias="v")
    two: str = Field(alias="v")


class Aliased(NamedTuple):
    a: Annotated[int, Field(alias="A")]


UNSEEN = [
    (Filled, "defaults"),
    (list[Spoken], "takes no aliases"),
    (SpokenToo, "takes no aliases"),
    (TwiceToo, "one alias"),
    (Aliased, "forgets the aliases"),
    (Private, "private"),
    (list[Hooked], "private"),
    (Twice, "one alias"),
]


@pytest.mark.parametrize(("kind", "why"), UNSEEN)
def test_p2_what_the_tool_alone_would_see_is_refused_when_it_is_added(kind, why):
    assert why in unfit(tool(kind), Approval())


class Body(BaseModel):
    a: int = 1


@dataclass(frozen=True)
class Frozen:
    a: int = 1


class Dug(BaseModel):
    inner: dict[str, int] = Field(validation_alias=AliasPath("data", "inner"))
    other: int = Field(0, validation_alias=AliasPath("data", "deep", "other"))


class Pair(NamedTuple):
    one: Body
    two: str = ""


@dataclass(frozen=True)
class Around:
    inner: tuple[Frozen, ...]


class First(BaseModel):
    first: Body = Field(validation_alias=AliasPath("items", -1))


class Choosing(BaseModel):
    holder: str = Field(validation_alias=AliasChoices("holder", "owner"))


CALLABLE: dict[str, tuple[Any, Any]] = {
    "a dict that is a model": (RootModel[dict[str, int]], {"a": 1}),
    "a model that is one": (RootModel[Body], {"a": 1}),
    "addresses as keys": (dict[HttpUrl, int], {"https://example.com": 1}),
    "keys in lower case": (dict[Annotated[str, AfterValidator(str.lower)], Body], {"A": {"a": 1}}),
    "lowered keys": (dict[Annotated[str, StringConstraints(to_lower=True)], int], {"A": 1}),
    "instants as keys": (dict[datetime, int], {"2026-01-01T00:00:00+00:00": 1}),
    "ids in capitals": (dict[UUID, int], {"01A3185C-5000-7000-AA2C-A267D05FC239": 1}),
    "floats as keys": (dict[float, int], {"1": 1}),
    "truths as keys": (dict[bool, int], {"1": 1}),
    "numbers as keys": (dict[int, int], {"01": 1}),
    "a dict from the depth": (Dug, {"data": {"inner": {"b": 1}, "deep": {"other": 2}}}),
    "a list that is a model": (RootModel[list[Body]], [{"a": 1}]),
    "a set of objects": (frozenset[Frozen], [{"a": 1}, {"a": 1}, {}]),
    "a queue of objects": (deque[Body], [{"a": 1}]),
}


@pytest.mark.parametrize(("kind", "words"), CALLABLE.values(), ids=CALLABLE)
def test_p7_a_call_that_the_tool_takes_is_no_undeclared_argument(kind, words):
    read = effective(tool(kind), {"x": words})
    read.settle()
    assert read.values == tool(kind).fn_metadata.validate_arguments({"x": words})


DROPPED: dict[str, tuple[Any, Any, str]] = {
    "in a list that is a model": (RootModel[list[Body]], [{"b": 1}], "x[0].b"),
    "in a set": (frozenset[Frozen], [{"a": 1}, {"a": 2, "b": 1}], "x[1].b"),
    "in a queue": (deque[Body], [{"b": 1}], "x[0].b"),
    "under a changed key": (dict[int, Body], {"01": {"b": 1}}, "x.01.b"),
    "beside what was dug out": (Dug, {"data": {"inner": {}, "b": 1}}, "x.data.b"),
    "in its depth": (Dug, {"data": {"inner": {}, "deep": {"b": 1}}}, "x.data.deep.b"),
    "in JSON in a list": (list[Json[Body]], ['{"b": 1}'], "x[0].b"),
    "in a tuple as an object": (Pair, {"one": {"b": 1}}, "x.one.b"),
    "in a tuple without its defaults": (Pair, [{"b": 1}], "x[0].b"),
    "below a member of a set": (frozenset[Around], [{"inner": [{"a": 1}, {"b": 1}]}], "x[0].inner[1].b"),
    "beside what was taken out of a list": (First, {"items": [{}, {"b": 1}]}, "x.items[1].b"),
    "a second name": (Choosing, {"owner": "a", "holder": "b"}, "x.owner"),
}


@pytest.mark.parametrize(("kind", "words", "place"), DROPPED.values(), ids=DROPPED)
def test_p2_a_key_that_the_model_drops_is_refused_wherever_it_stands(kind, words, place):
    with pytest.raises(Invalid, match="no argument") as refused:
        effective(tool(kind), {"x": words})
    assert repr(place) in refused.value.detail


class Stamped(BaseModel):
    at: datetime | str = Field(default_factory=lambda: datetime.now(UTC))


class Loosely(BaseModel):
    at: Any = Field(default_factory=lambda: datetime.now(UTC))


class Keyed(BaseModel):
    key: str | UUID = Field(default_factory=lambda: UUID(int=next(_count)))


@pytest.mark.parametrize("kind", [Stamped, Loosely, Keyed])
def test_p2_what_a_repeat_would_get_as_another_type_is_refused_before_anybody_is_asked(kind):
    with pytest.raises(Invalid, match="each time"):
        effective(tool(kind), {"x": {}}).settle()


class Salted(BaseModel):
    salt: bytes = Field(default_factory=lambda: b"\xff" + next(_count).to_bytes(7, "big"))
    likeness: str = "base64:/w=="
    parts: list[bytes] = Field(default_factory=lambda: [b"\xfe" + bytes([next(_count) % 250]), b"base64:x", b"plain"])


@pytest.mark.parametrize(("kind", "words"), [(Salted, {}), (Salted, {"likeness": "base64:YQ=="})])
def test_p2_bytes_that_a_call_makes_are_those_that_run_after_approval(kind, words):
    """They are no text, and shown in base 64."""
    a_tool = tool(kind)
    approved = effective(a_tool, {"x": words})
    approved.settle()
    ran = effective(a_tool, {"x": words}).as_approved(json.loads(json.dumps(approved.shown)))
    assert ran["x"] == approved.values["x"] != effective(a_tool, {"x": words}).values["x"]


@pytest.mark.parametrize("kind", [Json[Salted], Json[Salted] | None, Json])
def test_p7_an_argument_that_no_call_would_fit_is_refused_when_the_tool_is_added(kind):
    assert "'x' is Json[…], which no call fits" in unfit(tool(kind), Approval())
    with pytest.raises(Invalid, match="JSON input should be"):
        effective(tool(kind), {"x": "[1]"})


def test_p7_a_tool_that_yields_is_refused_when_it_is_added():
    """Its call would be told to have run, and nothing of it had."""

    def one(order_id: int) -> str:
        yield f"refunded {order_id}"

    async def other(order_id: int) -> str:
        yield f"refunded {order_id}"

    for kind in (one, other):
        with pytest.raises(ValueError, match="it yields"):
            GatedServer("shop").add_tool(kind)


def test_json_of_a_number_and_inside_a_list_is_taken():
    assert effective(tool(Json[int]), {"x": "5"}).shown == {"x": 5}
    assert effective(tool(list[Json[list[int]]]), {"x": ["[1]"]}).shown == {"x": [[1]]}


def test_p2_what_only_time_shows_does_not_start_as_another_type():
    day = date(2026, 1, 1)
    daily = create_model("Daily", day=(date | str, Field(default_factory=lambda: day)))
    a_tool = tool(daily)
    approved: Effective = effective(a_tool, {"x": {}})
    approved.settle()
    day = date(2026, 1, 2)
    with pytest.raises(Invalid, match="each time"):
        effective(a_tool, {"x": {}}).as_approved(approved.shown)


class Factory:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self) -> int:
        return 7


class Unhashed(BaseModel):
    number: int = Field(default_factory=Factory())


@dataclass
class Unset:
    a: int
    later: int = field(init=False)


@pytest.mark.parametrize(
    ("kind", "words", "form"), [(Unhashed, {}, {"number": 7}), (Unset, {"a": 1}, {"a": 1})], ids=["unhashed", "unset"]
)
def test_p7_odd_parts_of_a_model_are_read(kind, words, form):
    read = effective(tool(kind), {"x": words})
    read.settle()
    assert read.shown == {"x": form}
    assert read.said


class Hostile(dict[str, int]):
    """Raises when it is looked at."""

    def items(self) -> Any:
        raise LookupError("secret-in-words")


def _raising(words: Any) -> Any:
    return Hostile(words)


async def test_p8_whatever_reading_raises_is_an_answer_and_on_record(served):
    mcp = GatedServer("shop", gate=served.gate())
    mcp.add_tool(hostile)
    async with Client(mcp) as client:
        result = await client.call_tool("hostile", {"x": {"a": 1}})
    assert facts(result)["status"] == "invalid"
    text = json.dumps(result.model_dump(mode="json"))
    assert "LookupError" in text
    assert "secret-in-words" not in text
    bodies = "SELECT body FROM audit_payload JOIN audit_event USING (payload_hash) WHERE kind = 'calls.recorded'"
    recorded = [call for (body,) in served.scenario.rows(bodies) for call in json.loads(body)["calls"]]
    assert [(call["target"], call["outcome"]) for call in recorded] == [("hostile", "refused")]


def hostile(x: Annotated[dict[str, int], AfterValidator(_raising)]) -> str:
    return "ran"


def test_p7_an_integer_that_nobody_writes_is_refused_in_words():
    with pytest.raises(Invalid, match="3,900 digits"):
        encode({"x": 10**4100})
    assert encode(10**3890) == {"$int": str(10**3890)}


class Numbered(BaseModel):
    cents: int
    key: str = Field(default_factory=lambda: f"key-{next(_count)}")


@pytest.mark.parametrize(
    ("kind", "words"),
    [(list[Json[Numbered]], ['{"cents": 5}']), (dict[str, Json[Numbered]], {"a": '{"cents": 5}'})],
    ids=["in a list", "in a mapping"],
)
def test_p2_what_json_in_text_makes_by_itself_is_what_was_approved(kind, words):
    a_tool = tool(kind)
    first, repeat = effective(a_tool, {"x": words}), effective(a_tool, {"x": words})
    first.settle()
    assert first.shown != repeat.shown
    assert first.said == repeat.said
    runs = repeat.as_approved(first.shown)["x"]
    assert TypeAdapter(kind).dump_python(runs) == first.shown["x"]
