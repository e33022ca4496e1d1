"""The form that makes the terms of a standing grant."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from approvals.errors import Invalid
from approvals.policy.grant_terms import (
    MAX_CHOICES,
    Anything,
    Between,
    Constraint,
    Equal,
    GrantTerms,
    OneOf,
    name_words,
    number_type,
    value_words,
)
from approvals.protocol.canonical import decode, encode

EXACTLY = "exactly this call's value"
ANY = "any value at all"
UNLIMITED = "anything: it limits nothing"
FEW = {"uses": 3, "minutes": 15}
"""What the form offers, where the rule allows as much."""


@dataclass(frozen=True)
class Field:
    """One argument of the call on the form."""

    number: int
    label: str
    shown: str
    choices: dict[str, str]
    chosen: str
    typed: str
    """What may be typed for it; empty for nothing."""
    text: str
    fact: bool = False
    """Whether it is one of the preview's facts."""


def fields(
    arguments: Mapping[str, object], given: Mapping[str, str], facts: Mapping[str, object] = MappingProxyType({})
) -> list[Field]:
    """The form's fields, with what was filled in before. Arguments are exact until somebody chooses otherwise, and
    facts of the preview limit nothing."""
    known = [_field(number, name, arguments[name], given) for number, name in enumerate(arguments)]
    return known + [_fact(len(known) + number, name, facts[name], given) for number, name in enumerate(facts)]


def terms_of(
    arguments: Mapping[str, object], given: Mapping[str, str], facts: Mapping[str, object] = MappingProxyType({})
) -> GrantTerms:
    """What a filled-in form says. Raises Invalid."""
    chosen = {
        name: _constraint(
            name, arguments[name], given.get(f"how_{number}", "equal"), given.get(f"value_{number}", "").strip("\r\n")
        )
        for number, name in enumerate(arguments)
    }
    limits = {}
    for number, name in enumerate(facts, len(arguments)):
        how, text = given.get(f"how_{number}", "any"), given.get(f"value_{number}", "").strip("\r\n")
        if how != "any":
            limits[name] = _constraint(name, facts[name], how, text)
    return GrantTerms(_count(given, "uses"), _count(given, "minutes"), chosen, limits)


def _fact(number: int, name: str, value: object, given: Mapping[str, str]) -> Field:
    made = _field(number, name, value, {f"how_{number}": "any"} | dict(given))
    return replace(made, label=name, choices={"any": UNLIMITED} | _without_any(made.choices), fact=True)


def _without_any(choices: Mapping[str, str]) -> dict[str, str]:
    return {key: words for key, words in choices.items() if key != "any"}


def _field(number: int, name: str, value: object, given: Mapping[str, str]) -> Field:
    kind, plain = number_type(value), decode(value)
    choices, typed, text = {"equal": EXACTLY}, "", ""
    if kind is not None:
        lowest = "from 0 up to" if plain >= 0 else "anything up to"
        choices |= {"at_most": f"{lowest} the value", "at_least": "the value or more", "one_of": "one of the values"}
        typed, text = f"a {kind}; several with commas", str(plain)
    elif isinstance(value, str):
        choices |= {"one_of": "one of the values"}
        typed, text = "one a line, without quotes", "" if "\n" in value or "\r" in value else value
    chosen = given.get(f"how_{number}", "equal")
    return Field(
        number,
        name_words(name),
        value_words(value),
        choices | {"any": ANY},
        chosen,
        typed,
        given.get(f"value_{number}", text),
    )


def _constraint(name: str, value: object, how: str, text: str) -> Constraint:
    kind = number_type(value)
    if how == "equal":
        return Equal(value)
    if how == "any":
        return Anything()
    if how == "one_of" and kind is not None:
        return _one_of(name, [_number(name, kind, part) for part in text.split(",")])
    if how == "one_of" and isinstance(value, str):
        return _one_of(name, [line for line in text.replace("\r\n", "\n").split("\n") if line])
    if how == "at_most" and kind is not None:
        most = _number(name, kind, text)
        if decode(value) < 0:
            return Between(None, most)
        if decode(most) < 0:
            raise Invalid(f"{name_words(name)} is not below zero in this call, so its limit cannot be.")
        return Between(encode(0 if kind == "whole number" else 0.0), most)
    if how == "at_least" and kind is not None:
        return Between(_number(name, kind, text), None)
    raise Invalid(f"There is no such condition on {name_words(name)}.", hint="Choose one of those offered.")


def _number(name: str, kind: str, text: str) -> object:
    """A typed number of the very type of the call's value, encoded."""
    try:
        plain = text.strip()
        if len(plain) > 100 or not plain.isascii() or "_" in plain:
            raise ValueError("no number")
        number = int(plain) if kind == "whole number" else float(plain)
        if not math.isfinite(number):
            raise ValueError("no number")
    except (ValueError, OverflowError) as error:
        raise Invalid(f"The value for {name_words(name)} has to be a {kind}.") from error
    return encode(number)


def _one_of(name: str, values: Sequence[object]) -> OneOf:
    """Each value once, in the order typed."""
    distinct = tuple({value_words(value): value for value in values}.values())
    if not 0 < len(distinct) <= MAX_CHOICES:
        raise Invalid(f"{name_words(name)}: 1 to {MAX_CHOICES} values to choose from.")
    return OneOf(distinct)


def _count(given: Mapping[str, str], name: str) -> int:
    text = given.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 8) or int(text) < 1:
        raise Invalid(f"How many {name}? It has to be a whole number from 1.")
    return int(text)
