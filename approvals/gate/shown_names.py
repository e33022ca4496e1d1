"""The words of a call under the names that people are shown: a field may have come under another one of its aliases."""

from collections.abc import Mapping
from typing import Any

from approvals.gate.extra_values import has_fields
from approvals.gate.value_json import bare, names_of, spellings_of
from approvals.protocol.canonical import JsonObject


def as_shown(words: object, read: object) -> object:
    """A copy of a call's words, of which the model made `read`, with each field under the name that it is shown by."""
    read = bare(read)
    if isinstance(words, list) and isinstance(read, list | tuple) and len(words) == len(read):
        return [as_shown(item, one) for item, one in zip(words, read, strict=True)]
    if isinstance(words, dict) and has_fields(read):
        return _of_fields(words, read)
    if isinstance(words, dict) and isinstance(read, Mapping):
        return {key: as_shown(item, read[key]) if key in read else item for key, item in words.items()}
    return words


def _of_fields(words: JsonObject, read: object) -> JsonObject:
    kind: Any = type(read)
    shown = names_of(kind)
    came = {other: name for name, others in spellings_of(kind).items() for other in others if other in words}
    renamed: JsonObject = {}
    for key, item in words.items():
        field = came.get(key)
        name = key if field is None or shown[field] in words else shown[field]
        renamed[name] = item if field is None else as_shown(item, getattr(read, field, None))
    return renamed
