"""The JSON that stands for a value: what people see, what is digested, and what conditions and secret paths speak of.

It says what the tool gets, in the words of the tool's input schema, whatever the value's own classes write: their
serializers, serialization aliases, computed and excluded fields have no say. Containers without an order get one.
"""

import base64
import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import AliasChoices, AliasPath, PydanticUserError, RootModel, TypeAdapter
from pydantic import ValidationError as Unreadable
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_jsonable_python
from typing_extensions import TypeIs

from approvals.errors import Invalid
from approvals.gate.extra_values import beside, extras, has_fields
from approvals.protocol.canonical import JsonObject, canonical, encode

_JSON = (str, int, float, bool, type(None))
_BINARY = "base64:"


def shown(value: object) -> Any:
    """Plain JSON for a value that a validator made. Raises Invalid for one that JSON would hide or blur."""
    value = bare(value)
    for name in beside(value):
        raise _beyond(value, name)
    if type(value) in _JSON:
        return value
    if has_fields(value):
        return _object(_parts(value))
    if isinstance(value, Mapping):
        return _object((_key(key), item) for key, item in value.items())
    if isinstance(value, Set):
        return sorted(map(shown, value), key=lambda item: canonical(encode(item)))
    if isinstance(value, list | tuple | deque):
        return [shown(item) for item in value]
    return _leaf(value)


def bare(value: object) -> object:
    """What a model without names of its own stands for."""
    while isinstance(value, RootModel):
        for name in beside(value):
            raise _beyond(value, name)
        value = value.root
    return value


def classes(value: object) -> list[object]:
    """The classes of a value and of all that is in it, which JSON does not tell."""
    if has_fields(value):
        inside: Iterable[Any] = [item for _, item in _parts(value)]
    elif isinstance(value, Mapping):
        inside = [part for name in sorted(value, key=_key) for part in (name, value[name])]
    elif isinstance(value, Set):
        inside = sorted(value, key=lambda item: canonical(encode(shown(item))))
    else:
        inside = value if isinstance(value, list | tuple | deque) else ()
    kind = type(value)
    return [f"{kind.__module__}.{kind.__qualname__}", *map(classes, inside)]


def known_by(value: object) -> JsonObject | None:
    """What an object found in its input, under every name that its input may have had for it; None for what is no
    object."""
    if isinstance(value, Mapping):
        return {_key(key): item for key, item in value.items()}
    if is_named(value):
        return dict(zip(value._fields, value, strict=True))
    if not has_fields(value):
        return None
    kind: Any = type(value)
    found: JsonObject = dict(extras(value))
    for name, paths in _spellings(kind).items():
        for path in paths:
            _put(found, path, getattr(value, name, None))
    return found


def is_named(value: object) -> TypeIs[NamedTuple]:
    """Whether it is a list whose places have names: its input may be either."""
    return isinstance(value, tuple) and hasattr(value, "_fields")


class Nest(dict[Any, Any]):
    """What an input has around values that were taken out of its depth."""


class Places(Nest):
    """A list as such: by its place, each value that was taken out of it."""


def _put(found: dict[Any, Any], path: list[str | int], item: object) -> None:
    first, *rest = path
    if not rest:
        found[first] = item
        return
    nest = found.setdefault(first, Places() if isinstance(rest[0], int) else Nest())
    if isinstance(nest, Nest):
        _put(nest, rest, item)


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """The fields of a model or dataclass, under the names that its input schema gives them."""
    kind: Any = type(value)
    for name, spoken in names_of(kind).items():
        if hasattr(value, name):  # a dataclass may leave one unset
            yield spoken, getattr(value, name)
    yield from extras(value).items()


def _object(items: Iterable[tuple[str, object]]) -> JsonObject:
    given = list(items)
    made = {name: shown(item) for name, item in given}
    if len(made) != len(given):
        raise _hidden("two of its names are one in JSON")
    return made


def _key(key: object) -> str:
    if type(key) is str:
        return key
    try:
        (name,) = to_jsonable_python({key: None})
    except (PydanticSerializationError, ValueError) as error:
        raise _hidden(f"a key is a {type(key).__name__}") from error
    return str(name)


def _leaf(value: object) -> object:
    """A leaf as its class writes it, if that is read back as the very same."""
    if isinstance(value, bytes | bytearray):
        return _text(bytes(value))
    kind: Any = type(value)
    try:
        written = to_jsonable_python(value)
        back = _adapter(kind).validate_python(written)
    except (PydanticSerializationError, PydanticUserError, Unreadable, ValueError, TypeError) as error:
        raise _hidden(f"one is a {kind.__name__}") from error
    if type(back) is not kind or back != value:
        raise _hidden(f"one is a {kind.__name__}")
    return written


def _text(value: bytes) -> str:
    """Bytes as text, which it mostly is; else in base 64, which no text is taken for."""
    if not value.startswith(_BINARY.encode()):
        try:
            return value.decode()
        except UnicodeDecodeError:
            pass
    return _BINARY + base64.b64encode(value).decode()


def read_back(form: object) -> object:
    """JSON that was shown, as a model reads it again: with bytes that are no text as such, which no text stands for."""
    if isinstance(form, dict):
        return {name: read_back(item) for name, item in form.items()}
    if isinstance(form, list):
        return [read_back(item) for item in form]
    return _binary(form) if isinstance(form, str) and form.startswith(_BINARY) else form


def _binary(form: str) -> str | bytes:
    try:
        value = base64.b64decode(form.removeprefix(_BINARY), validate=True)
    except ValueError:
        return form
    return value if _text(value) == form else form


@lru_cache(4096)
def names_of(kind: type) -> dict[str, str]:
    """The name that the input schema gives each field: as JSON Schema does, the first alias that is one name."""
    return {
        name: next((str(path[0]) for path in _paths(info) if len(path) == 1), name)
        for name, info in _fields(kind).items()
    }


def synonyms_of(kind: type) -> list[list[str]]:
    """The names of which each field takes one, the first that is there."""
    return [[str(path[0]) for path in paths if len(path) == 1] for paths in _spellings(kind).values()]


def spellings_of(kind: type) -> dict[str, set[str]]:
    """The outermost names under which each field may stand in the input."""
    return {name: {str(path[0]) for path in paths} for name, paths in _spellings(kind).items()}


@lru_cache(4096)
def _spellings(kind: type) -> dict[str, list[list[str | int]]]:
    """The paths under which each field may stand in the input."""
    config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", None) or {}
    by_name = config.get("validate_by_name") or config.get("populate_by_name")
    aliases = {name: list(_paths(info)) for name, info in _fields(kind).items()}
    own = {name for name, known in aliases.items() if [name] not in known and (by_name or not known)}
    return {name: [*known, [name]] if name in own else known for name, known in aliases.items()}


def _fields(kind: type) -> dict[str, FieldInfo | None]:
    known: dict[str, FieldInfo | None] | None = getattr(kind, "__pydantic_fields__", None)
    return known if known is not None else dict.fromkeys(field.name for field in dataclasses.fields(kind))


def _paths(info: FieldInfo | None) -> Iterator[list[str | int]]:
    alias = info and (info.validation_alias or info.alias)
    for one in alias.choices if isinstance(alias, AliasChoices) else [alias] if alias else []:
        yield one.path if isinstance(one, AliasPath) else [one]


@lru_cache(1024)
def _adapter(kind: type) -> TypeAdapter[object]:
    return TypeAdapter(kind)


def _beyond(value: object, name: str) -> Invalid:
    return _hidden(f"a {type(value).__name__} has {name!r}, which is no field of it")


def _hidden(why: str) -> Invalid:
    return Invalid(
        f"These arguments cannot be shown as they are, so nobody could approve them: {why}.",
        hint="The tool's author must use plain types; for secrets `str` and Approval(secret=[…]), not SecretStr.",
    )
