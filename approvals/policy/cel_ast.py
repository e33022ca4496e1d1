"""A checked condition as a tree: what it touches of a call, and whether a tool has such arguments.

Read from the engine's own serialized form (`cel.expr.CheckedExpr`, protobuf wire format). What cannot be read with
certainty is `Unclear`, and touches everything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from approvals.policy.protobuf_reader import Field, fields
from approvals.policy.schema_types import ANY, EACH, Path, Type

EVERYTHING: Path = ("args",)


@dataclass(frozen=True)
class Expression:
    """One expression; `position` counts characters of the text."""

    position: int
    children: tuple["Expression", ...] = ()


@dataclass(frozen=True)
class Unclear(Expression):
    """An expression of a kind that is not known here."""


@dataclass(frozen=True)
class Constant(Expression):
    value: Any = None
    """Text, an int or a bool; None for others."""


@dataclass(frozen=True)
class Name(Expression):
    name: str = ""


@dataclass(frozen=True)
class Select(Expression):
    """`children[0].name`, or `has()` of it."""

    name: str = ""
    test: bool = False


@dataclass(frozen=True)
class FunctionCall(Expression):
    """A function or operator; the target, if any, comes first."""

    function: str = ""


@dataclass(frozen=True)
class Loop(Expression):
    """A comprehension: children[0] is what it goes through."""

    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Miss:
    """A field that cannot be there."""

    position: int
    owner: str
    name: str
    known: tuple[str, ...] = field(default=())


def read(serialized: bytes) -> Expression:
    """The tree of a serialized condition; Unclear if it is not as expected."""
    try:
        outer = dict(fields(serialized))
        checked = dict(fields(outer[2]))
        places = dict(_position(entry) for number, entry in fields(checked[5]) if number == 4)
        return _node(checked[4], places)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, RecursionError):
        return Unclear(0)


def touched(node: Expression) -> frozenset[Path]:
    """The longest fixed paths that evaluating this can look at, `args` and others alike; `has()` looks, too. A place in
    a list is EACH."""
    return frozenset(_touched(node))


def misses(node: Expression, roots: Mapping[str, Type]) -> list[Miss]:
    """Fields that the types of the variables exclude."""
    found: list[Miss] = []
    _type(node, roots, found)
    return found


def _touched(node: Expression) -> Iterator[Path]:
    if isinstance(node, Unclear):
        yield EVERYTHING
    path = _path(node)
    if path is not None:
        yield path
        return
    if isinstance(node, FunctionCall) and node.function == "_[_]" and (owner := _path(node.children[0])) is not None:
        yield owner
        yield from _touched(node.children[1])
        return
    for child in node.children:
        yield from _touched(child)


def _path(node: Expression) -> Path | None:
    match node:
        case Name(name=name):
            return tuple(name.removeprefix(".").split(".")[:1])
        case Select(children=(owner,), name=name):
            above = _path(owner)
            return None if above is None else (*above, name)
        case FunctionCall(function="_[_]", children=(owner, Constant(value=str(key)))):
            above = _path(owner)
            return None if above is None else (*above, key)
        case FunctionCall(function="_[_]", children=(owner, Constant(value=int()))):
            above = _path(owner)
            return None if above is None else (*above, EACH)
    return None


def _type(node: Expression, scope: Mapping[str, Type], found: list[Miss]) -> Type:
    match node:
        case Name(name=name):
            return scope.get(name.removeprefix("."), ANY)
        case Select(children=(owner,), name=name):
            return _field(_type(owner, scope, found), name, owner, node.position + (not node.test), found)
        case FunctionCall(function="_[_]", children=(owner, Constant(value=str(key)))):
            return _field(_type(owner, scope, found), key, owner, node.children[1].position, found)
        case FunctionCall(function="_[_]", children=(owner, index)):
            _type(index, scope, found)
            return _type(owner, scope, found).item or ANY
        case FunctionCall(function="@in", children=(Constant(value=str(key)), owner)):
            _field(_type(owner, scope, found), key, owner, node.children[0].position, found)
        case Loop(children=(through, *parts), variables=variables):
            item = _type(through, scope, found).item or ANY
            inner = dict(scope) | dict.fromkeys(variables[1:], ANY) | {variables[0]: item}
            for part in parts:
                _type(part, inner, found)
        case _:
            for child in node.children:
                _type(child, scope, found)
    return ANY


def _field(known: Type, name: str, owner: Expression, position: int, found: list[Miss]) -> Type:
    if known.closed and name not in known.fields:
        path = _path(owner)
        found.append(Miss(position, ".".join(path) if path else "it", name, tuple(known.fields)))
        return ANY
    return known.fields.get(name, ANY)


def _node(raw: bytes, places: Mapping[int, int]) -> Expression:
    parts = fields(raw)
    at = places.get(next((value for number, value in parts if number == 2), 0), 0)
    kinds = [(number, value) for number, value in parts if number != 2]
    if len(kinds) != 1:
        return Unclear(at)
    kind, body = kinds[0][0], fields(kinds[0][1])
    of = dict(body)
    match kind:
        case 3:
            return Constant(at, value=_constant(body))
        case 4:
            return Name(at, name=of[1].decode())
        case 5:
            return Select(at, (_node(of[1], places),), name=of[2].decode(), test=bool(of.get(3, 0)))
        case 6:
            inner = tuple(_node(value, places) for number, value in sorted(body, key=_number) if number in {1, 3})
            return FunctionCall(at, inner, function=of[2].decode())
        case 7:
            return Expression(at, tuple(_node(value, places) for number, value in body if number == 1))
        case 8:
            entries = [fields(value) for number, value in body if number == 2]
            return Expression(at, tuple(_node(v, places) for entry in entries for n, v in entry if n in {3, 4}))
        case 9:
            names = tuple(of[number].decode() for number in (1, 8, 3) if number in of)
            return Loop(at, tuple(_node(of[number], places) for number in (2, 4, 5, 6, 7)), variables=names)
    return Unclear(at)


def _number(part: Field) -> int:
    return part[0]


def _constant(body: list[Field]) -> object:
    if len(body) != 1:
        return None
    number, value = body[0]
    match number:
        case 2:
            return bool(value)
        case 3:
            return value - (1 << 64) if value >= 1 << 63 else value
        case 6:
            return value.decode()
    return None


def _position(entry: bytes) -> tuple[int, int]:
    of = dict(fields(entry))
    return of.get(1, 0), of.get(2, 0)
