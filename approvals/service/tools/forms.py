"""A form made from a tool's input schema, over the arguments of one call; and what comes back from it. Pure.

The schema is somebody else's: it is only looked at, so that a person sees names, choices and bounds, and hears early of
what cannot be. Whether a call fits is said by its gate, by the tool's own model.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from approvals.errors import Invalid
from approvals.policy.edits import EditLimits
from approvals.protocol.canonical import JsonObject, canonical, decode, encode, is_redacted
from approvals.protocol.edits import redacted_leaves
from approvals.protocol.places import Place, is_within, words
from approvals.protocol.secret_paths import steps_of
from approvals.service.tools.layout import Layout, plain_name

MOST = 60
"""Fields of a form."""
LONGEST = 12_000
"""Characters of a text that is changed here."""
MOST_CHOICES = 100
_LINE = 100
_ABOUT = 300
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,400})")
_SCALARS = {"string", "integer", "number", "boolean"}
_ABSENT = object()
_HIDDEN = "hidden: it stays as it is"
Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Field:
    """One argument, or a part of one."""

    path: str
    steps: Steps
    """Encoded names and numbers, from the outermost."""
    value: Any = None
    """Encoded."""
    kind: str = "text"
    """`text`, `lines`, `integer`, `number`, `choice`, `json`; `fixed` for what cannot be changed here."""
    text: str = ""
    """As it stands in the form."""
    title: str = ""
    about: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    """Each as JSON, and in words."""
    least: str = ""
    most: str = ""
    longest: int | None = None
    blank: str = ""
    """What a blank field means: `null`, `absent`, or nothing but itself."""
    why: str = ""
    """Why it is fixed."""
    number: int = 0
    kinds: frozenset[str] = frozenset()
    """The types that its schema names."""
    listed: tuple[Any, ...] = ()
    """Its only values, encoded, where the schema lists them."""

    @property
    def name(self) -> str:
        """In the form."""
        return f"v{self.number}"


def fields(
    schema: Mapping[str, object], arguments: JsonObject, limits: EditLimits, secret: tuple[str, ...] = ()
) -> list[Field]:
    """The form over encoded arguments, in the schema's order; what is or would be secret is fixed."""
    layout = Layout(schema)
    found = [*_fields(layout.arranged(arguments), layout, ()), *_absent(layout, arguments)]
    kept = [_kept(field, secret) for field in islice(found, MOST)]
    return [_bounded(replace(field, number=i), limits) for i, field in enumerate(kept)]


def read(made: list[Field], arguments: JsonObject, given: Mapping[str, str]) -> JsonObject:
    """Encoded arguments with what came back. Raises Invalid for what a field does not take, by its name."""
    changed: Any = arguments
    for field in made:
        text = given.get(field.name)
        if field.kind != "fixed" and text is not None and not _is_as_it_was(field, text):
            changed = _put(changed, field.steps, _read(field, text))
    return dict(changed)


def check(schema: Mapping[str, object], arguments: JsonObject) -> None:
    """Raises Invalid for arguments of which the schema plainly says that they do not fit."""
    layout = Layout(schema)
    if unknown := [key for key in arguments if layout.names and plain_name(key) not in layout.names]:
        raise Invalid(f"The tool has no argument {plain_name(unknown[0])!r}.", hint="Leave it out.")
    for field in islice(_fields(arguments, layout, ()), MOST):
        if not is_redacted(field.value):
            _check_kind(field)
            _check(field, field.value)


def _fields(value: Any, layout: Layout, steps: Steps) -> Iterator[Field]:
    if _is_nest(value) and (not steps or _is_plain(layout, value) or redacted_leaves(value)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            below = layout.of(plain_name(key)) if isinstance(key, str) else layout.of_item()
            yield from _fields(item, below, (*steps, key))
    elif steps:
        yield _field(value, layout, steps)


def _absent(layout: Layout, arguments: JsonObject) -> Iterator[Field]:
    """Arguments of one plain type that were left out."""
    there = set(map(plain_name, arguments))
    for name in [name for name in layout.names if name not in there]:
        kinds, _ = _types(layout.of(name))
        if len(kinds) == 1 and kinds <= _SCALARS:
            encoded = f"${name}" if name.startswith("$") else name
            yield _field(_ABSENT, layout.of(name), (encoded,))


def _field(value: object, layout: Layout, steps: Steps) -> Field:
    about = next((part["description"] for part in layout.parts if isinstance(part.get("description"), str)), "")
    kinds, nullable = _types(layout)
    listed = tuple(map(encode, _listed(layout)))
    named = frozenset(kinds | {"null"} if nullable else kinds)
    plain = Field(
        words(_place(steps)), steps, value, title=layout.title, about=about[:_ABOUT], kinds=named, listed=listed
    )
    if is_redacted(value):
        return replace(plain, kind="fixed", why=_HIDDEN)
    blank = "absent" if value is _ABSENT else "null" if value is None or nullable else ""
    kind = _kind(value, kinds)
    if choices := _choices(layout, kinds, value, nullable):
        text = "" if value is _ABSENT else canonical(value).decode()
        return replace(plain, kind="choice", choices=choices, text=text, blank="absent" if value is _ABSENT else "")
    text = _text(kind, value)
    if len(text) > LONGEST:
        return replace(plain, kind="fixed", why="too long to be changed here")
    number, longest = kind in {"integer", "number"}, _longest(layout)
    return replace(
        plain,
        kind=kind,
        text=text,
        blank="" if isinstance(value, str) and value else blank,
        least=_bound(layout, "minimum") if number else "",
        most=_bound(layout, "maximum") if number else "",
        longest=longest if kind in {"text", "lines"} else None,
    )


def _kind(value: object, kinds: set[str]) -> str:
    plain = None if value is _ABSENT else decode(value)
    if isinstance(plain, str):
        return "lines" if "\n" in plain or len(plain) > _LINE else "text"
    if isinstance(plain, bool | dict | list):
        return "json"
    if isinstance(plain, int | float):
        return "integer" if isinstance(plain, int) and "number" not in kinds else "number"
    only = next(iter(kinds)) if len(kinds) == 1 else ""
    return {"string": "text", "integer": "integer", "number": "number"}.get(only, "json")


def _types(layout: Layout) -> tuple[set[str], bool]:
    """The types that may stand there, as far as the schema names any, and whether nothing may."""
    said = [part.get("type") for part in layout.parts]
    named = {one for kind in said for one in (kind if isinstance(kind, list) else [kind]) if isinstance(one, str)}
    return named - {"null"}, "null" in named


def _choices(layout: Layout, kinds: set[str], value: object, nullable: bool) -> tuple[tuple[str, str], ...]:
    listed = _listed(layout) or ([True, False] if kinds == {"boolean"} or isinstance(value, bool) else [])
    if not listed or len(listed) > MOST_CHOICES or any(isinstance(one, dict | list) for one in listed):
        return ()
    values = [encode(one) for one in [*listed, *([None] if nullable and None not in listed else [])]]
    if value is not _ABSENT and all(canonical(one) != canonical(value) for one in values):
        return ()
    return tuple((canonical(one).decode(), _words(one)) for one in values)


def _listed(layout: Layout) -> list[object]:
    return next((part["enum"] for part in layout.parts if isinstance(part.get("enum"), list)), [])


def _words(value: object) -> str:
    plain = decode(value)
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    return "nothing" if plain is None else str(plain)[:_LINE]


def _text(kind: str, value: object) -> str:
    if value is _ABSENT or (value is None and kind != "json"):
        return ""
    plain = decode(value)
    return json.dumps(plain, ensure_ascii=False, indent=2) if kind == "json" else str(plain)


def _bound(layout: Layout, keyword: str) -> str:
    bounds = (part.get(keyword) for part in layout.parts)
    return next((str(one) for one in bounds if isinstance(one, int | float) and not isinstance(one, bool)), "")


def _longest(layout: Layout) -> int | None:
    return next((part["maxLength"] for part in layout.parts if type(part.get("maxLength")) is int), None)


def _kept(field: Field, secret: tuple[str, ...]) -> Field:
    place = _place(field.steps)
    return (
        replace(field, kind="fixed", why=_HIDDEN) if any(is_within(place, steps_of(one)) for one in secret) else field
    )


def _bounded(field: Field, limits: EditLimits) -> Field:
    if field.kind == "fixed":
        return field
    if not limits.lets(_place(field.steps)):
        return replace(field, kind="fixed", why="its rule lets nobody change it")
    if limits.lower and field.kind not in {"integer", "number"}:
        return replace(field, kind="fixed", why="its rule lets only numbers be lowered")
    return field


def _is_as_it_was(field: Field, text: str) -> bool:
    """Browsers send line breaks in a way of their own."""
    return text.replace("\r\n", "\n") == field.text.replace("\r\n", "\n")


def _read(field: Field, text: str) -> object:
    if not text.strip() and field.blank:
        return _ABSENT if field.blank == "absent" else None
    match field.kind:
        case "choice":
            if text not in dict(field.choices):
                raise Invalid(f"{field.path}: choose one of those offered.")
            return json.loads(text)
        case "integer" | "number":
            value = _number(field, text.strip())
        case "json":
            return _json(field, text)
        case _:
            value = text.replace("\r\n", "\n")
    _check(field, value)
    return value


def _number(field: Field, text: str) -> object:
    if _WHOLE.fullmatch(text):
        return encode(int(text))
    if field.kind == "integer":
        raise Invalid(f"{field.path}: write a whole number.")
    try:
        return encode(float(text))
    except ValueError as error:
        raise Invalid(f"{field.path}: write a number.") from error


def _json(field: Field, text: str) -> object:
    try:
        return encode(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{field.path}: write JSON, like what stood there.") from error


def _check_kind(field: Field) -> None:
    """Raises Invalid for a value of a type that its schema does not name, or that is none of those it lists."""
    value = decode(field.value)
    if field.kinds and not field.kinds & _names_of(value):
        raise Invalid(f"{field.path}: it has to be {' or '.join(sorted(field.kinds))}.")
    single = len(field.kinds - {"null"}) < 2 and value is not None
    if field.listed and single and all(canonical(one) != canonical(field.value) for one in field.listed):
        raise Invalid(f"{field.path}: it is none of {', '.join(map(_words, field.listed[:10]))}.")


def _names_of(value: object) -> set[str]:
    """What JSON Schema calls it."""
    if isinstance(value, bool) or value is None:
        return {"null" if value is None else "boolean"}
    if isinstance(value, int | float):
        return {"number", "integer"} if float(value).is_integer() else {"number"}
    return {"string"} if isinstance(value, str) else {"array"} if isinstance(value, list) else {"object"}


def _check(field: Field, encoded: object) -> None:
    """Raises Invalid for what is plainly beyond the field's bounds."""
    value = decode(encoded)
    if field.kind in {"integer", "number"} and isinstance(value, int | float):
        if field.least and value < float(field.least):
            raise Invalid(f"{field.path}: at least {field.least}.")
        if field.most and value > float(field.most):
            raise Invalid(f"{field.path}: at most {field.most}.")
    elif isinstance(value, str) and field.longest is not None and len(value) > field.longest:
        raise Invalid(f"{field.path}: at most {field.longest:,} characters.")


def _put(value: Any, steps: Steps, new: object) -> object:
    """A copy with another value at a place."""
    first, rest = steps[0], steps[1:]
    if isinstance(value, list):
        return [item if i != first else _put(item, rest, new) if rest else new for i, item in enumerate(value)]
    if new is _ABSENT and not rest:
        return {key: item for key, item in value.items() if key != first}
    return value | {first: _put(value[first], rest, new) if rest else new}


def _is_nest(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value) and not is_redacted(value) and not value.keys() <= {"$int", "$float"}
    return isinstance(value, list) and bool(value)


def _is_plain(layout: Layout, value: Any) -> bool:
    """Whether each part has a field of its own: an object whose names the schema knows, or a list of such."""
    if isinstance(value, list):
        return all(_is_nest(item) and isinstance(item, dict) and _is_plain(layout.of_item(), item) for item in value)
    return bool(layout.names) and all(plain_name(key) in layout.names for key in value)


def _place(steps: Steps) -> Place:
    return tuple(plain_name(step) if isinstance(step, str) else step for step in steps)
