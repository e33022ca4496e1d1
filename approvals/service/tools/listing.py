"""Tools as people look through them: by the place where each stands, so that none hides those of another.

A place is a server's enforced installations together (an empty id), or one cooperative installation. Only what somebody
can still use is listed."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, or_, select

from approvals.protocol.registration import Assurance
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import Installation, Tool, table_of

_tools = table_of(Tool)
_installations = table_of(Installation)

_LIVE = exists().where(
    _installations.c.server == _tools.c.server,
    _installations.c.disabled_at.is_(None),
    or_(
        _installations.c.id == _tools.c.installation_id,
        and_(_tools.c.installation_id == "", _installations.c.assurance == Assurance.ENFORCED.value),
    ),
)
_OFFERED = _tools.c.offered_hash.is_not(None)


def _shares(*which: ColumnElement[bool]) -> Statement[Row]:
    """The first few at each place; each row says how many are there."""
    place = (_tools.c.server, _tools.c.installation_id)
    nth = func.row_number().over(partition_by=place, order_by=_tools.c.name).label("nth")
    total = func.count().over(partition_by=place).label("total")
    numbered = select(_tools, nth, total).where(_LIVE, *which).subquery()
    found = numbered.c
    first = select(numbered).where(found.nth <= bindparam("most"))
    return Statement(first.order_by(found.server, found.installation_id, found.name))


def _page(*which: ColumnElement[bool]) -> Statement[Row]:
    of_place = (_tools.c.server == bindparam("server"), _tools.c.installation_id == bindparam("at"))
    after = _tools.c.name > bindparam("after")
    found = select(_tools).where(_LIVE, *of_place, after, *which)
    return Statement(found.order_by(_tools.c.name).limit(bindparam("most")))


_SHARES = {False: _shares(), True: _shares(_OFFERED)}
_PAGE = {False: _page(), True: _page(_OFFERED)}


@dataclass(frozen=True)
class Place:
    """Where tools stand."""

    server: str
    at: str = ""
    """The cooperative installation; empty for the enforced ones."""


def shares(reader: Reader, most: int, *, offered: bool) -> tuple[list[Row], dict[Place, int]]:
    """The first `most` tools of each place (those `offered` for acceptance), and how many more there are at each."""
    rows = reader.all(_SHARES[offered], most=most)
    return rows, {Place(row.server, row.installation_id): row.total - most for row in rows if row.total > most}


def page(reader: Reader, place: Place, after: str, most: int, *, offered: bool) -> list[Row]:
    """The next `most` tools of one place, by name."""
    return reader.all(_PAGE[offered], server=place.server, at=place.at, after=after, most=most)
