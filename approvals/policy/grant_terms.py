"""What a standing grant lets pass: a canonical document, a sentence for people, one question. Pure, strictly typed.

    {"arguments": {"amount": {"is": "between", "least": 0, "most": 5000}, "order": {"is": "equal", "value": 7}},
     "minutes": 15, "uses": 5, "v": 1}

Values are encoded (`protocol.canonical`), so 1, 1.0, "1" and true are four different values, and a bound that is a
whole number admits whole numbers only. (What a gate sends as 1e0 is the decimal number 1.0.) Lists and objects are
equal as a whole, or anything at all. A call has exactly the arguments that the terms name. A redacted value is never
within any terms. `facts`, where they are, say the same of facts of the call's preview, by name: one without them is not
within the terms.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from approvals.errors import Invalid
from approvals.protocol.canonical import (
    JsonObject,
    canonical,
    check_encoded,
    decode,
    is_redacted,
)

VERSION = 1
MAX_ARGUMENTS = 25
"""Nobody reads more conditions than that."""
MAX_CHOICES = 20
MAX_WORDS = 2_000
"""Characters of all conditions in words: what is not read whole is not granted."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HIDDEN = {"Cc", "Cf", "Zl", "Zp", "Co", "Cn", "Cs"}


@dataclass(frozen=True)
class Equal:
    """Exactly this value, of this type."""

    value: Any

    def admits(self, value: object) -> bool:
        return canonical(value) == canonical(self.value)

    def document(self) -> JsonObject:
        return {"is": "equal", "value": self.value}

    def words(self) -> str:
        return f"exactly {value_words(self.value)}"


@dataclass(frozen=True)
class Between:
    """A number of the bounds' own type, from `least` to `most`, both included; None for no bound on that side."""

    least: Any
    most: Any

    def admits(self, value: object) -> bool:
        bounds = [bound for bound in (self.least, self.most) if bound is not None]
        if number_type(value) is None or any(number_type(bound) != number_type(value) for bound in bounds):
            return False
        number = decode(value)
        above = self.least is None or decode(self.least) <= number
        return bool(bounds) and above and (self.most is None or number <= decode(self.most))

    def document(self) -> JsonObject:
        return {"is": "between", "least": self.least, "most": self.most}

    def words(self) -> str:
        kind = f"any {number_type(self.most if self.least is None else self.least)}"
        if self.least is None:
            return f"{kind} up to {value_words(self.most)}, below zero too"
        if self.most is None:
            return f"{kind} from {value_words(self.least)} upwards, without end"
        return f"{kind} from {value_words(self.least)} to {value_words(self.most)}"


@dataclass(frozen=True)
class OneOf:
    """One of these values, each of its own type."""

    values: tuple[Any, ...]

    def admits(self, value: object) -> bool:
        return canonical(value) in {canonical(known) for known in self.values}

    def document(self) -> JsonObject:
        return {"is": "one_of", "values": list(self.values)}

    def words(self) -> str:
        return f"one of {', '.join(map(value_words, self.values))}"


@dataclass(frozen=True)
class Anything:
    """Any value at all: somebody chose so."""

    def admits(self, value: object) -> bool:
        return True

    def document(self) -> JsonObject:
        return {"is": "any"}

    def words(self) -> str:
        return "ANY VALUE"


Constraint = Equal | Between | OneOf | Anything


@dataclass(frozen=True)
class GrantTerms:
    """So many further calls, within so many minutes, with such arguments (by their encoded names)."""

    uses: int
    minutes: int
    arguments: dict[str, Constraint]
    facts: dict[str, Constraint] = field(default_factory=dict)
    """Of its preview, by their names."""

    def dump(self) -> str:
        """The canonical text: what is voted on, and kept."""
        conditions = {name: constraint.document() for name, constraint in self.arguments.items()}
        document = {"v": VERSION, "uses": self.uses, "minutes": self.minutes, "arguments": conditions}
        facts = {name: constraint.document() for name, constraint in self.facts.items()}
        return canonical(document | ({"facts": facts} if facts else {})).decode()


def parse(text: str) -> GrantTerms:
    """The terms of a canonical text. Raises Invalid for anything that `GrantTerms.dump` does not write."""
    try:
        document = json.loads(text)
        terms = GrantTerms(
            _count(document["uses"]),
            _count(document["minutes"]),
            {name: _constraint(given) for name, given in document["arguments"].items()},
            {name: _constraint(given) for name, given in document.get("facts", {}).items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Invalid("These terms of a grant cannot be read.", hint="Make them anew from the card.") from error
    if terms.dump() != text:
        raise Invalid("These terms of a grant are not in their canonical form.", hint="Make them anew from the card.")
    check_encoded(dict.fromkeys(terms.arguments, 0))
    if len(terms.arguments) + len(terms.facts) > MAX_ARGUMENTS or sum(map(len, conditions(terms))) > MAX_WORDS:
        raise Invalid("These terms are too long to be read in a sentence.", hint="Approve this call alone.")
    return terms


def fits(terms: GrantTerms, arguments: object, facts: Mapping[str, object] = MappingProxyType({})) -> bool:
    """Whether a call\'s encoded arguments, and the facts of its preview, are within the terms."""
    if not isinstance(arguments, dict) or arguments.keys() != terms.arguments.keys() or has_redacted(arguments):
        return False
    if any(name not in facts or not constraint.admits(facts[name]) for name, constraint in terms.facts.items()):
        return False
    return all(constraint.admits(arguments[name]) for name, constraint in terms.arguments.items())


def check_of_call(terms: GrantTerms, arguments: JsonObject, facts: Mapping[str, object] = MappingProxyType({})) -> None:
    """Raises Invalid unless the terms are about such a call as this one: its arguments, their types, and for `equal`
    its own values; and facts of its preview, likewise."""
    if terms.arguments.keys() != arguments.keys():
        raise Invalid("These terms are about other arguments.", hint="Make them from this card.")
    if why := not_grantable(arguments):
        raise Invalid(f"Further calls like this cannot be allowed: {why}.", hint="Approve this call alone.")
    for name, constraint in terms.arguments.items():
        if not _is_about(constraint, arguments[name]):
            raise Invalid(f"The condition on {name_words(name)} is not about a value like this call's.")
    for name, constraint in terms.facts.items():
        if name not in facts or not _is_about(constraint, facts[name]):
            raise Invalid(f"The condition on the fact {name_words(name)} is not about one of this call's preview.")


def not_grantable(arguments: JsonObject) -> str:
    """Why no terms can be made of such arguments, in words; empty if they can."""
    if has_redacted(arguments):
        return "a secret argument cannot be shown, nor compared"
    exact = GrantTerms(1, 1, {name: Equal(value) for name, value in arguments.items()})
    if len(arguments) > MAX_ARGUMENTS or sum(map(len, conditions(exact))) > MAX_WORDS:
        return "its arguments are too long to be read in a sentence"
    return ""


def has_redacted(value: object) -> bool:
    """Whether an encoded value holds a stand-in anywhere."""
    if is_redacted(value):
        return True
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(has_redacted, parts))


def sentence(terms: GrantTerms, agent: str, server: str, tool: str) -> str:
    """All that the terms let pass."""
    times = "once more" if terms.uses == 1 else f"up to {terms.uses} more times"
    span = "1 minute" if terms.minutes == 1 else f"{terms.minutes} minutes"
    said = "; ".join(conditions(terms))
    within = f"with exactly these arguments: {said}" if said else "without any arguments"
    return f"{agent} may call {server}.{_escaped(tool)} {times}, for {span}, {within}."


def conditions(terms: GrantTerms) -> list[str]:
    """What each argument must be, by name, and each fact of the preview. Different terms read differently."""
    arguments = [f"{name_words(name)} {constraint.words()}" for name, constraint in sorted(terms.arguments.items())]
    facts = [
        f"and only if its preview says of {value_words(name)}: {constraint.words()}"
        for name, constraint in sorted(terms.facts.items())
    ]
    return arguments + facts


def number_type(value: object) -> str | None:
    """What an encoded number is called; None for what is no number."""
    if isinstance(value, dict):
        return {("$int",): "whole number", ("$float",): "decimal number"}.get(tuple(value))
    kinds: dict[type, str] = {int: "whole number", float: "decimal number"}
    return kinds.get(type(value))


def value_words(value: object) -> str:
    """An encoded value as JSON that reads one way only: text in quotes, hidden characters as escapes."""
    return _escaped(json.dumps(decode(value), ensure_ascii=False, sort_keys=True))


def name_words(name: str) -> str:
    """An argument's encoded name; in quotes unless it is a plain word."""
    plain = str(next(iter(decode({name: 0}))))
    return plain if _PLAIN.fullmatch(plain) else value_words(plain)


def _escaped(text: str) -> str:
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def _count(value: object) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("not a count")
    return value


def _constraint(given: JsonObject) -> Constraint:
    match given:
        case {"is": "equal", "value": value, **rest} if not rest:
            return Equal(_shown(value))
        case {"is": "between", "least": least, "most": most, **rest} if not rest:
            return _between(least, most)
        case {"is": "one_of", "values": [_, *_] as values, **rest} if not rest and len(values) <= MAX_CHOICES:
            if len({canonical(value) for value in values}) < len(values):
                raise ValueError("a choice twice")
            return OneOf(tuple(map(_shown, values)))
        case {"is": "any", **rest} if not rest:
            return Anything()
    raise ValueError("no such condition")


def _between(least: object, most: object) -> Between:
    bounds = [_shown(bound) for bound in (least, most) if bound is not None]
    types = {number_type(bound) for bound in bounds}
    if len(types) != 1 or None in types or (len(bounds) == 2 and decode(least) > decode(most)):
        raise ValueError("no such bounds")
    return Between(least, most)


def _shown(value: object) -> object:
    check_encoded(value)
    if has_redacted(value):
        raise ValueError("a secret")
    return value


def _is_about(constraint: Constraint, value: object) -> bool:
    if isinstance(constraint, Equal):
        return constraint.admits(value)
    if isinstance(constraint, Between):
        bound = constraint.most if constraint.least is None else constraint.least
        return number_type(bound) == number_type(value)
    return not isinstance(constraint, OneOf) or all(_type(known) == _type(value) for known in constraint.values)


def _type(value: object) -> str:
    return number_type(value) or type(value).__name__
