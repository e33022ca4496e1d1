"""Whether an edit says something where a tool keeps secrets: nobody writes, adds or removes one but the agent. Pure."""

from collections.abc import Iterable, Iterator
from functools import reduce

from approvals.protocol.canonical import JsonObject, canonical, hash_of, is_object, is_redacted
from approvals.protocol.edits import changed_places, redacted_leaves
from approvals.protocol.places import Place, is_within, words
from approvals.protocol.schema_paths import SchemaPaths, TooIntricate
from approvals.protocol.secret_paths import ANY_NAME, Steps, kept_back_at

_NAMELESS = {ANY_NAME, "[]"}


def touched(was: object, now: object, secret: Iterable[Steps] = ()) -> str:
    """The first place, in words, at which encoded arguments differ in what is hidden, or in what stands at a secret
    path; or nothing."""
    paths = tuple(secret)
    for place, _, _ in changed_places(was, now):
        if any(is_within(place, path) for path in paths):
            return words(place)
    before, after = (redacted_leaves(kept_back_at(one, paths, _marked)) for one in (was, now))
    return next((words(place) for place in {**before, **after} if before.get(place) != after.get(place)), "")


def strange(was: object, now: object, secret: Iterable[Steps], schema: object) -> str:
    """The first new name, in words, that stands where a secret may, and that the tool's schema does not know: a tool
    may read it as the secret."""
    try:
        return next(map(words, _Names(SchemaPaths(schema)).strange(was, now, list(secret), (), ())), "")
    except TooIntricate:
        return "of that kind"


class _Names:
    def __init__(self, schema: SchemaPaths) -> None:
        self._schema = schema
        self._known: dict[Steps, frozenset[str]] = {}

    def strange(self, was: object, now: object, ahead: list[Steps], taken: Steps, place: Place) -> Iterator[Place]:
        if isinstance(now, list):
            for i, item in enumerate(now):
                before = was[i] if isinstance(was, list) and i < len(was) else None
                yield from self._below(before, item, ahead, taken, (*place, i))
        elif isinstance(now, dict) and is_object(now):
            before = was if isinstance(was, dict) and is_object(was) else {}
            if {path[0] for path in ahead if path} - _NAMELESS:
                known = self._names(taken)
                new = [_plain(key) for key in now if key not in before]
                yield from ((*place, name) for name in new if name not in known)
            for key, item in now.items():
                yield from self._below(before.get(key), item, ahead, taken, (*place, _plain(key)))

    def _below(self, was: object, now: object, ahead: list[Steps], taken: Steps, place: Place) -> Iterator[Place]:
        for step in dict.fromkeys(path[0] for path in ahead if path and is_within(place[-1:], path[:1])):
            further = [path[1:] for path in ahead if path and path[0] == step]
            yield from self.strange(was, now, further, (*taken, step), place)

    def _names(self, taken: Steps) -> frozenset[str]:
        if taken not in self._known:
            at = reduce(self._schema.step, taken, self._schema.root)
            self._known[taken] = self._schema.names(at)
        return self._known[taken]


def _marked(_: str, value: object) -> JsonObject:
    return value if is_redacted(value) else {"$redacted": hash_of(canonical(value)), "length": 0}


def _plain(key: str) -> str:
    return key[1:] if key.startswith("$$") else key
