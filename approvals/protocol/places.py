"""Places in a call's arguments: as steps, which alone tell two of them apart, and in words. Pure."""

import json
import re

from approvals.protocol.secret_paths import ANY_NAME, Steps

Place = tuple[str | int, ...]
"""Plain names of an object's values, and numbers of a list's elements, from the outermost."""
_PLAIN = re.compile(r"[\w$@/*+-]+")


def words(place: Place) -> str:
    """A place as people write it: `items[0].price`; a name that could be taken for more is quoted: `limits["a.b"]`."""
    return "".join(map(_step, place)).removeprefix(".")


def is_within(place: Place, path: Steps) -> bool:
    """Whether a place is the one that a path names, or is in it."""
    return len(place) >= len(path) and all(map(_is_step, place, path))


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN.fullmatch(step) else f"[{json.dumps(step, ensure_ascii=False)}]"


def _is_step(step: str | int, named: str) -> bool:
    if isinstance(step, int):
        return named == "[]"
    return named != "[]" and named in (step, ANY_NAME)
