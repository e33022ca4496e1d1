"""Rules that come along, for servers that many have."""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import httpx2

from approvals.errors import Invalid
from approvals_server.proxy.rules.rule import NO_RULES, Recipe, Rules

NONE = "none"


@cache
def all_recipes() -> dict[str, Recipe]:
    """By name."""
    folder = files("approvals_server.proxy.rules") / "recipes"
    found = (entry for entry in folder.iterdir() if entry.name.endswith(".json"))
    return {entry.name[:-5]: Recipe.model_validate(json.loads(entry.read_bytes())) for entry in found}


def recipe(name: str) -> Rules:
    """Raises Invalid."""
    if name == NONE:
        return NO_RULES
    if name not in all_recipes():
        known = ", ".join(sorted([*all_recipes(), NONE]))
        raise Invalid(f"There is no recipe {name!r}.", hint=f"There are: {known}.")
    return all_recipes()[name]


def name_for(upstream: Sequence[str]) -> str:
    """The recipe of an upstream's command or URL; that there is none."""
    for name, known in all_recipes().items():
        if any(_starts(word, command) for word in upstream for command in known.commands):
            return name
        if len(upstream) == 1 and "://" in upstream[0] and _host(upstream[0]) in known.urls:
            return name
    return NONE


def _host(address: str) -> str:
    try:
        return httpx2.URL(address).host
    except httpx2.InvalidURL:
        return ""


def _starts(word: str, package: str) -> bool:
    """Whether a word of a command names a package or program: alone, with a version, or by its path."""
    return any(part == package or part.startswith((f"{package}@", f"{package}==")) for part in _names(word))


def _names(word: str) -> list[str]:
    plain = word.replace("\\", "/")
    tail = plain.split("/node_modules/")[-1].split("/")
    return [plain, tail[-1], "/".join(tail[:2])]
