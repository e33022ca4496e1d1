"""Generated tools: signatures of every type that pydantic knows, and words for them in the spellings that agents use.

`describe` writes down what a function got, class by class, so that two runs can be compared to the last type.
"""

import dataclasses
import inspect
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    AnyUrl,
    Base64Bytes,
    Base64Str,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Discriminator,
    Field,
    Json,
    PlainSerializer,
    RootModel,
    StringConstraints,
    Tag,
    WrapValidator,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as checked_dataclass
from typing_extensions import TypedDict

Words = Callable[[random.Random], Any]


class Colour(Enum):
    RED = "red"
    BLUE = 2


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Line(BaseModel):
    sku: str
    count: int = 1
    price: Decimal | None = None


class Aliased(BaseModel):
    model_config = ConfigDict(extra="forbid")
    card: str = Field(validation_alias="cardNumber", serialization_alias="no")
    holder: str = Field("", validation_alias=AliasChoices("holder", "owner"))
    city: str = Field("", alias="City")


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    card: str = Field("", alias="cardNumber")
    deep: int = Field(0, validation_alias=AliasPath("at", "depth"))


class Computing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    cents: int

    @computed_field
    def dollars(self) -> float:
        return self.cents / 100


class Writing(BaseModel):
    at: datetime
    cents: Annotated[int, PlainSerializer(lambda cents: "***")]
    note: str = Field(exclude=True)

    @field_serializer("at")
    def some_day(self, value: datetime) -> str:
        return "some day"


class Made(BaseModel):
    what: str
    key: str = Field(default_factory=lambda: "made")
    marks: list[int] = Field(default_factory=lambda: [1])

    @field_validator("what")
    @classmethod
    def lower(cls, what: str) -> str:
        return what.lower()


class Wrapped(BaseModel):
    cents: int
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def of_text(cls, given: Any) -> Any:
        return {"cents": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def noted(self) -> "Wrapped":
        self.note = self.note or f"{self.cents} cents"
        return self


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str = "x"


class Tree(BaseModel):
    name: str
    kids: list["Tree"] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    bark: str = "WOOF"


class Numbers(RootModel[list[int]]):
    pass


@dataclass
class Parcel:
    sku: str
    marks: list[str] = field(default_factory=list)


@checked_dataclass
class Checked:
    sku: str = Field(alias="SKU")
    weight: float = 1.0


@checked_dataclass(config=ConfigDict(extra="allow"))
class OpenParcel:
    sku: str = Field("x", alias="SKU")


@checked_dataclass(config=ConfigDict(extra="forbid", populate_by_name=True), frozen=True)
class Label:
    text: str = Field(alias="Text")
    copies: int = Field(1, validation_alias=AliasChoices("copies", "n", AliasPath("print", "copies")))


@dataclass(kw_only=True, slots=True)
class Slotted:
    sku: str
    weight: float | None = None


@dataclass
class Posted:
    cents: int
    note: str = ""
    twice: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.note = self.note or f"{self.cents} cents"
        self.twice = 2 * self.cents


@checked_dataclass
class PostedToo:
    cents: int
    parts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parts = [*self.parts, self.cents][:2]


class Initialized(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    cents: int = Field(alias="amountCents")
    note: str = ""

    def model_post_init(self, context: Any) -> None:
        self.note = self.note or "none"


class Typed(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]
    name: str = "x"


class Loose(TypedDict, total=False):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    a: int
    parcel: OpenParcel


class Leg(NamedTuple):
    line: Line
    parcel: OpenParcel | None = None
    marks: frozenset[str] = frozenset({"b", "a"})


class Legs(RootModel[dict[str, Leg]]):
    pass


class Window(TypedDict):
    since: date
    until: NotRequired[date]


class Point(NamedTuple):
    x: int
    y: int = 0


def _split(words: Any) -> Any:
    return words.split(",") if isinstance(words, str) else words


def _cents(words: Any) -> Any:
    """A text is in whole money."""
    return int(words) * 100 if isinstance(words, str) else words


def _twice(value: Any, read: Any) -> Any:
    return read(value) * 2


def _of(*words: Any) -> Words:
    return lambda rng: rng.choice(words)


def _many(one: Words, most: int = 3) -> Words:
    return lambda rng: [one(rng) for _ in range(rng.randint(0, most))]


def _object(**parts: Words) -> Words:
    """With some of the parts."""
    return lambda rng: {name: words(rng) for name, words in parts.items() if rng.random() < 0.8}


INTS = _of(0, 1, -7, 2**53 + 1, 1.0, "5", " 6 ", True, "null", "1e3", 1.5, "x", None)
TEXTS = _of("", "NULL", "null", "true", "[1]", '{"a": 1}', "A b", "é\u202e", "12", "a,b", 5, None, '"quoted"', "-0")
FLOATS = _of(0.5, 1, -0.0, 1e300, "2.50", "inf", True, "x")
DATES = _of("2026-01-31", "2026-01-31T00:00:00", 1_800_000_000, "31.1.2026")
TIMES = _of("2026-01-31T10:00:00Z", "2026-01-31T10:00:00+00:00", "2026-01-31 12:00+02:00", 1_800_000_000, "soon")
ANYTHING = _of(None, True, 1, 1.0, "x", "NULL", [], [1, "1", {"a": None}], {}, {"$x": [1.0]}, {"a": {"b": "[]"}})
LINE = _object(sku=TEXTS, count=INTS, price=_of("1.50", 1.5, 2, None, "1e2"))
OPEN = _of({"SKU": "a"}, {"SKU": "b", "more": [1.0, {"$x": None}]}, {}, {"sku": "a"}, {"SKU": None})
PET = _of({"kind": "cat"}, {"kind": "cat", "lives": "7"}, {"kind": "dog", "bark": "NULL"}, {"kind": "cow"})

TYPES: list[tuple[Any, Words]] = [
    (int, INTS),
    (Annotated[int, Field(ge=0, le=1000)], INTS),
    (float, FLOATS),
    (bool, _of(True, "yes", "off", 1, 0, "NULL", 2)),
    (str, TEXTS),
    (Annotated[str, StringConstraints(to_lower=True)], TEXTS),
    (Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, max_length=6)], TEXTS),
    (bytes, TEXTS),
    (Base64Bytes, _of("aGk=", "/w==", "YmFzZTY0Og==", "??")),
    (Base64Str, _of("aGk=", "TlVMTA==", "??")),
    (Decimal, _of("1.50", "1.5", 1.5, 2, "NaN", "1e2")),
    (Fraction, _of("1/2", 0.5, "x")),
    (complex, _of("1+2j", 3)),
    (datetime, TIMES),
    (date, DATES),
    (time, _of("10:00", "10:00:00+01:00", 3600, "late")),
    (timedelta, _of("PT1H", 3600, "1 day, 0:00:01", "-P1D")),
    (UUID, _of("01a3185c-5000-7000-aa2c-a267d05fc239", "01a3185c50007000aa2ca267d05fc239", "x")),
    (Colour, _of("red", 2, "green")),
    (Level, _of(1, "2", 2.0, 3)),
    (Literal["a", 1, None], _of("a", 1, None, "1", True)),
    (Path, _of("/a/../b", "x", "NULL", 5)),
    (AnyUrl, _of("http://example.com", "HTTP://EXAMPLE.com/a b", "no")),
    (IPv4Address, _of("10.0.0.1", 1, "x")),
    (IPv4Network, _of("10.0.0.0/8", "10.0.0.1/8")),
    (ByteSize, _of("1KiB", 5, "1.5 MB")),
    (Any, ANYTHING),
    (dict[str, Any], _of({}, {"a": "[1]"}, '{"a": "NULL"}', {"b": {"c": 1.0}})),
    (dict[int, str], _of({"1": "a"}, {"1": "NULL", "2": "[]"}, {"x": "a"})),
    (dict[Colour, int], _of({"red": "1"}, {"green": 1})),
    (list[int], _many(INTS)),
    (list[str], _of([], ["NULL", "[1]"], '["a"]', "a", [1])),
    (set[str], _many(_of("b", "a", "c", "NULL"))),
    (frozenset[int], _many(_of(3, "1", 2.0))),
    (set[date | int], _many(_of("2026-01-31", 5, "5"))),
    (deque[int], _many(INTS)),
    (tuple[int, str], _of([1, "a"], ["1", "NULL"], [1], '[1, "x"]')),
    (tuple[Line, ...], _many(LINE)),
    (int | str, _of(1, "1", "NULL", 1.0, "x")),
    (str | None, TEXTS),
    (Annotated[str, StringConstraints(to_lower=True)] | None, TEXTS),
    (bool | int | str, _of(True, 1, "1", "true", 0.0)),
    (date | datetime | str, _of("2026-01-31", "2026-01-31T10:00:00Z", "soon")),
    (list[str] | str | None, _of("NULL", '["a"]', ["b"], "[]", "a,b")),
    (dict[str, int] | list[int] | None, _of('{"a": 1}', "[1]", "null", {"a": "1"}, 5)),
    (Json[int], _of("1", "x", 1, "[1]")),
    (list[Json[Any]], _of(["[1]", '"a"'], ["x"], [])),
    (Line, LINE),
    (list[Line], _many(LINE)),
    (Line | None, _of(None, "null", {"sku": "a"}, '{"sku": "NULL"}')),
    (Aliased, _of({"cardNumber": "4", "owner": "x"}, {"cardNumber": "NULL", "City": "y"}, {"card": "4"})),
    (ByName, _of({"card": "4"}, {"cardNumber": "5", "at": {"depth": "3"}}, {})),
    (Computing, _of({"cents": 150}, {"cents": "5", "dollars": 1})),
    (Writing, _object(at=TIMES, cents=INTS, note=TEXTS)),
    (Made, _of({"what": "A"}, {"what": "b", "key": "k"}, {"what": "c", "marks": ["2"]})),
    (list[Made], _of([{"what": "A"}, {"what": "b", "key": "k"}])),
    (Wrapped, _of({"cents": 5}, "7", {"cents": "5", "note": "n"}, "x")),
    (Open, _of({"name": "a", "more": [1.0]}, {}, {"x": "NULL"})),
    (Tree, _of({"name": "a", "kids": [{"name": "b", "kids": [{"name": "NULL"}]}]}, {"name": 5})),
    (Annotated[Cat | Dog, Field(discriminator="kind")], PET),
    (Cat | Dog, PET),
    (
        Annotated[
            Annotated[Cat, Tag("cat")] | Annotated[Dog, Tag("dog")],
            Discriminator(lambda pet: pet.get("kind") if isinstance(pet, dict) else pet.kind),
        ],
        PET,
    ),
    (Numbers, _of([1, "2"], "[3]", "x")),
    (Parcel, _of({"sku": "a"}, {"sku": "NULL", "marks": ["x"]}, {"marks": []})),
    (Checked, _of({"SKU": "a"}, {"SKU": "b", "weight": "2"}, {"sku": "a"})),
    (OpenParcel, OPEN),
    (list[OpenParcel] | OpenParcel, _of([{"SKU": "a", "more": 1}], {"more": [1.0]}, {"sku": "a"}, '{"SKU": "NULL"}')),
    (dict[str, OpenParcel], _of({"a": {"SKU": "1", "x": {"$y": 1}}}, {"b": {}}, {"a": 1})),
    (set[Label], _of([{"Text": "a"}, {"text": "a"}], [{"Text": "b", "n": "2"}], [{"Text": "b", "x": 1}])),
    (Label, _of({"text": "a", "copies": 2}, {"Text": "b", "n": "3"}, {"Text": "c", "print": {"copies": 4}}, {})),
    (Slotted, _of({"sku": "a"}, {"sku": "NULL", "weight": "2"}, {"weight": 1})),
    (Posted, _of({"cents": 5}, {"cents": "5", "note": "n"}, {"cents": 5, "twice": 3}, {"note": "n"})),
    (list[PostedToo], _of([{"cents": 5}], [{"cents": 1, "parts": ["7"]}, {"cents": 2, "parts": [1, 2]}])),
    (Initialized, _of({"amountCents": 5}, {"cents": "5", "note": "n"}, {"amountCents": 1, "note": ""})),
    (Typed, _of({"name": "a", "n": "5"}, {"n": 5}, {"n": "x"}, {})),
    (Loose, _of({"a": "1", "b": 1.0}, {"parcel": {"SKU": "a", "q": None}}, {}, {"a": "x"})),
    (Leg, _of([{"sku": "a"}], {"line": {"sku": "a"}, "parcel": {"z": 1}}, [{"sku": "a"}, None, ["c", "b"]], [1])),
    (Legs, _of({"out": [{"sku": "a"}]}, {"out": {"line": {"sku": "NULL"}}, "back": [{"sku": "b", "count": "2"}]})),
    (list[Json[OpenParcel]], _of(['{"SKU": "a", "x": 1}'], ["{}"], ["x"])),
    (OpenParcel | Line, _of({"sku": "a"}, {"SKU": "a"}, {"sku": "a", "count": 2}, {"SKU": "b", "count": 2})),
    (Window, _of({"since": "2026-01-31"}, {"since": "2026-01-31", "until": 1_800_000_000}, {"since": "x"})),
    (Point, _of([1], [1, "2"], {"x": 1}, {"x": 1, "y": 5})),
    (Annotated[int, AfterValidator(lambda number: number + 1)], INTS),
    (Annotated[str, AfterValidator(str.lower)], TEXTS),
    (Annotated[list[str], BeforeValidator(_split)], _of("a,b", "NULL", ["c"], 5)),
    (Annotated[list[str], BeforeValidator(lambda words: words.split(","))], _of("a,b", "NULL", ["c"])),
    (Annotated[int, BeforeValidator(_cents)], _of("5", 5, 5.0, 500)),
    (Annotated[int, WrapValidator(_twice)], INTS),
    (Annotated[list[int], AfterValidator(sorted)], _many(_of(3, 1, "2"))),
    (Annotated[str | list[str], AfterValidator(str)], _of("NULL", ["a"], '["b"]')),
    (Annotated[str, Field(alias="Name")], TEXTS),
]
DEFAULTS = [None, "red", "NULL", 5, (1,), Field(default_factory=lambda: "made"), Field(default_factory=list)]


def tool(rng: random.Random, name: str) -> tuple[Callable[..., Any], Words]:
    """A function of one to four arguments that says what it got; and what makes arguments for it."""
    chosen = rng.sample(TYPES, rng.randint(1, 4))
    parameters = [
        inspect.Parameter(
            f"p{i}",
            inspect.Parameter.KEYWORD_ONLY,
            annotation=kind,
            default=rng.choice(DEFAULTS) if rng.random() < 0.3 else inspect.Parameter.empty,
        )
        for i, (kind, _) in enumerate(chosen)
    ]
    number = inspect.Parameter("number", inspect.Parameter.KEYWORD_ONLY, annotation=int)

    def says(**given: Any) -> str:
        return describe(given)

    says.__name__ = name
    says.__signature__ = inspect.Signature([number, *parameters], return_annotation=str)  # type: ignore[attr-defined]
    names = ["Name" if "alias='Name'" in repr(kind) else f"p{i}" for i, (kind, _) in enumerate(chosen)]

    def words(rng: random.Random) -> dict[str, Any]:
        return {name: make(rng) for name, (_, make) in zip(names, chosen, strict=True) if rng.random() < 0.9}

    return says, words


def describe(value: Any) -> str:
    """What it is, to the last type; containers without an order in one of their own."""
    kind = type(value).__name__
    if isinstance(value, BaseModel):
        parts = vars(value) | (value.model_extra or {})
        return f"{kind}({describe(dict(parts))}, {sorted(value.model_fields_set)})"
    if dataclasses.is_dataclass(value):
        own = {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}
        return f"{kind}({describe(own | getattr(value, '__dict__', {}))})"
    if isinstance(value, dict):
        return f"{kind}{{{', '.join(sorted(f'{describe(key)}: {describe(item)}' for key, item in value.items()))}}}"
    if isinstance(value, set | frozenset):
        return f"{kind}{{{', '.join(sorted(map(describe, value)))}}}"
    if isinstance(value, list | tuple | deque):
        return f"{kind}[{', '.join(map(describe, value))}]"
    return f"{kind}:{value!r}"
