"""What the tables hold: the rows under seal of some subjects, and the rows of none."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from sqlalchemy import bindparam, exists, select

from approvals.service.audit.log import WITHOUT_ROWS
from approvals.service.audit.seals import SEALED, Sealed
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import AuditEvent, table_of

TOGETHER = 100
"""Subjects whose rows are read at once."""
FEW = 20

_events = table_of(AuditEvent)
_OF = {
    under: Statement(
        select(under.table, under.subject.label("of_subject")).where(
            under.subject.in_([bindparam(f"of_{number}") for number in range(TOGETHER)])
        )
    )
    for under in SEALED.values()
}
_OF_NONE = {
    under: Statement(
        select(under.table)
        .where(
            ~exists(
                select(_events.c.id).where(
                    _events.c.subject == under.subject, *(_events.c.kind != kind for kind in WITHOUT_ROWS)
                )
            )
        )
        .limit(FEW)
    )
    for under in SEALED.values()
}

Held = dict[str, tuple[Sealed, Row]]
"""Rows by their names."""


def rows_of(reader: Reader, subjects: Sequence[str]) -> dict[str, Held]:
    """Up to TOGETHER subjects' rows."""
    padded = [*subjects, *([subjects[-1]] * (TOGETHER - len(subjects)))]
    given = {f"of_{number}": subject for number, subject in enumerate(padded)}
    found: dict[str, Held] = defaultdict(dict)
    for under, statement in _OF.items():
        if any(subject.startswith(under.prefixes) for subject in subjects):
            for row in reader.all(statement, **given):
                found[row.of_subject][under.name(row)] = (under, row)
    return found


def of_nobody(reader: Reader) -> Iterator[str]:
    """The names of rows of which no event tells anything, a few of each table."""
    for under, statement in _OF_NONE.items():
        yield from map(under.name, reader.all(statement))
