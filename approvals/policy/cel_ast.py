"""A checked condition as a tree: what it touches of a call, and whether a tool has such arguments.

Read from the engine's own serialized form (`cel.expr.CheckedExpr`, protobuf wire format). What cannot be read with
certainty is `Unclear`, and touches everything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from approvals.policy.schema_types import (
    ANY,
    EACH,
    Path,
    Shape,
)

EVERYTHING: Path = ("args",)


@dataclass(frozen=True)
class Node:
    """One expression; `position` counts characters of the text."""

    position: int
    children: tuple["Node", ...] = ()


@dataclass(frozen=True)
class Unclear(Node):
    """Of a kind that is not known here."""


@dataclass(frozen=True)
class Constant(Node):
    value: Any = None
    """Text, an int or a bool; None for others."""


@dataclass(frozen=True)
class Name(Node):
    name: str = ""


@dataclass(frozen=True)
class Select(Node):
    """`children[0].name`, or `has()` of it."""

    name: str = ""
    test: bool = False


@dataclass(frozen=True)
class Call(Node):
    """A function or operator; the target, if any, comes first."""

    function: str = ""


@dataclass(frozen=True)
class Loop(Node):
    """A comprehension: children[0] is what it goes through."""

    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Miss:
    """A field that cannot be there."""

    position: int
    owner: str
    name: str
    known: tuple[str, ...] = field(default=())


def read(serialized: bytes) -> Node:
    """The tree of a serialized condition; Unclear if it is not as expected."""
    try:
        outer = dict(_fields(serialized))
        checked = dict(_fields(outer[2]))
        places = dict(_position(entry) for number, entry in _fields(checked[5]) if number == 4)
        return _node(checked[4], places)
    except (KeyError, IndexError, ValueError, TypeError, RecursionError):
        return Unclear(0)


def touched(node: Node) -> frozenset[Path]:
    """The longest fixed paths that evaluating this can look at, `args` and others alike; `has()` looks, too. A place in
    a list is EACH."""
    return frozenset(_touched(node))


def misses(node: Node, roots: Mapping[str, Shape]) -> list[Miss]:
    """Fields that the shapes of the variables exclude."""
    found: list[Miss] = []
    _shape(node, roots, found)
    return found


def _touched(node: Node) -> Iterator[Path]:
    if isinstance(node, Unclear):
        yield EVERYTHING
    path = _path(node)
    if path is not None:
        yield path
        return
    if isinstance(node, Call) and node.function == "_[_]" and (owner := _path(node.children[0])) is not None:
        yield owner
        yield from _touched(node.children[1])
        return
    for child in node.children:
        yield from _touched(child)


def _path(node: Node) -> Path | None:
    match node:
        case Name(name=name):
            return tuple(name.removeprefix(".").split(".")[:1])
        case Select(children=(owner,), name=name):
            above = _path(owner)
            return None if above is None else (*above, name)
        case Call(function="_[_]", children=(owner, Constant(value=str(key)))):
            above = _path(owner)
            return None if above is None else (*above, key)
        case Call(function="_[_]", children=(owner, Constant(value=int()))):
            above = _path(owner)
            return None if above is None else (*above, EACH)
    return None


def _shape(node: Node, scope: Mapping[str, Shape], found: list[Miss]) -> Shape:
    match node:
        case Name(name=name):
            return scope.get(name.removeprefix("."), ANY)
        case Select(children=(owner,), name=name):
            return _field(_shape(owner, scope, found), name, owner, node.position + (not node.test), found)
        case Call(function="_[_]", children=(owner, Constant(value=str(key)))):
            return _field(_shape(owner, scope, found), key, owner, node.children[1].position, found)
        case Call(function="_[_]", children=(owner, index)):
            _shape(index, scope, found)
            return _shape(owner, scope, found).item or ANY
        case Call(function="@in", children=(Constant(value=str(key)), owner)):
            _field(_shape(owner, scope, found), key, owner, node.children[0].position, found)
        case Loop(children=(through, *parts), variables=variables):
            item = _shape(through, scope, found).item or ANY
            inner = dict(scope) | dict.fromkeys(variables[1:], ANY) | {variables[0]: item}
            for part in parts:
                _shape(part, inner, found)
        case _:
            for child in node.children:
                _shape(child, scope, found)
    return ANY


def _field(shape: Shape, name: str, owner: Node, position: int, found: list[Miss]) -> Shape:
    if shape.closed and name not in shape.fields:
        path = _path(owner)
        found.append(Miss(position, ".".join(path) if path else "it", name, tuple(shape.fields)))
        return ANY
    return shape.fields.get(name, ANY)


def _node(raw: bytes, places: Mapping[int, int]) -> Node:
    parts = _fields(raw)
    at = places.get(next((value for number, value in parts if number == 2), 0), 0)
    kinds = [(number, value) for number, value in parts if number != 2]
    if len(kinds) != 1:
        return Unclear(at)
    kind, body = kinds[0][0], _fields(kinds[0][1])
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
            return Call(at, inner, function=of[2].decode())
        case 7:
            return Node(at, tuple(_node(value, places) for number, value in body if number == 1))
        case 8:
            entries = [_fields(value) for number, value in body if number == 2]
            return Node(at, tuple(_node(v, places) for entry in entries for n, v in entry if n in {3, 4}))
        case 9:
            names = tuple(of[number].decode() for number in (1, 8, 3) if number in of)
            return Loop(at, tuple(_node(of[number], places) for number in (2, 4, 5, 6, 7)), variables=names)
    return Unclear(at)


def _number(part: tuple[int, Any]) -> int:
    return part[0]


def _constant(body: list[tuple[int, Any]]) -> Any:
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
    of = dict(_fields(entry))
    return of.get(1, 0), of.get(2, 0)


def _fields(raw: bytes) -> list[tuple[int, Any]]:
    """The fields of one message: numbers of varints as int, the others as bytes."""
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value: Any
            value, at = _varint(raw, at)
        elif wire in {1, 5}:
            size = 8 if wire == 1 else 4
            value, at = raw[at : at + size], at + size
        elif wire == 2:
            size, at = _varint(raw, at)
            value, at = raw[at : at + size], at + size
        else:
            raise ValueError(wire)
        if at > len(raw):
            raise ValueError("cut off")
        found.append((number, value))
    return found


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
