"""One JSON-RPC message: its bytes, which are passed on as they came, and what the proxy has to know of it. Pure.

What the upstream would read differently is refused here: a name twice, a name in other letters, two messages in one.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isinf
from typing import Any

from mcp_types import INVALID_REQUEST, PARSE_ERROR

MAX_MESSAGE = 33_554_432
"""Bytes of one message."""

RequestId = str | int | float

_ENVELOPE = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
_CALL = frozenset({"name", "arguments", "task", "_meta", "requestState", "inputResponses"})
_SPACE = re.compile(r"[ \t\n\r]*")
_SEEN = "LMNPS"
"""Classes of characters that can be seen; all others (controls, formats, blanks) a reader may cut off or skip."""


class Unreadable(Exception):
    """No message that can be passed on: `code` is JSON-RPC's."""

    def __init__(self, code: int, words: str, of: RequestId | None = None) -> None:
        super().__init__(words)
        self.code = code
        self.of = of
        """The id of the request that cannot be read, as far as it can."""


@dataclass(frozen=True)
class Frame:
    """One message, as it came: on one line."""

    raw: bytes
    members: Mapping[str, Any]
    where: slice | None = None
    """Where the id stands, in the characters of a message that was read."""

    @property
    def id(self) -> RequestId | None:
        found: RequestId | None = self.members.get("id")
        return found

    @property
    def method(self) -> str | None:
        """None for a response."""
        found: str | None = self.members.get("method")
        return found

    @property
    def is_request(self) -> bool:
        return "method" in self.members and "id" in self.members

    @property
    def is_response(self) -> bool:
        return "method" not in self.members

    @cached_property
    def params(self) -> Mapping[str, Any]:
        return _mapping(self.members.get("params"))

    @cached_property
    def meta(self) -> Mapping[str, Any]:
        return _mapping(self.params.get("_meta"))

    @property
    def result(self) -> Mapping[str, Any]:
        """Of a response; empty for an error."""
        return _mapping(self.members.get("result"))

    @property
    def error(self) -> Mapping[str, Any] | None:
        """Of a response; None for a result."""
        return _mapping(self.members["error"]) if "error" in self.members else None


def read(raw: bytes) -> Frame:
    """Raises Unreadable."""
    if len(raw) > MAX_MESSAGE:
        raise Unreadable(INVALID_REQUEST, f"This message is {len(raw):,} bytes; {MAX_MESSAGE:,} is the most.")
    text = _line(_text(raw))
    if text[:1] == "[":
        raise Unreadable(INVALID_REQUEST, "Batches are not passed on: send each message by itself.")
    members, spans = _members(text, _ENVELOPE)
    _check(members)
    if members.get("method") == "tools/call" and "params" in members:
        params = text[spans["params"]]
        _, within = _members(params, _CALL, members.get("id"))
        if "arguments" in within:
            _check_names(params[within["arguments"]], members.get("id"))
    return Frame(text.encode(), members, spans.get("id"))


def request(id: RequestId, method: str, params: Mapping[str, Any]) -> Frame:
    """A request of the proxy's own, or one that it words anew."""
    return made({"jsonrpc": "2.0", "id": id, "method": method, "params": params})


def notification(method: str, params: Mapping[str, Any]) -> Frame:
    """A notification."""
    return made({"jsonrpc": "2.0", "method": method, "params": params})


def result(id: RequestId | None, value: Mapping[str, Any]) -> Frame:
    """The answer to a request."""
    return made({"jsonrpc": "2.0", "id": id, "result": value})


def error(id: RequestId | None, code: int, words: str) -> Frame:
    """The refusal of a request, which may be of no id that could be read."""
    return made({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": words}})


def with_id(frame: Frame, id: RequestId | None) -> Frame:
    """A request, or a response, under another id; all else as it came."""
    members = {**frame.members, "id": id}
    if frame.where is None:
        return made(members)
    text, start, end = frame.raw.decode(), frame.where.start, frame.where.stop
    other = json.dumps(id)
    return Frame(f"{text[:start]}{other}{text[end:]}".encode(), members, slice(start, start + len(other)))


def made(members: Mapping[str, Any]) -> Frame:
    """A message of the proxy's own."""
    return Frame(json.dumps(members, separators=(",", ":")).encode(), members)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(PARSE_ERROR, "This message is not UTF-8.") from error


def _line(text: str) -> str:
    """Without line ends, which are only white space in JSON: for some upstreams the next message begins there."""
    return text.strip(" \t\r\n").replace("\r", " ").replace("\n", " ")


def _check(members: Mapping[str, Any]) -> None:
    id = members.get("id")
    whose = id if _is_id(id) else None
    method = members.get("method")
    if "method" in members:
        if not isinstance(method, str) or members.keys() & {"result", "error"}:
            raise Unreadable(INVALID_REQUEST, "This is no request, notification or response.", whose)
        if method != "tools/call" and re.sub("/+", "/", _plain(method)).strip("/") == "tools/call":
            raise Unreadable(INVALID_REQUEST, f"There is no method {method!r}.", whose)
        if "id" in members and whose is None:
            raise Unreadable(INVALID_REQUEST, "The id of a request is a string or a number.")
    elif len(members.keys() & {"result", "error"}) != 1 or not (whose is not None or members.get("id", "") is None):
        raise Unreadable(INVALID_REQUEST, "This is no request, notification or response.", whose)
    if not isinstance(members.get("params", {}), dict):
        raise Unreadable(INVALID_REQUEST, "The params of a message are an object.", whose)


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _members(text: str, names: frozenset[str], of: RequestId | None = None) -> tuple[dict[str, Any], dict[str, slice]]:
    """An object's, each once, and where their values stand. Raises Unreadable for a name that somebody else may take
    for one of `names`."""
    members: dict[str, Any] = {}
    spans: dict[str, slice] = {}
    for name, value, span in _walk(text, members, of):
        whose = _whose(members, of)
        if name in members:
            raise Unreadable(INVALID_REQUEST, f"{name[:100]!r} stands there twice.", whose)
        if name not in names and _plain(name) in _FOLDED[names]:
            raise Unreadable(INVALID_REQUEST, f"{name[:100]!r} is written in other letters.", whose)
        members[name], spans[name] = value, span
    return members, spans


def _whose(members: Mapping[str, Any], of: RequestId | None) -> RequestId | None:
    return members["id"] if _is_id(members.get("id")) else of


def _check_names(arguments: str, of: RequestId | None) -> None:
    """Raises Unreadable for a name that stands twice in one object: one reader takes the first, another the last."""

    def once(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            twice = next(name for i, name in enumerate(names) if name in names[:i])
            raise Unreadable(INVALID_REQUEST, f"{twice[:100]!r} stands twice in the arguments.", of)

    try:
        json.loads(arguments, object_pairs_hook=once)
    except RecursionError as error:
        raise Unreadable(PARSE_ERROR, "This message is nested too deeply.", of) from error


def _plain(name: str) -> str:
    """As the most careless reader may take it: letters of one width and case, seen ones, up to a NUL."""
    wide = unicodedata.normalize("NFKC", name.lstrip("\0").partition("\0")[0])
    return "".join(character for character in wide if unicodedata.category(character)[0] in _SEEN).casefold()


_FOLDED = {names: frozenset(map(_plain, names)) for names in (_ENVELOPE, _CALL)}


def _walk(text: str, members: Mapping[str, Any], of: RequestId | None) -> Iterator[tuple[str, Any, slice]]:
    """Step by step: who reads them into `members` knows the id before what comes after it cannot be read."""
    try:
        yield from _steps(text)
    except RecursionError as error:
        raise Unreadable(PARSE_ERROR, "This message is nested too deeply.", _whose(members, of)) from error
    except ValueError as error:
        raise Unreadable(PARSE_ERROR, f"This message is no JSON object: {error}", _whose(members, of)) from error


def _steps(text: str) -> Iterator[tuple[str, Any, slice]]:
    """Names and values of the object that the text is, and where each value stands."""
    at = _after(text, 0, "{")
    more = text[at : at + 1] != "}"
    at = at if more else at + 1
    while more:
        name, at = _DECODER.raw_decode(text, at)
        if not isinstance(name, str):
            raise ValueError("a name is no string")
        start = _after(text, at, ":")
        value, end = _DECODER.raw_decode(text, start)
        yield name, value, slice(start, end)
        at = _space(text, end)
        more = text[at : at + 1] == ","
        at = _after(text, at, "," if more else "}")
    if _space(text, at) != len(text):
        raise ValueError("more after its end")


def _after(text: str, at: int, what: str) -> int:
    at = _space(text, at)
    if text[at : at + 1] != what:
        raise ValueError(f"no {what!r} at {at}")
    return _space(text, at + 1)


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if isinf(value):
        raise ValueError("a number is too large")
    return value


_DECODER = json.JSONDecoder(parse_constant=_refused, parse_float=_finite)
