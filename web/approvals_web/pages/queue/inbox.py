"""The list of the desk: what waits for this person, what else is open, and what ended lately."""

import json
from dataclasses import dataclass

from approvals.instant import SECOND
from approvals.policy.eligibility import Act
from approvals.protocol.states import OPEN, State
from approvals.protocol.summaries import CURRENCIES
from approvals.service import authority, grants
from approvals.service.audit import notices
from approvals.service.history import queries
from approvals.service.identity.users import Person
from approvals.service.requests import presence, rate_limits
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row
from approvals.service.storage.tables.rows import RequestRow, RequestRun
from approvals.service.tools.summary import formats
from approvals_web import standing_grants
from approvals_web.pages.card.warnings import LONGEST, tag
from approvals_web.pages.queue import checklist
from approvals_web.pages.queue.checklist import Step
from approvals_web.pages.queue.entries import Entry, Group, grouped, key_of, ordered
from approvals_web.pages.queue.filter import QueueFilter
from approvals_web.pages.queue.listing import Listed, items

LATELY = 8


@dataclass(frozen=True)
class Inbox:
    """As one person sees it."""

    asked: QueueFilter
    decides: bool
    """Whether this person decides anything: to others, the list is of all."""
    mine: tuple[Entry, ...]
    everything: tuple[Entry, ...]
    groups: list[Group]
    """What is shown, in order."""
    now: int
    ended: list[Listed]
    incidents: list[Row]
    flooding: list[str]
    granted: list[standing_grants.Shown]
    more_granted: bool
    unseen: int
    steps: list[Step]

    @property
    def of_all(self) -> bool:
        return self.asked.show == "all" or not self.decides

    @property
    def shown(self) -> list[Entry]:
        return [entry for group in self.groups for run in group.runs for entry in run.entries]

    @property
    def pending(self) -> int:
        return sum(entry.pending for entry in self.everything)

    @property
    def number(self) -> int:
        """What the tab says: what waits for this person, or for anybody."""
        return len(self.mine) if self.decides else self.pending

    @property
    def soon(self) -> int:
        return sum(entry.soon for entry in self._counted)

    @property
    def oldest(self) -> float | None:
        """Seconds that the longest waiting has waited."""
        filed = [entry.row.created_at for entry in self._counted if entry.pending]
        return max(0, self.now - min(filed)) / SECOND if filed else None

    @property
    def title(self) -> str:
        return f"({self.number}) Queue · Approvals" if self.number else "Queue · Approvals"

    @property
    def servers(self) -> list[str]:
        return sorted({entry.row.server for entry in self.everything})

    @property
    def agents(self) -> list[str]:
        return sorted({entry.agent for entry in self.everything})

    @property
    def _counted(self) -> tuple[Entry, ...]:
        return self.mine if self.decides else self.everything


def inbox(service: Service, reader: Reader, person: Person, asked: QueueFilter, *, slack: bool) -> Inbox:
    """Read at once. `slack`: whether it is set up."""
    entries = _entries(service, reader, person)
    decides, told = "reviewer" in person.roles, "admin" in person.roles
    mine = tuple(entry for entry in entries if entry.mine)
    of_all = asked.show == "all" or not decides
    wanted = [entry for entry in entries if _fits(entry, asked) and (of_all or entry.mine or _to_settle(entry))]
    ended = [row for row in queries.page(reader, limit=LATELY * 3) if row.state not in OPEN][:LATELY]
    granted = standing_grants.shown(reader, grants.live(reader))
    return Inbox(
        asked=asked,
        decides=decides,
        mine=mine,
        everything=tuple(entries),
        groups=grouped(ordered(wanted, asked.order)),
        now=reader.now,
        ended=items(reader, service, ended),
        incidents=queries.contradicted(reader),
        flooding=rate_limits.flooding(reader, user_id=person.id, everybody=told),
        granted=granted[: grants.BANNER],
        more_granted=len(granted) > grants.BANNER,
        unseen=notices.unseen(reader, person.id) if told else 0,
        steps=checklist.steps(reader, slack=slack) if told else [],
    )


def next_of(service: Service, reader: Reader, person: Person, decided: RequestRow) -> RequestRow | None:
    """The request of this person's that stands after one that they have just decided, or the first of all."""
    mine = [entry.row for entry in ordered(_entries(service, reader, person), "") if entry.mine]
    return next((row for row in mine if key_of(row) >= key_of(decided)), mine[0] if mine else None)


def _entries(service: Service, reader: Reader, person: Person) -> list[Entry]:
    listed = items(reader, service, queries.queue(reader))
    pending = [one.row for one in listed if one.status.state is State.PENDING]
    last = max((row.id for row in pending), default="")
    allowed = service.authority.allowed(reader, pending, person, Act.APPROVE)
    votes = authority.approvals_of_pending(reader, last)
    awaited = presence.waited_for(reader, last)
    amounts = {
        one.row.id: _amount(service, reader, one.row) for one in listed if one.row.agent_session or one.row.trace_id
    }
    return [
        _entry(one, person, allowed, votes.get(one.row.id, set()), awaited, amounts.get(one.row.id)) for one in listed
    ]


def _amount(service: Service, reader: Reader, row: RequestRun) -> tuple[str, int] | None:
    """The one amount that the accepted title counts; None where it is not one, or too long to look for in a list."""
    if not row.reviewed or row.erased_at or len(row.arguments) > LONGEST:
        return None
    known = formats(service.registry.definition(reader, row.server, row.tool_hash).summary or "")
    if len(known) != 1:
        return None
    ((path, form),) = known.items()
    value = json.loads(row.arguments)
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return (form, value) if isinstance(value, int) and not isinstance(value, bool) and form in CURRENCIES else None


def _entry(
    one: Listed,
    person: Person,
    allowed: set[str],
    votes: set[str],
    awaited: set[str],
    amount: tuple[str, int] | None,
) -> Entry:
    voted = person.id in votes
    return Entry(
        one.row,
        one.status,
        one.agent,
        mine=one.row.id in allowed and not voted,
        voted=voted,
        approvals=len(votes),
        waits=one.row.id in awaited,
        warning="" if one.row.erased_at else tag(one.row.arguments),
        amount=amount,
    )


def _fits(entry: Entry, asked: QueueFilter) -> bool:
    return (
        asked.server in ("", entry.row.server)
        and asked.agent in ("", entry.agent)
        and asked.risk in ("", entry.row.risk)
        and asked.state in ("", entry.status.state)
    )


def _to_settle(entry: Entry) -> bool:
    return entry.status.state is State.UNKNOWN
