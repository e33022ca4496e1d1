"""What stored requests would have been under another policy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import bindparam, select

from approvals import ids
from approvals.errors import NotFound
from approvals.instant import Instant
from approvals.policy.model import CallFacts, Judgement, Policy
from approvals.service.policies import snapshot
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables.handles import requests
from approvals.service.tools.registry import Registry

BATCH = 200
"""Requests read at once; judging them is nobody's transaction."""

_NAMES = (
    "id",
    "server",
    "tool",
    "tool_hash",
    "assurance",
    "arguments",
    "preview",
    "hidden",
    "summary",
    "created_at",
    "erased_at",
)
_SAID = ("action", "rule", "risk", "quorum", "snapshot", "state")
_AFTER = Statement(
    select(*(requests.c[name] for name in (*_NAMES, *_SAID)))
    .where(requests.c.id > bindparam("after"))
    .order_by(requests.c.id)
    .limit(bindparam("limit"))
)


@dataclass(frozen=True)
class Said:
    """What a policy said of a call, as far as the two are compared."""

    action: str
    rule: str
    risk: str
    quorum: int

    def __str__(self) -> str:
        people = "" if self.action != "require_approval" else f", {self.quorum} to approve"
        return f"{self.action} (rule {self.rule}, {self.risk} risk{people})"


@dataclass(frozen=True)
class Again:
    """One request judged again."""

    row: Row
    was: Said
    would_be: Said | None
    """None: it cannot be judged again."""
    why_not: str = ""

    @property
    def changed(self) -> bool:
        return self.would_be is not None and self.would_be != self.was


Batch = list[tuple[Row, CallFacts | str]]
"""Stored requests, with the call as it was judged or why it cannot be judged again."""
Read = Callable[[Callable[[Reader], Batch]], Batch]
"""Runs a read now: `Database.read_now`."""


def replay(read: Read, registry: Registry, policy: Policy, since: Instant, limit: int | None = None) -> Iterator[Again]:
    """Judge the requests filed since then by `policy`, the oldest first, `limit` at most. What is judged is what was
    stored: redacted, as when it was filed. Blocking."""
    after, left = ids.first(since), limit
    while left is None or left > 0:
        size = BATCH if left is None else min(BATCH, left)
        found = read(partial(_batch, registry=registry, after=after, limit=size))
        for row, call in found:
            yield _again(row, call, policy)
        if len(found) < size:
            return
        after, left = found[-1][0].id, None if left is None else left - size


def _batch(reader: Reader, registry: Registry, after: str, limit: int) -> Batch:
    return [(row, _call(reader, registry, row)) for row in reader.all(_AFTER, after=after, limit=limit)]


def _call(reader: Reader, registry: Registry, row: Row) -> CallFacts | str:
    """The call as it was judged, or why it cannot be judged again."""
    if row.erased_at is not None:
        return "its contents were erased"
    if row.snapshot == snapshot.NOTHING:
        return "what the policy knew of it was not kept"
    try:
        return snapshot.load(row, registry.definition(reader, row.server, row.tool_hash).input_schema)
    except NotFound:
        return "its tool's definition was not kept"


def _again(row: Row, call: CallFacts | str, policy: Policy) -> Again:
    was = Said(row.action, row.rule, row.risk, row.quorum)
    if isinstance(call, str):
        return Again(row, was, None, call)
    return Again(row, was, said(policy.judge(call)))


def said(judgement: Judgement) -> Said:
    return Said(str(judgement.action), judgement.rule, judgement.risk, judgement.reviewers.quorum)
