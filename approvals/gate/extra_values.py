"""What a value holds beside its fields and its items: the tool gets it, and no JSON of the value would say so."""

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from inspect import getattr_static
from types import MemberDescriptorType
from typing import Any

from pydantic import BaseModel, RootModel

_BARE = (dict, list, tuple, set, frozenset, deque)
_PYDANTICS = (BaseModel, RootModel)


def has_fields(value: object) -> bool:
    """Whether it is a model or a dataclass."""
    return isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def extras(value: object) -> Mapping[str, object]:
    """What a model or dataclass took from its input though no field has that name, as `extra="allow"` lets it."""
    if isinstance(value, BaseModel):
        return value.model_extra or {}
    if (getattr(value, "__pydantic_config__", None) or {}).get("extra") != "allow":
        return {}
    kind: Any = type(value)
    known = _fields(kind)
    return {name: item for name, item in vars(value).items() if name not in known}


def beside(value: object) -> Iterator[str]:
    """The names of what it holds beside what is shown of it; not of what a cached property keeps."""
    kind: Any = type(value)
    if kind in _BARE or not (has_fields(value) or isinstance(value, _BARE)):
        return
    known = {*_fields(kind), *extras(value)}
    held = [*getattr(value, "__dict__", ()), *(name for name, slot in _slots(kind) if _is_set(slot, value))]
    private = getattr(value, "__pydantic_private__", None) or ()
    for name in (*held, *private):
        if name not in known and not isinstance(getattr_static(kind, name, None), cached_property):
            yield name


@lru_cache(4096)
def _fields(kind: type) -> frozenset[str]:
    names: Any = getattr(kind, "__pydantic_fields__", None) or getattr(kind, "__dataclass_fields__", ())
    return frozenset(names)


@lru_cache(4096)
def _slots(kind: type) -> list[tuple[str, MemberDescriptorType]]:
    slotted = [one for one in kind.__mro__ if "__slots__" in vars(one) and one not in _PYDANTICS]
    return [item for one in slotted for item in vars(one).items() if isinstance(item[1], MemberDescriptorType)]


def _is_set(slot: MemberDescriptorType, value: object) -> bool:
    try:
        slot.__get__(value)
    except AttributeError:
        return False
    return True
