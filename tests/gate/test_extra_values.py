"""Whatever a tool gets is shown: what a value holds beside its fields, at any place, in any wrapping."""

import dataclasses
import json
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import pytest
from mcp.server.mcpserver.tools import Tool
from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, Json, RootModel, create_model
from pydantic.dataclasses import dataclass

from approvals.errors import Invalid
from approvals.gate.arguments import effective

OPEN = ConfigDict(extra="allow")
SENT = {"id": 1, "more": "DROP"}


def tool(kind: Any) -> Tool:
    """A tool with one argument `x`."""

    def function(x: Any) -> str:
        return ""

    function.__annotations__ = {"x": kind, "return": str}
    return Tool.from_function(function)


@dataclass(config=OPEN)
class Ordinary:
    id: int


@dataclass(config=OPEN, frozen=True)
class Frozen:
    id: int


@dataclass(frozen=True)
class Outer:
    inner: Frozen


class Named(NamedTuple):
    a: Ordinary
    b: str = "q"


Taken = create_model("Taken", first=(Ordinary, Field(validation_alias=AliasPath("items", 0))))
Wrapped = create_model("Wrapped", p=(Json[Ordinary], ...))

SHOWN: dict[str, tuple[Any, Any, Any]] = {
    "plainly": (Ordinary, SENT, SENT),
    "in a list of JSON": (list[Json[Ordinary]], [json.dumps(SENT)], [SENT]),
    "in JSON in a model": (Wrapped, {"p": json.dumps(SENT)}, {"p": SENT}),
    "in a named tuple as an object": (Named, {"a": SENT}, [SENT, "q"]),
    "in a named tuple without its defaults": (Named, [SENT], [SENT, "q"]),
    "in a list of named tuples": (list[Named], [{"a": SENT}], [[SENT, "q"]]),
    "below a member of a set": (set[Outer], [{"inner": SENT}], [{"inner": SENT}]),
    "taken out of a list": (Taken, {"items": [SENT]}, {"first": SENT}),
    "in a model that is one": (RootModel[dict[str, Ordinary]], {"a": SENT}, {"a": SENT}),
}


@pytest.mark.parametrize(("kind", "words", "form"), SHOWN.values(), ids=SHOWN)
def test_p2_what_an_open_dataclass_takes_is_shown_wherever_it_stands(kind, words, form):
    assert effective(tool(kind), {"x": words}).shown == {"x": form}


@dataclasses.dataclass
class Plain:
    id: int

    def __post_init__(self) -> None:
        self.nonce = f"hidden {self.id}"


class Hooked(BaseModel):
    id: int

    def model_post_init(self, context: Any) -> None:
        object.__setattr__(self, "nonce", "hidden")


class Slotted:
    __slots__ = ("nonce",)


@dataclasses.dataclass
class Below(Slotted):
    id: int

    def __post_init__(self) -> None:
        self.nonce = "hidden"


class Listed(list[int]):
    nonce: str


def _listed(words: Any) -> Listed:
    made = Listed(words)
    made.nonce = "hidden"
    return made


class Secretive(BaseModel):
    _nonce: str = "hidden"
    id: int


HIDING: dict[str, tuple[Any, Any]] = {
    "a dataclass's": (Plain, {"id": 1}),
    "a model's": (list[Hooked], [{"id": 1}]),
    "a slot's": (Below, {"id": 1}),
    "a list's": (Annotated[Any, BeforeValidator(_listed)], [1]),
    "a private one": (Annotated[Any, BeforeValidator(Secretive.model_validate)], {"id": 1}),
}


@pytest.mark.parametrize(("kind", "words"), HIDING.values(), ids=HIDING)
def test_p2_an_attribute_that_is_no_field_is_refused_by_its_name(kind, words):
    with pytest.raises(Invalid, match=r"'_?nonce', which is no field of it"):
        effective(tool(kind), {"x": words})


@dataclasses.dataclass
class Area:
    side: int

    def __post_init__(self) -> None:
        assert self.area >= 0

    @cached_property
    def area(self) -> int:
        return self.side * self.side


def test_p7_what_a_cached_property_keeps_hides_nothing():
    assert effective(tool(Area), {"x": {"side": 2}}).shown == {"x": {"side": 2}}
