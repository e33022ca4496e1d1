"""Open requests as the list shows them: one line each, in groups, those of one run together."""

from collections.abc import Iterable
from dataclasses import dataclass

from approvals.protocol.messages import RequestStatus
from approvals.protocol.states import State
from approvals.service.storage.tables.rows import RequestRow, RequestRun
from approvals.service.tools.summary import money

RISKS = ("critical", "high", "medium", "low")
SOON = 30 * 60
"""Seconds: what expires within these is to be looked at now."""


@dataclass(frozen=True)
class Entry:
    """One open request."""

    row: RequestRun
    status: RequestStatus
    agent: str
    mine: bool = False
    """Whether it waits for this person's vote."""
    voted: bool = False
    approvals: int = 0
    waits: bool = False
    """Whether the agent waits for it now."""
    warning: str = ""
    amount: tuple[str, int] | None = None
    """What it is about in money, as its accepted title counts it: the format and the minor units."""

    @property
    def pending(self) -> bool:
        return self.status.state is State.PENDING

    @property
    def urgent(self) -> bool:
        return self.row.risk in {"critical", "high"} or self.soon

    @property
    def soon(self) -> bool:
        return self.status.expires_in is not None and self.status.expires_in < SOON

    @property
    def together(self) -> bool:
        """Whether it may be decided with others of its kind."""
        return self.pending and self.row.risk != "critical"

    @property
    def kind(self) -> str:
        """What requests that are decided together have in common."""
        return f"{self.row.server}.{self.row.tool} · {self.row.rule}"


@dataclass(frozen=True)
class Run:
    """What one run of one agent asks; most often one request."""

    entries: tuple[Entry, ...]

    @property
    def alike(self) -> tuple[Entry, ...]:
        """The requests that one look can decide; none where they differ."""
        able = tuple(entry for entry in self.entries if entry.together)
        return able if len(able) > 1 and len({entry.kind for entry in able}) == 1 else ()

    @property
    def name(self) -> str:
        """What all of them ask: one tool, or just requests."""
        tools = {entry.row.tool for entry in self.entries}
        return tools.pop() if len(tools) == 1 else "requests"

    @property
    def sum(self) -> str:
        """What they are about together, where each says an amount in the same currency."""
        amounts = [entry.amount for entry in self.entries]
        known = [amount for amount in amounts if amount is not None]
        if len(known) != len(amounts) or len({form for form, _ in known}) != 1:
            return ""
        return money(sum(minor for _, minor in known), known[0][0])


@dataclass(frozen=True)
class Group:
    """Requests under one heading."""

    title: str
    runs: tuple[Run, ...]

    @property
    def size(self) -> int:
        return sum(len(run.entries) for run in self.runs)


def key_of(row: RequestRow) -> tuple[int, int]:
    """The order of the list: the highest risk and the least time left first."""
    return RISKS.index(row.risk), row.expires_at


def ordered(entries: Iterable[Entry], order: str) -> list[Entry]:
    """By risk and time left, or by age."""
    if order:
        return sorted(entries, key=lambda entry: entry.row.id, reverse=order == "newest")
    return sorted(entries, key=lambda entry: (not entry.pending, *key_of(entry.row)))


def grouped(entries: Iterable[Entry]) -> list[Group]:
    """Under the headings that say what to do about them, empty ones left out."""
    found: dict[str, list[Entry]] = {title: [] for title in _TITLES}
    for entry in entries:
        found[_title(entry)].append(entry)
    return [Group(title, _runs(of)) for title, of in found.items() if of]


_TITLES = ("Needs a follow-up", "Act now", "When you have a minute", "Waiting for others", "Approved, not finished")


def _title(entry: Entry) -> str:
    if entry.status.state is State.UNKNOWN:
        return _TITLES[0]
    if not entry.pending:
        return _TITLES[4]
    if not entry.mine:
        return _TITLES[3]
    return _TITLES[1] if entry.urgent else _TITLES[2]


def _runs(entries: list[Entry]) -> tuple[Run, ...]:
    """Each run stands where its most urgent request would."""
    found: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        found.setdefault(_run(entry), []).append(entry)
    return tuple(Run(tuple(of)) for of in found.values())


def _run(entry: Entry) -> tuple[str, ...]:
    row = entry.row
    if not entry.pending or not (row.agent_session or row.trace_id):
        return ("alone", row.id)
    return (row.agent_id or "", row.installation_id, row.agent_session or row.trace_id)
