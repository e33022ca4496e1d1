"""What people change of a call before they approve it, or would rather see: as data, and in words. Pure.

Arguments are encoded (`approvals.protocol.canonical`). A redacted leaf is never changed: its stand-in stays where it
is, and the gate puts its own value back in its place.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeGuard

from pydantic import Field

from approvals.errors import Invalid
from approvals.protocol.canonical import JsonObject, canonical, decode, is_object, is_redacted
from approvals.protocol.limits import MAX_REASON
from approvals.protocol.message_fields import Message
from approvals.protocol.places import Place
from approvals.protocol.places import words as words_of_place

MOST = 50
"""Changes that are told one by one."""
LONGEST = 500
"""Characters of a value that is told."""
_SHORT = 80
_NONE = "left out"
_ABSENT = object()


class Change(Message):
    """One argument, or a part of one, that is not as the agent said it. A value is JSON as the tool takes it (text is
    cut); null also where there is or was none."""

    path: str
    was: Any = None
    now: Any = None
    without: Literal["", "was", "now"] = Field("", exclude_if=lambda side: not side)
    """The side on which there is none."""


class Edited(Message):
    """How what was approved differs from what the agent asked, who changed it, and why."""

    by: str
    reason: str = Field("", max_length=MAX_REASON)
    changes: tuple[Change, ...] = ()


def changes(was: object, now: object) -> tuple[Change, ...]:
    """In what arguments differ, leaf by leaf where their shapes are alike."""
    found = list(_changes(was, now, ()))
    told = [_change(*one) for one in found[:MOST]]
    return (*told, *([Change(path=f"… and {len(found) - MOST} more")] if len(found) > MOST else []))


def changed_places(was: object, now: object) -> list[tuple[Place, object, object]]:
    """Where arguments differ, with both encoded values; None where there is none."""
    return [(place, _present(one), _present(other)) for place, one, other in _changes(was, now, ())]


def words(told: Sequence[Change]) -> str:
    """Changes in a sentence."""
    return "; ".join(
        f"{change.path}: {' → '.join(sides(change, _SHORT))}" if _tells(change) else change.path for change in told
    )


def sides(change: Change, most: int = LONGEST) -> tuple[str, str]:
    """What was and what is, so that no two values read alike: as JSON, and what there is none of in words."""
    was, now = (_written(value, most) for value in (change.was, change.now))
    return _NONE if change.without == "was" else was, _NONE if change.without == "now" else now


def redacted_leaves(arguments: object, place: Place = ()) -> dict[Place, JsonObject]:
    """The stand-ins in arguments, by their places."""
    if is_redacted(arguments):
        return {place: arguments}
    below = (redacted_leaves(item, (*place, step)) for step, item in _inside(arguments))
    return {where: leaf for found in below for where, leaf in found.items()}


def merged(edited: object, shown: object, exact: object) -> object:
    """Edited arguments with this gate's own values in the place of the stand-ins, of which it has made the same ones in
    `shown`. Raises Invalid for one that stands elsewhere, or for another value."""
    if is_redacted(edited):
        if not is_redacted(shown) or canonical(edited) != canonical(shown):
            raise Invalid("A hidden argument was moved or changed.", hint="Hidden arguments stay as they are.")
        return exact
    if isinstance(edited, dict) and is_object(edited):
        return {key: merged(item, _at(shown, key), _at(exact, key)) for key, item in edited.items()}
    if isinstance(edited, list):
        return [merged(item, _at(shown, i), _at(exact, i)) for i, item in enumerate(edited)]
    return edited


def _changes(was: object, now: object, place: Place) -> Iterator[tuple[Place, object, object]]:
    if was is not _ABSENT and now is not _ABSENT and canonical(was) == canonical(now):
        return
    if _is_nest(was) and _is_nest(now):
        for key in dict.fromkeys([*was, *now]):
            yield from _changes(was.get(key, _ABSENT), now.get(key, _ABSENT), (*place, _name(key)))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for i, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from _changes(one, other, (*place, i))
    else:
        yield place, was, now


def _is_nest(value: object) -> TypeGuard[JsonObject]:
    return isinstance(value, dict) and is_object(value) and not is_redacted(value)


def _inside(value: object) -> list[tuple[str | int, object]]:
    if isinstance(value, list):
        return list(enumerate(value))
    return [(_name(key), item) for key, item in value.items()] if _is_nest(value) else []


def _name(key: str) -> str:
    return key[1:] if key.startswith("$$") else key


def _at(value: Any, place: str | int) -> object:
    try:
        return value[place]
    except (TypeError, KeyError, IndexError):
        return None


def _present(value: object) -> object:
    return None if value is _ABSENT else value


def _told(value: object) -> object:
    if value is _ABSENT:
        return None
    plain = decode(value, lambda leaf: f"[{leaf['length']} characters hidden]")
    if isinstance(plain, str):
        return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}… ({len(plain):,} characters)"
    written = canonical(value).decode() if isinstance(plain, dict | list) else ""
    return plain if len(written) <= LONGEST else f"{written[:LONGEST]}… ({len(written):,} characters)"


def _change(place: Place, was: object, now: object) -> Change:
    without: Literal["", "was", "now"] = "was" if was is _ABSENT else "now" if now is _ABSENT else ""
    return Change(path=words_of_place(place), was=_told(was), now=_told(now), without=without)


def _sentence(change: Change) -> str:
    return f"{change.path}: {' → '.join(sides(change, _SHORT))}" if _tells(change) else change.path


def _tells(change: Change) -> bool:
    """Whether it is not the note of how many more there are."""
    return change.was is not None or change.now is not None or bool(change.without)


def _written(value: object, most: int) -> str:
    said = json.dumps(value[:most] if isinstance(value, str) else value, ensure_ascii=False)
    longer = len(said) > most + 2 or (isinstance(value, str) and len(value) > most)
    return f"{said[: most + 2]}…" if longer else said
