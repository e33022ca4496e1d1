"""Honest numbers for the owner: how much is asked, how fast and how it is decided, per rule and tool. Over the last
days, from at most MOST of the latest calls on record, those that nobody had to be asked about among them."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select

from approvals import ids
from approvals.instant import SECOND, Instant
from approvals.protocol.states import State
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import DecisionRow, table_of
from approvals.service.storage.tables.handles import requests

MOST = 10_000
HOUR = 3600
DAY = 24 * HOUR
QUICK_MS = 3000
"""Whoever decides sooner has hardly read it."""

_decisions = table_of(DecisionRow)
_NAMES = ("id", "server", "tool", "rule", "action", "state", "created_at", "decided_at")
_LATEST = Statement(
    select(*(requests.c[name] for name in _NAMES))
    .where(requests.c.id >= bindparam("first"))
    .order_by(requests.c.id.desc())
    .limit(bindparam("most"))
)
_LOOKED = Statement(
    select(_decisions.c.request_id, _decisions.c.user_id, _decisions.c.looked_ms, _decisions.c.verdict)
    .where(_decisions.c.request_id >= bindparam("first"), _decisions.c.looked_ms.is_not(None))
    .limit(MOST * 2)
)


ENDS = ("approved", "denied", "expired", "open")
_ENDS = {State.DENIED: "denied", State.EXPIRED: "expired", State.WITHDRAWN: "expired", State.PENDING: "open"}
"""All others were approved, whatever came of it."""


@dataclass
class Line:
    """One rule and tool; or all of them."""

    rule: str = ""
    tool: str = ""
    asked: int = 0
    states: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    """Seconds from filing to the decision."""
    looks: list[int] = field(default_factory=list)
    """Milliseconds that a card was looked at before its form was sent."""
    spans: Counter[int] = field(default_factory=Counter)
    """How many were asked in each span of the time, the first being 0."""

    @property
    def approved(self) -> int:
        return sum(number for state, number in self.states.items() if end_of(state) == "approved")

    @property
    def p50(self) -> float | None:
        return statistics.median(self.waits) if self.waits else None

    @property
    def p95(self) -> float | None:
        return sorted(self.waits)[min(len(self.waits) - 1, int(len(self.waits) * 0.95))] if self.waits else None

    @property
    def quick(self) -> float | None:
        """The share of decisions on the web after less than three seconds of looking."""
        return sum(1 for look in self.looks if look < QUICK_MS) / len(self.looks) if self.looks else None

    @property
    def expired(self) -> int:
        return self.states[State.EXPIRED]

    @property
    def denied(self) -> int:
        return self.states[State.DENIED]


@dataclass(frozen=True)
class Span:
    """An hour or a day, from `start` on."""

    start: Instant
    ends: Counter[str]
    """What became of what was asked in it, by ENDS."""


@dataclass(frozen=True)
class Figures:
    """All, and line by line, the most asked first."""

    all: Line
    lines: list[Line]
    per_hour: float
    since: Instant
    whole: bool
    """Whether it is all of the time asked for; else only its latest MOST requests."""
    spans: list[Span]
    """Days, or the hours of one."""
    by_person: dict[str, list[int]]
    """The looks of each, by their user's id."""


def of(reader: Reader, days: int) -> Figures:
    """The last `days`, today among them; of one day its last 24 hours. Days are UTC's."""
    step = HOUR if days == 1 else DAY
    since = _ended(reader.now, step) - days * DAY * SECOND
    rows = reader.all(_LATEST, first=ids.first(since), most=MOST)
    looked = reader.all(_LOOKED, first=rows[-1].id) if rows else []
    if len(rows) == MOST:
        since = rows[-1].created_at
    asked = [row for row in rows if row.action == "require_approval"]
    return figured(asked, looked, since, reader.now, whole=len(rows) < MOST, step=step)


def figured(
    rows: Iterable[Row], looked: Iterable[Row], since: Instant, now: Instant, *, whole: bool, step: int = DAY
) -> Figures:
    """Pure. `step` is the length of a span in seconds: an hour or a day of the clock, the last of them not over yet."""
    last = _ended(now, step)
    number = max(1, -(-(last - since) // (step * SECOND)))
    first = last - number * step * SECOND
    ends = [Counter[str]() for _ in range(number)]
    by_person = defaultdict[str, list[int]](list)
    everything, lines = Line(), defaultdict[tuple[str, str], Line](Line)
    of_request: dict[str, Line] = {}
    for row in rows:
        line = lines[row.rule, f"{row.server} / {row.tool}"]
        of_request[row.id] = line
        at = min(max(0, (row.created_at - first) // (step * SECOND)), number - 1)
        ends[at][end_of(row.state)] += 1
        for one in (line, everything):
            one.asked += 1
            one.states[row.state] += 1
            one.spans[at] += 1
            if row.decided_at is not None:
                one.waits.append((row.decided_at - row.created_at) / SECOND)
    for look in looked:
        if look.request_id in of_request:
            for one in (of_request[look.request_id], everything):
                one.looks.append(look.looked_ms)
            by_person[look.user_id].append(look.looked_ms)
    for (rule, tool), line in lines.items():
        line.rule, line.tool = rule, tool
    hours = max(1.0, (now - since) / SECOND / HOUR)
    listed = sorted(lines.values(), key=lambda line: -line.asked)
    spans = [Span(first + at * step * SECOND, counted) for at, counted in enumerate(ends)]
    return Figures(everything, listed, everything.asked / hours, since, whole, spans, dict(by_person))


def _ended(now: Instant, step: int) -> Instant:
    """When the hour or the day of the clock that it is now will be over."""
    return (now // (step * SECOND) + 1) * step * SECOND


def end_of(state: str) -> str:
    """What became of a request, by ENDS."""
    return _ENDS.get(State(state), "approved")
