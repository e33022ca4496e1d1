"""Where something in a YAML file is wrong, in words for whoever writes it."""

import difflib
import typing
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from types import UnionType
from typing import TypeGuard, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from approvals.policy.yaml_nodes import Node

_WORDS = {
    "string_type": ("This is text.", "Write words, in quotes if they look like a number."),
    "int_type": ("This is a whole number.", "Write digits only."),
    "bool_type": ("This is true or false.", "Write true or false."),
    "list_type": ("This is a list.", "Write [one, another]."),
    "dict_type": ("This has keys of its own.", "Write {key: value}."),
    "model_type": ("This has keys of its own.", "Write {key: value}."),
    "model_attributes_type": ("This has keys of its own.", "Write {key: value}."),
}

MOST_KNOWN = 1_000
"""Names that a suggestion is looked for among."""
MOST_TOLD = 200
T = TypeVar("T")


@dataclass(frozen=True)
class Diagnostic:
    """Something wrong; line and column count from 1."""

    line: int
    column: int
    message: str
    suggestion: str
    excerpt: str = ""
    """The line as it stands."""

    def report(self, name: str = "policy") -> str:
        """Three lines for a terminal or a log: what, where, what to do."""
        first = max(0, self.column - 100)  # a line may be as long as the file
        shown = self.excerpt[first : self.column + 100].replace("\t", " ")
        shown = "".join(letter if letter.isprintable() else "�" for letter in shown)
        lines = [
            f"{name}:{self.line}:{self.column}: {self.message}",
            f"    {shown}",
            f"    {' ' * (self.column - 1 - first)}^ {self.suggestion}".rstrip(),
        ]
        return "\n".join(lines)


def in_order(text: str, found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The first MOST_TOLD of these, in the text's order, with their lines."""
    lines = text.splitlines() or [""]
    ordered = sorted(set(found), key=lambda one: (one.line, one.column))
    return [replace(one, excerpt=lines[min(one.line, len(lines)) - 1]) for one in ordered[:MOST_TOLD]]


class Diagnostics:
    """All that is wrong with one text."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def wrong(self, node: Node, message: str, suggestion: str) -> None:
        """Say what is wrong at a node."""
        self.found.append(Diagnostic(node.line, node.column, message, suggestion))

    def duplicates(self, root: Node) -> None:
        """Say which keys stand twice, anywhere in a tree."""
        for node in root.walk():
            for key in node.duplicates:
                self.wrong(key, f"{key.value!r} stands here twice.", "Keep one of them.")

    def validate(self, node: Node, adapter: TypeAdapter[T], model: type[BaseModel] | None) -> T | None:
        """What an adapter makes of a node; None, and diagnostics, if it does not fit. `model` has the keys."""
        try:
            return adapter.validate_python(node.plain())
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                if not _other_branch(node, detail):
                    self._tell(node, detail, model)
            return None

    def _tell(self, node: Node, detail: ErrorDetails, model: type[BaseModel] | None) -> None:
        path = _real(node, detail["loc"])
        kind, context = detail["type"], detail.get("ctx", {})
        if kind == "extra_forbidden":
            known = _fields_at(model, path[:-1])
            name = str(path[-1])
            self.wrong(node.key(*path), f"Unknown key {name!r}.", nearest(name, known))
        elif kind == "missing":
            name = str(detail["loc"][-1])
            self.wrong(node.at(*path), f"{name!r} is missing.", f"Add `{name}: …`.")
        elif kind in {"literal_error", "enum"}:
            options = [word.strip("'\" ") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
            self.wrong(node.at(*path), f"This is {' or '.join(options)}.", nearest(node.at(*path).value, options))
        elif kind == "duration":
            self.wrong(node.at(*path), detail["msg"], str(context.get("suggestion", "")))
        elif kind == "string_pattern_mismatch" and path[-1:] == ("id",):
            self.wrong(node.at(*path), "An id is letters, digits, - _ and .", "Begin it with a letter or digit.")
        else:
            message, suggestion = _WORDS.get(kind, (f"{detail['msg']}.", ""))
            self.wrong(node.at(*path), message, suggestion)


def nearest(name: object, known: Iterable[str]) -> str:
    """A suggestion: the known word that is meant, or all of them."""
    words = list(islice(known, MOST_KNOWN))
    close = difflib.get_close_matches(str(name), words, 1, 0.6)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known are {', '.join(words[:20])}." if words else ""


def _other_branch(node: Node, detail: ErrorDetails) -> bool:
    """Whether a problem is about the branch of a union that is not meant: a word for given keys, or keys for a word."""
    path = _real(node, detail["loc"])
    if len(path) == len(detail["loc"]):
        return False
    given = isinstance(node.at(*path).value, dict)
    return detail["type"] == ("literal_error" if given else "model_type")


def _real(node: Node, path: Iterable[str | int]) -> tuple[str | int, ...]:
    """A path without the steps that pydantic adds for the branches of a union."""
    found: list[str | int] = []
    for step in path:
        if _exists(node.at(*found), step):
            found.append(step)
    return tuple(found)


def _exists(node: Node, step: str | int) -> bool:
    if isinstance(node.value, dict):
        return step in node.value
    return isinstance(node.value, list) and isinstance(step, int) and step < len(node.value)


def _fields_at(model: type[BaseModel] | None, path: Iterable[str | int]) -> list[str]:
    """The keys that there are at a path of a model."""
    for step in (step for step in path if isinstance(step, str)):
        fields = model.model_fields if _is_model(model) else {}
        model = _model_in(fields[step].annotation) if step in fields else None
    return list(model.model_fields) if _is_model(model) else []


def _model_in(kind: object) -> type[BaseModel] | None:
    if _is_model(kind):
        return kind
    inside = typing.get_args(kind) if isinstance(kind, UnionType) or typing.get_origin(kind) else ()
    return next((found for option in inside if (found := _model_in(option)) is not None), None)


def _is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
