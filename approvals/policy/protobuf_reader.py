"""The fields of one message in protobuf's wire format."""

from typing import Any

Field = tuple[int, Any]
"""Its number and value: an int for a varint, else bytes."""


def fields(raw: bytes) -> list[Field]:
    """The fields in their order. Raises ValueError or IndexError for what is no message."""
    found: list[Field] = []
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
