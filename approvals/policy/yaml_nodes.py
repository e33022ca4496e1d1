"""YAML as a tree that knows where everything stands. Strict: no tags, no anchors, no duplicate keys, YAML 1.2's words.

`off`, `on`, `yes`, `no` and dates are text (YAML 1.1 reads them as something else); true, false, null and numbers are
not.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 16

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}\Z")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")


class Unreadable(Exception):
    """The text is not such YAML; line and column count from 1."""

    def __init__(self, line: int, column: int, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.line, self.column, self.message, self.suggestion = line, column, message, suggestion


@dataclass
class Node:
    """A value and its place (from 1): `value` is a scalar, a list of nodes, or a dict of nodes."""

    line: int
    column: int
    value: Any
    end_line: int
    style: str = ""
    """Of a scalar: "", "'", '"', "|" or ">"."""
    keys: dict[str, "Node"] = field(default_factory=dict)
    duplicates: list["Node"] = field(default_factory=list)
    """Keys that stand there a second time."""

    def plain(self) -> object:
        """The node as ordinary data."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, *path: str | int) -> "Node":
        """The node at a path, or the last one on the way to it."""
        node = self
        for step in path:
            try:
                node = node.value[step]
            except (KeyError, IndexError, TypeError):
                break
        return node

    def key(self, *path: str | int) -> "Node":
        """The key at a path, where it is one; else the node there."""
        parent = self.at(*path[:-1])
        return parent.keys.get(str(path[-1]), parent.at(path[-1])) if path else self

    def walk(self) -> Iterator["Node"]:
        """Walk this node and all beneath it."""
        yield self
        below = self.value.values() if isinstance(self.value, dict) else self.value
        if isinstance(self.value, dict | list):
            for node in below:
                yield from node.walk()


def parse(text: str) -> Node:
    """The one document in a text. Raises Unreadable."""
    try:
        text.encode()
        events = iter(list(yaml.parse(text, Loader=_LOADER)))
        return _document(events)
    except UnicodeEncodeError as error:
        raise Unreadable(text.count("\n", 0, error.start) + 1, 1, "This line has half of a character in it.") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(line, 1, "This line has a character that no text has.", "Remove it.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        hint = _hint(error, _line(text, line))
        raise Unreadable(line, column, f"This is not YAML: {error.problem or error.context}.", hint) from error
    except RecursionError as error:
        raise Unreadable(1, 1, "This is nested too deeply.") from error


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1] if number <= len(lines) else ""


def _hint(error: yaml.MarkedYAMLError, line: str) -> str:
    problem = str(error.problem)
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "Indent with spaces, not with tabs."
    if "mapping values" in problem:
        return "Quote a text that has a colon in it, and look at the indentation."
    return "Look at the indentation, the brackets and the quotes just before."


def _document(events: Iterator[Any]) -> Node:
    next(events)  # the stream's start
    start = next(events)
    if isinstance(start, yaml.StreamEndEvent):
        raise Unreadable(1, 1, "The file is empty.", "Begin with `version: 1` and `rules:`.")
    root = _node(next(events), events, 0)
    next(events)  # the document's end
    after = next(events)
    if not isinstance(after, yaml.StreamEndEvent):
        mark = after.start_mark
        raise Unreadable(mark.line + 1, mark.column + 1, "A second document begins here.", "Keep one in a file.")
    return root


def _node(event: Any, events: Iterator[object], depth: int) -> Node:
    line, column = event.start_mark.line + 1, event.start_mark.column + 1
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise Unreadable(line, column, "Anchors and aliases are not allowed here.", "Write the value out.")
    if event.tag is not None:
        raise Unreadable(line, column, f"Tags ({event.tag}) are not allowed here.", "Write the plain value.")
    if depth > MAX_DEPTH:
        raise Unreadable(line, column, "This is nested too deeply.")
    if isinstance(event, yaml.ScalarEvent):
        style = event.style or ""
        value = event.value if style else _scalar(event.value)
        return Node(line, column, value, event.end_mark.line + 1, style)
    if isinstance(event, yaml.SequenceStartEvent):
        return _sequence(Node(line, column, [], line), events, depth)
    return _mapping(Node(line, column, {}, line), events, depth)


def _sequence(node: Node, events: Iterator[object], depth: int) -> Node:
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        node.value.append(_node(event, events, depth + 1))
    node.end_line = node.value[-1].end_line if node.value else event.end_mark.line + 1
    return node


def _mapping(node: Node, events: Iterator[Any], depth: int) -> Node:
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(event, events, depth + 1)
        if isinstance(key.value, dict | list):
            raise Unreadable(key.line, key.column, "A key is a word.")
        name = event.value  # as it is written: a key is always text
        value = _node(next(events), events, depth + 1)
        if name in node.value:
            key.value = name
            node.duplicates.append(key)
        else:
            node.value[name], node.keys[name] = value, key
        node.end_line = value.end_line
    return node


def _scalar(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if len(text) < 40 and _NUMBER.match(text):
        return float(text)
    return text
