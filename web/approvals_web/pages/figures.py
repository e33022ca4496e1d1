"""How much is asked of people, and how they decide."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request, Response

from approvals.instant import to_datetime
from approvals.service.history import statistics
from approvals.service.history.statistics import ENDS, QUICK_MS, Figures, Line
from approvals.service.identity import users
from approvals.service.identity.users import Person
from approvals.service.storage.database import Reader
from approvals_web.http.deps import SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.charts import Bars, sparkline, stacked

LISTED = 100
ENOUGH = 20
"""Requests that people approved nearly all of: from so many on, a rule may do without asking."""
NEARLY_ALL = 0.95

router = PageRouter()


@dataclass(frozen=True)
class Looker:
    """How long one person looks before they decide."""

    name: str
    decisions: int
    quick: int


@dataclass(frozen=True)
class FiguresPage:
    """What `figures.html` needs."""

    person: Person
    found: Figures
    days: int
    listed: list[tuple[Line, str]]
    """Each with the points of its line."""
    chart: Bars
    spans: list[str]
    """The words for each day or hour."""
    suggested: list[Line]
    lookers: list[Looker]
    """For those who oversee."""
    most: int
    ends: tuple[str, ...] = ENDS


@router.get("/figures")
def shown(
    request: Request, person: SignedIn, service: TheService, days: Annotated[int, Query(ge=1, le=90)] = 7
) -> Response:
    """Of the last days."""
    return page(request, "figures.html", service.read_now(lambda reader: _page(reader, person, days)))


def _page(reader: Reader, person: Person, days: int) -> FiguresPage:
    found = statistics.of(reader, days)
    form = "%H:00" if days == 1 else "%-d %b"
    words = [to_datetime(span.start).strftime(form) for span in found.spans]
    oversees = not person.roles.isdisjoint({"admin", "auditor"})
    return FiguresPage(
        person,
        found,
        days,
        listed=[(line, sparkline([line.spans[at] for at in range(len(words))])) for line in found.lines[:LISTED]],
        chart=stacked([span.ends for span in found.spans], ENDS, words),
        spans=words,
        suggested=[line for line in found.lines if _could_go(line)][:5] if oversees else [],
        lookers=_lookers(reader, found) if oversees else [],
        most=statistics.MOST,
    )


def _could_go(line: Line) -> bool:
    """Whether people hardly ever say no."""
    decided = line.approved + line.denied
    return decided >= ENOUGH and line.approved >= NEARLY_ALL * decided


def _lookers(reader: Reader, found: Figures) -> list[Looker]:
    people = {row.id: row.name for row in users.everyone(reader)}
    made = (
        Looker(people.get(of, "somebody who is gone"), len(looks), sum(look < QUICK_MS for look in looks))
        for of, looks in found.by_person.items()
    )
    return sorted(made, key=lambda one: (-one.quick, one.name))[:LISTED]
