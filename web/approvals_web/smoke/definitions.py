"""What a server's list of tools says already, before any is called. Pure."""

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import combinations

from mcp_types import Tool

from approvals_web.smoke.report import Finding, failed, passed

_READING = """
browse calculate check compare count describe diff explain fetch find get inspect list look lookup preview query read
resolve retrieve search show stat summarize tail trace validate verify view watch
"""
_WRITING = """
accept acknowledge add append apply archive assign cancel change clear close commit copy create deactivate delete
deploy disable drop edit enable execute grant import insert invite issue kill lock merge modify move mute pause pay
post publish purge push put reboot refund remove rename replace reset restart restore resume revert revoke roll rollback
rotate run scale send set silence start stop submit terminate transfer truncate undo unlock update upload upsert write
"""
READING, WRITING = frozenset(_READING.split()), frozenset(_WRITING.split())
EITHER = frozenset({"open", "test"})
SHORTEST = 100
"""Characters of a description that an agent can choose by."""
ALIKE = 0.85
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


def found(tools: Iterable[Tool]) -> list[Finding]:
    """Findings about the definitions alone."""
    given = list(tools)
    return [finding for tool in given for finding in _of_one(tool)] + list(_overlaps(given))


def verb(name: str) -> str:
    """The first word of a tool's name, in lower case: `get_order`, `getOrder` and `get-order` begin with `get`."""
    words = _WORDS.findall(name)
    return words[0].lower() if words else ""


def reads(tool: Tool) -> bool:
    """Whether a tool says that it only reads, and its name does not deny it: such a tool is called."""
    return says_it_reads(tool) and verb(tool.name) not in WRITING


def says_it_reads(tool: Tool) -> bool:
    """By its annotations, which its server wrote."""
    return tool.annotations is not None and tool.annotations.read_only_hint is True


def _of_one(tool: Tool) -> Iterator[Finding]:
    first = verb(tool.name)
    if first in READING | WRITING | EITHER:
        yield passed("name", tool.name)
    else:
        yield failed("name", tool.name, f"begins with {first!r:.60}, which is no verb", "Call it verb_noun: get_order.")
    length = len((tool.description or "").strip())
    if length >= SHORTEST:
        yield passed("description", tool.name)
    else:
        fix = "Say in a paragraph what it does, when to use it, what comes back, and what it changes."
        yield failed("description", tool.name, f"has {length} characters; {SHORTEST} is the least", fix)
    yield _annotated(tool, first)
    if tool.output_schema is None:
        fix = "Return a typed value, so that the tool has an output schema."
        yield failed("structure", tool.name, "has no output schema", fix)


def _annotated(tool: Tool, first: str) -> Finding:
    if tool.annotations is None or tool.annotations.read_only_hint is None:
        fix = "Set readOnlyHint, and destructiveHint where it writes."
        return failed("annotations", tool.name, "does not say whether it only reads", fix)
    if says_it_reads(tool) and first in WRITING:
        fix = "Take readOnlyHint away, or name it by what it reads."
        return failed("annotations", tool.name, f"says that it only reads, and is called {first!r}", fix)
    if says_it_reads(tool) and tool.annotations.destructive_hint:
        return failed("annotations", tool.name, "says that it only reads, and that it destroys", "Say one of them.")
    if not says_it_reads(tool) and tool.annotations.destructive_hint is None:
        fix = "Set destructiveHint: false where nothing is lost, else true."
        return failed("annotations", tool.name, "writes, and does not say whether it destroys", fix)
    if not says_it_reads(tool) and first in READING:
        fix = "Set readOnlyHint, or name it by what it changes."
        return failed("annotations", tool.name, f"says that it writes, and is called {first!r}", fix)
    return passed("annotations", tool.name)


def _overlaps(tools: list[Tool]) -> Iterator[Finding]:
    alike = [(one, other) for one, other in combinations(tools[:60], 2) if _alike(one, other)]
    for one, other in alike:
        fix = "Make one tool of both, or say in each what the other is for."
        yield failed("overlap", one.name, f"is described like {other.name[:100]!r}", fix)
    if tools and not alike:
        yield passed("overlap")


def _alike(one: Tool, other: Tool) -> bool:
    first, second = ((tool.description or "").casefold()[:2_000] for tool in (one, other))
    if not first or not second:
        return False
    by_words = SequenceMatcher(None, first.split(), second.split(), autojunk=False)
    return by_words.real_quick_ratio() >= ALIKE and by_words.ratio() >= ALIKE
