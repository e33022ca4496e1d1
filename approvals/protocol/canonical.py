"""What was approved, as bytes and as a digest.

Arguments travel and are stored *encoded*: plain JSON, in which what JSON or RFC 8785 cannot carry exactly is an object
with one reserved key.

    {"$int": "9007199254740993"}                integers beyond ±(2^53 - 1)
    {"$float": "1.0"}                           floats that RFC 8785 would print as integers
    {"$redacted": "<hmac>", "length": 12}       a leaf that the gate's process keeps to itself

A literal key that starts with `$` gets one more `$`, so no literal argument can encode to the same bytes as another.
"""

import hashlib
import hmac
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import rfc8785

from approvals.errors import Invalid

MAX_DEPTH = 32
SAFE_INTEGER = 2**53 - 1
LONGEST_INTEGER = 12_955
"""Bits: 3,900 digits. Python writes no more than 4,300."""
DIGEST_VERSION = 1
JsonObject = dict[str, Any]
"""A JSON object whose members nobody has looked at yet."""
Place = tuple["Place", str | int] | None
"""Where in a value: the place around it, and the name or number there."""

_write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


class Canonical(bytes):
    """What `canonical` wrote. Digests take it for the value that it was made of, which is not written out again."""


def encode(value: object) -> Any:
    """JSON-like Python data (dict, list, str, int, float, bool, None) in its encoded form.

    Raises Invalid for NaN, infinities, lone surrogates, non-string keys, other types, and nesting over MAX_DEPTH.
    """
    return _encode(value, None, 0)


def decode(value: object, stand_in: Callable[[JsonObject], Any] = lambda leaf: leaf) -> Any:
    """The inverse of `encode`, with what `stand_in` makes of each redacted leaf: the object it is, unless told. Once
    decoded, a literal object with the members of a redacted leaf looks like one."""
    if isinstance(value, list):
        return [decode(item, stand_in) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$int"}:
        return int(value["$int"])
    if value.keys() == {"$float"}:
        return float(value["$float"])
    if is_redacted(value):
        return stand_in(value)
    return {_unescape(key): decode(item, stand_in) for key, item in value.items()}


def check_encoded(value: object) -> None:
    """Raise Invalid unless `value` is exactly what `encode` (and redaction) can produce: what a gate sends is checked,
    so that two gates cannot write one call in two ways."""
    _check(value, None, 0)


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Whether an encoded value is an object, and not a number or a stand-in in an object's clothes."""
    return isinstance(value, dict) and not any(key.startswith("$") and not key.startswith("$$") for key in value)


def is_redacted(value: object) -> TypeGuard[JsonObject]:
    """Whether an encoded value is a redacted leaf."""
    return isinstance(value, dict) and value.keys() == {"$redacted", "length"}


def canonical(value: Any) -> Canonical:
    """RFC 8785 bytes of encoded data. Without floats and beyond-ASCII text, the standard library writes the same bytes
    ten times as fast: ASCII keys sort alike, and it escapes alike."""
    if _is_plain(value):
        quick = _write(value)
        if quick.isascii():
            return Canonical(quick.encode())
    try:
        return Canonical(rfc8785.dumps(value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise Invalid(f"This cannot be written as canonical JSON: {error}") from error


def sha256(value: object) -> str:
    """Hex SHA-256 over the canonical bytes."""
    return hash_of(canonical(value))


def hash_of(raw: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(raw).hexdigest()


def digest(*, server: str, tool: str, tool_hash: str, arguments: object, preview: str | None = None) -> str:
    """The digest that a decision binds; `arguments` are encoded, `preview` is the hash of the effect that was shown."""
    content = {"v": DIGEST_VERSION, "server": server, "tool": tool, "tool_hash": tool_hash, "args": arguments}
    return _hash_of(content if preview is None else content | {"preview": preview})


def said_hash(pepper: bytes, said: object) -> str:
    """Names what a caller said; nobody without the pepper can try guesses."""
    return hmac.new(pepper, b"said\0" + canonical(encode(said)), hashlib.sha256).hexdigest()


def attach_key(*, caller: str, server: str, tool: str, said: object) -> str:
    """What makes two calls the same call: who asks, and for what: the name of what the caller said, or the arguments.
    The tool's definition is left out on purpose: a changed definition meets the old request and voids its votes."""
    return _hash_of({"v": DIGEST_VERSION, "caller": caller, "server": server, "tool": tool, "said": said})


def _hash_of(members: dict[str, object]) -> str:
    """As `sha256` of an object with ASCII names; members that are written already are taken as they are."""
    written = (value if isinstance(value, Canonical) else canonical(value) for _, value in sorted(members.items()))
    named = zip(sorted(members), written, strict=True)
    return hash_of(b"{%s}" % b",".join(b'"%s":%s' % (name.encode(), value) for name, value in named))


def redacted(pepper: bytes, path: str, value: object) -> dict[str, Any]:
    """The stand-in for a secret part of encoded data: equal values at equal paths of one server have equal stand-ins,
    and nobody without the pepper can try guesses. `length` counts characters of a string, else of its JSON."""
    mac = hmac.new(pepper, path.encode() + b"\0" + canonical(value), hashlib.sha256).hexdigest()
    return {"$redacted": mac, "length": len(value) if isinstance(value, str) else _length(value)}


def _length(value: object) -> int:
    """Characters of the JSON that encoded data stands for; of what is a stand-in already, those that it hides."""
    if isinstance(value, list):
        return 2 + sum(map(_length, value)) + max(0, len(value) - 1)
    if is_redacted(value):
        return int(value["length"])
    if not isinstance(value, dict):
        return len(canonical(value).decode())
    if not is_object(value):
        return sum(map(len, value.values()))
    return _length([_unescape(key) for key in value]) + sum(1 + _length(item) for item in value.values())


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if kind is list:
        return all(map(_is_plain, value))
    return kind is str or value is None or kind is bool or (kind is int and abs(value) <= SAFE_INTEGER)


def _named(place: Place) -> str:
    """A place in words, made only when there is something to say of it: names may be as long as all arguments."""
    steps: list[str] = []
    while place is not None:
        place, step = place
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step:.100}")
    return "".join(["$", *reversed(steps)])[:1000]


def _encode(value: object, path: Place, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise Invalid(f"Arguments are nested deeper than {MAX_DEPTH} levels.")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int):
        return value if abs(value) <= SAFE_INTEGER else _long(value, path)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Invalid(f"{_named(path)} is {value}, which JSON cannot carry.", hint="Send a finite number.")
        return {"$float": repr(value)} if value.is_integer() else value
    if isinstance(value, list | tuple):
        return [_encode(item, (path, i), depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {_escape(key, path): _encode(item, (path, str(key)), depth + 1) for key, item in value.items()}
    raise Invalid(f"{_named(path)} is a {type(value).__name__}, which is not JSON.")


def _long(value: int, path: Place) -> dict[str, str]:
    if value.bit_length() > LONGEST_INTEGER:
        raise Invalid(f"{_named(path)} is an integer of more than 3,900 digits.", hint="Send it as text.")
    return {"$int": str(value)}


def _escape(key: object, path: Place) -> str:
    if not isinstance(key, str):
        raise Invalid(f"{_named(path)} has the key {key!r}, which is not text.")
    return f"${_text(key, path)}" if key.startswith("$") else _text(key, path)


def _unescape(key: str) -> str:
    return key[1:] if key.startswith("$$") else key


def _text(value: str, path: Place) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        words = f"{_named(path)} has half of a surrogate pair, which is not text."
        raise Invalid(words.encode("utf-8", "replace").decode(), hint="Send valid Unicode.") from error
    return value


def _check(value: object, path: Place, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Invalid(f"Arguments are nested deeper than {MAX_DEPTH} levels.")
    match value:
        case None | bool():
            pass
        case str():
            _text(value, path)
        case int() if abs(value) <= SAFE_INTEGER:
            pass
        case float() if math.isfinite(value) and not value.is_integer():
            pass
        case list():
            for i, item in enumerate(value):
                _check(item, (path, i), depth + 1)
        case dict() if any(key.startswith("$") and not key.startswith("$$") for key in value):
            if not _is_special(value):
                raise Invalid(f"{_named(path)} uses a reserved key in a way no gate writes.")
        case dict():
            for key, item in value.items():
                _text(key, path)
                _check(item, (path, key), depth + 1)
        case _:
            raise Invalid(f"{_named(path)} holds {value!r:.40}, which a gate writes differently.")


def _is_special(value: Mapping[str, object]) -> bool:
    match value:
        case {"$int": str(text), **rest} if not rest:
            return _is_integer(text) and abs(int(text)) > SAFE_INTEGER
        case {"$float": str(text), **rest} if not rest:
            return _is_whole_float(text)
        case {"$redacted": str(mac), "length": int(length), **rest} if not rest:
            return len(mac) == 64 and set(mac) <= set("0123456789abcdef") and length >= 0
    return False


def _is_integer(text: str) -> bool:
    return len(text) < 4000 and text.isascii() and text.removeprefix("-").isdigit() and str(int(text)) == text


def _is_whole_float(text: str) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return math.isfinite(number) and number.is_integer() and repr(number) == text
