"""What a person may change of a call before approving it, as its rule says. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from approvals.policy.grant_terms import number_type
from approvals.policy.stored_terms import written
from approvals.protocol.canonical import decode
from approvals.protocol.edits import changed_places
from approvals.protocol.places import Place, is_within, words
from approvals.protocol.secret_paths import steps_of


@dataclass(frozen=True)
class EditLimits:
    """The most that may be changed."""

    allowed: bool = True
    only: tuple[str, ...] = ()
    """Paths of arguments (`amount_cents`, `items[].price`), with what is in them; empty for all."""
    lower: bool = False
    """Whether only numbers may be changed, and only downwards."""

    def dump(self) -> str:
        """The JSON that is kept with a request."""
        return written(self)

    @classmethod
    def parse(cls, text: str) -> "EditLimits":
        """The limits that `dump` wrote; of nothing, none at all."""
        kept = json.loads(text or "{}")
        return cls(**kept | ({"only": tuple(kept["only"])} if "only" in kept else {}))

    def lets(self, place: Place) -> bool:
        """Whether what stands at a place may be changed at all."""
        return self.allowed and (not self.only or any(is_within(place, steps_of(one)) for one in self.only))

    def faults(self, was: object, now: object) -> Iterator[str]:
        """What of a change of encoded arguments is not within them, in words."""
        if not self.allowed:
            yield "its rule lets nobody change what was asked"
            return
        for place, one, other in changed_places(was, now):
            if not self.lets(place):
                yield f"its rule lets {words(place)} be changed by nobody, only {', '.join(self.only)}"
            elif self.lower and not _is_lower(one, other):
                yield f"its rule lets {words(place)} only be lowered, not below zero"


def _is_lower(was: object, now: object) -> bool:
    """A number of any type, to a lower one that is not below zero."""
    if number_type(was) is None or number_type(now) is None:
        return False
    return bool(0 <= decode(now) < decode(was))
