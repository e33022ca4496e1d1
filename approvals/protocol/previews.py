"""What a call would do, as its server looked it up before anybody was asked.

A preview is the server's own word. It is part of what is approved: the digest covers it, and the gate looks again
before the tool starts (`differs`). Its texts are data of agents and tools, never markup.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from approvals.protocol.canonical import SAFE_INTEGER, JsonObject, canonical, decode, encode, hash_of
from approvals.protocol.message_fields import Hash, Message

MAX_FACTS = 8
MAX_PREVIEW = 32_768
"""Bytes of one preview; more is refused."""
MAX_FAILURE = 300
"""Characters of why there is none."""
_NUMBER = re.compile(r"\d(?:[\d.,'\u00a0\u2009\u202f]*\d)?")
"""As sentences write them, grouped or not."""

Line = Annotated[str, Field(max_length=200)]
Words = tuple[Annotated[StrictStr, Field(max_length=200)], ...]
Value = (
    StrictBool
    | StrictInt
    | StrictFloat
    | Annotated[StrictStr, Field(max_length=500)]
    | Annotated[Words, Field(max_length=20)]
)
Cell = StrictBool | StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=200)] | None


class Fact(Message):
    """One thing that a reviewer should know of the effect.

    Policies read it as `facts.NAME`; a name may have dots in it (`facts.sql.verb`). A value of several words is a list
    there (`"public.orders" in facts.sql.tables`). Money is a whole number of the smallest unit (cents) with its
    `currency`. A number may change by up to `tolerance` between approval and execution, and in the sentence with it;
    anything else may not.
    """

    name: str = Field(max_length=40, pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")
    value: Value
    label: str = Field("", max_length=60)
    """For people; without one, the name."""
    unit: str = Field("", max_length=20)
    currency: str | None = Field(None, pattern=r"^[A-Z]{3}$")
    """By ISO 4217."""
    note: Line = ""
    tolerance: float = Field(0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_sayable(self) -> Self:
        number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if isinstance(self.value, float) and not math.isfinite(self.value):
            raise ValueError("a fact's number is finite")
        if isinstance(self.value, int) and abs(self.value) > SAFE_INTEGER:
            raise ValueError("a fact's whole number is below 2**53: give a longer one as text")
        if self.currency is not None and (isinstance(self.value, float) or not number):
            raise ValueError("money is a whole number of the currency's smallest unit, like 12000 for $120.00")
        if self.tolerance and not number:
            raise ValueError("only a number has a tolerance")
        return self


class View(Message):
    """A piece of the world, before or after: text, SQL or JSON as `text`, or a table of `columns` and `rows`."""

    kind: Literal["text", "table", "json", "sql"] = "text"
    text: str = Field("", max_length=16_000)
    columns: tuple[Line, ...] = Field((), max_length=10)
    rows: tuple[tuple[Cell, ...], ...] = Field((), max_length=50)

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if self.kind == "table" and self.text:
            raise ValueError("a table has columns and rows, and no text")
        if self.kind != "table" and (self.columns or self.rows):
            raise ValueError('only a view of kind "table" has columns and rows')
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("each row of a table has a value for each column")
        return self


class Preview(Message):
    """What a call would do: returned by the function that `Approval(preview=…)` names, which only reads."""

    effect: str = Field(min_length=1, max_length=300)
    """One sentence: "Refunds $120.00 to Mia Okafor for order 1042"."""
    object: Line = ""
    """The name of what it is done to, and `object_id`, its number or key."""
    object_id: Line = ""
    facts: tuple[Fact, ...] = Field((), max_length=MAX_FACTS)
    before: View | None = None
    after: View | None = None
    reversible: Literal["yes", "no", "by_hand"] | None = None
    until: Line = ""
    """How long it can be undone, or how by hand."""
    basis: Line = ""
    """Names what it was computed from (a version, a digest): a tool that compares it in its own transaction leaves no
    gap between looking and doing."""
    hidden: Hash | None = None
    """Set by the gate where it masked something: previews that differ behind the mask differ here."""

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        names = [fact.name for fact in self.facts]
        if len(names) != len(set(names)):
            raise ValueError("each fact has a name of its own")
        nested(dict.fromkeys(names, 0))
        if len(dumped(self)) > MAX_PREVIEW:
            raise ValueError(f"a preview has up to {MAX_PREVIEW:,} bytes")
        return self


def dumped(preview: Preview) -> bytes:
    """As it is stored and hashed: a field that comes with a later release changes no hash."""
    return canonical(encode(preview.model_dump(mode="json", exclude_defaults=True)))


def preview_hash(preview: Preview | None) -> str | None:
    """Names a preview by all that it says."""
    return None if preview is None else hash_of(dumped(preview))


def known_facts(preview: Preview | None) -> JsonObject:
    """What policies may know of an effect, by name; nothing where a mask hides some of it."""
    return {} if preview is None or preview.hidden else nested({fact.name: fact.value for fact in preview.facts})


def encoded_facts(preview: Preview | None) -> JsonObject:
    """The facts of an effect by their whole names, encoded; nothing where a mask hides some of it."""
    if preview is None or preview.hidden:
        return {}
    return {
        fact.name: encode(list(fact.value) if isinstance(fact.value, tuple) else fact.value) for fact in preview.facts
    }


def nested(facts: Mapping[str, Value | list[str]]) -> JsonObject:
    """Facts by the steps of their names, as conditions reach for them. Raises ValueError for one inside another."""
    found: JsonObject = {}
    for name, value in sorted(facts.items()):  # "sql" before "sql.verb"
        *above, last = name.split(".")
        place = found
        for step in above:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise ValueError(f"the fact {name!r} is inside of another fact, which has a value already")
        place[last] = list(value) if isinstance(value, tuple) else value
    return found


def facts_given(said: object) -> JsonObject:
    """Facts as somebody writes them to try a call, by the steps of their names. Raises ValueError for what no preview
    says."""
    words = 'facts are a JSON object of numbers, texts, true, false and lists of words, like {"rows": 1200}'
    if not isinstance(said, dict):
        raise ValueError(words)
    for value in said.values():
        listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not listed and not isinstance(value, bool | int | float | str):
            raise ValueError(words)
    return nested(said)


def stored(text: str) -> Preview | None:
    """What `dumped` wrote; None where nothing was."""
    return Preview.model_validate(decode(json.loads(text))) if text else None


def differs(approved: Preview, found: Preview) -> bool:
    """Whether an effect is another than the one that was approved.

    A number may move within the tolerance that was shown; then its note and the basis, which tell of it, may move
    along, and in the sentence that number. Everything else is exact.
    """
    moved = _moved(approved, found)
    if moved is None or not _tells_the_same(approved, found, moved):
        return True
    return _exact(approved, moved) != _exact(found, moved)


def _moved(approved: Preview, found: Preview) -> frozenset[str] | None:
    """Facts that moved within their tolerance; None where one moved beyond, or is another."""
    if [fact.name for fact in approved.facts] != [fact.name for fact in found.facts]:
        return None
    pairs = [(was, now) for was, now in zip(approved.facts, found.facts, strict=True) if not _same(was, now)]
    return frozenset(was.name for was, _ in pairs) if all(_is_near(was, now) for was, now in pairs) else None


def _tells_the_same(approved: Preview, found: Preview, moved: frozenset[str]) -> bool:
    """Whether two sentences differ in nothing but the numbers that moved: whom it is done to stands there too."""
    if [*_NUMBER.split(approved.effect)] != [*_NUMBER.split(found.effect)]:
        return False
    written = zip(_NUMBER.findall(approved.effect), _NUMBER.findall(found.effect), strict=True)
    pairs = zip(approved.facts, found.facts, strict=True)
    may_move = {(_digits(str(was.value)), _digits(str(now.value))) for was, now in pairs if was.name in moved}
    return all(was == now or (_digits(was), _digits(now)) in may_move for was, now in written)


def _digits(number: str) -> str:
    """What is left of a number however it is written: 1,204.50 and 120450 cents."""
    return re.sub(r"\D", "", number).rstrip("0")


def _same(was: Fact, now: Fact) -> bool:
    return was.value == now.value and type(was.value) is type(now.value)


def _is_near(was: Fact, now: Fact) -> bool:
    if isinstance(was.value, str | bool | tuple) or isinstance(now.value, str | bool | tuple):
        return False
    return type(was.value) is type(now.value) and abs(was.value - now.value) <= was.tolerance


def _exact(preview: Preview, moved: frozenset[str]) -> bytes:
    if not moved:
        return dumped(preview)
    facts = tuple(
        fact.model_copy(update={"value": 0, "note": ""} if fact.name in moved else {}) for fact in preview.facts
    )
    return dumped(preview.model_copy(update={"facts": facts, "effect": "moved", "basis": ""}))
