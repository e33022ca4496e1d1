"""Where something in a YAML file is wrong, in words for whoever writes it."""

import difflib
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from types import UnionType
from typing import Any

from pydantic import BaseModel, ValidationError
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


@dataclass(frozen=True)
class Place:
    """Something wrong; line and column count from 1."""

    line: int
    column: int
    message: str
    suggestion: str


class Places:
    """Collects what is wrong."""

    def __init__(self) -> None:
        self.places: list[Place] = []

    def wrong(self, node: Node, message: str, suggestion: str) -> None:
        """At a node."""
        self.places.append(Place(node.line, node.column, message, suggestion))

    def duplicates(self, root: Node) -> None:
        """Keys that stand twice, anywhere in a tree."""
        for node in root.walk():
            for key in node.duplicates:
                self.wrong(key, f"{key.value!r} stands here twice.", "Keep one of them.")

    def validate(self, node: Node, adapter: Any, model: Any) -> Any:
        """A node as what an adapter makes of it; None, and the places, if it does not fit. `model` has the keys."""
        try:
            return adapter.validate_python(node.plain())
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                if not _other_branch(node, detail):
                    self._misfit(node, detail, model)
            return None

    def _misfit(self, node: Node, detail: ErrorDetails, model: Any) -> None:
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


def nearest(name: Any, known: Iterable[str]) -> str:
    """A suggestion: the known word that is meant, or all of them."""
    words = list(islice(known, MOST_KNOWN))
    close = difflib.get_close_matches(str(name), words, 1, 0.6)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known are {', '.join(words[:20])}." if words else ""


def _other_branch(node: Node, detail: ErrorDetails) -> bool:
    """Whether it is about the branch of a union that is not meant: a word where keys are given, or keys for a word."""
    path = _real(node, detail["loc"])
    if len(path) == len(detail["loc"]):
        return False
    given = isinstance(node.at(*path).value, dict)
    return detail["type"] == ("literal_error" if given else "model_type")


def _real(node: Node, path: tuple[Any, ...]) -> tuple[str | int, ...]:
    """Without the steps that pydantic adds for the branches of a union."""
    found: list[str | int] = []
    for step in path:
        if _exists(node.at(*found), step):
            found.append(step)
    return tuple(found)


def _exists(node: Node, step: Any) -> bool:
    if isinstance(node.value, dict):
        return step in node.value
    return isinstance(node.value, list) and isinstance(step, int) and step < len(node.value)


def _fields_at(model: Any, path: Iterable[str | int]) -> list[str]:
    """The keys that there are at a path of a model."""
    for step in (step for step in path if isinstance(step, str)):
        fields = model.model_fields if _is_model(model) else {}
        model = _model_in(fields[step].annotation) if step in fields else None
    return list(model.model_fields) if _is_model(model) else []


def _model_in(kind: Any) -> Any:
    if _is_model(kind):
        return kind
    inside = typing.get_args(kind) if isinstance(kind, UnionType) or typing.get_origin(kind) else ()
    return next((found for option in inside if (found := _model_in(option)) is not None), None)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
