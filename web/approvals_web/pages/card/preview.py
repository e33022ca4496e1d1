"""What a request would do, as its card shows it: its server's preview, and how it differs from the one before."""

from dataclasses import dataclass

from approvals.instant import Instant
from approvals.protocol.preview_words import REVERSIBLE, Difference, differences, label_of, margin, object_of, said
from approvals.protocol.previews import Fact, Preview, View, stored
from approvals.protocol.states import State
from approvals.service.storage.database import Reader
from approvals.service.storage.tables.handles import REQUEST
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.text import visible
from approvals_web.pages.card.views import change, sql, table


@dataclass(frozen=True)
class ShownFact:
    """A fact in words."""

    label: str
    words: str
    note: str


@dataclass(frozen=True)
class Text:
    """A text as it is."""

    path: str
    text: str
    kind: str = "text"


Shown = Text | change.Change | sql.Sql | table.Table


@dataclass(frozen=True)
class Foreseen:
    """What the call would do; or why nobody knows."""

    server: str
    looked_at: Instant | None = None
    effect: str = ""
    target: str = ""
    undo: str = ""
    facts: tuple[ShownFact, ...] = ()
    views: tuple[Shown, ...] = ()
    differences: tuple[Difference, ...] = ()
    """From what was approved before, and had changed when it was to run."""
    no_preview: str = ""
    """Why there is none, or why looking again failed."""
    required: bool = False
    """Whether nobody can approve without one."""


def foreseen(reader: Reader, row: RequestRow) -> Foreseen | None:
    """The preview of a request; None where its tool has none, and none is asked for."""
    preview = stored(row.preview)
    if preview is not None:
        return _foreseen(row, preview, _before(reader, row))
    if row.no_preview or (row.preview_required and row.erased_at is None):
        why = row.no_preview or "this tool has none"
        return Foreseen(row.server, no_preview=why, required=row.preview_required)
    return None


def _before(reader: Reader, row: RequestRow) -> Preview | None:
    """What was approved of the same call, and was another effect when it was to run."""
    replaced = reader.one(REQUEST, id=row.replaces) if row.replaces is not None else None
    return stored(replaced.preview) if replaced is not None and replaced.state == State.STALE else None


def _foreseen(row: RequestRow, preview: Preview, before: Preview | None) -> Foreseen:
    undo = REVERSIBLE[preview.reversible] if preview.reversible is not None else ""
    return Foreseen(
        server=row.server,
        looked_at=row.previewed_at,
        effect=preview.effect,
        target=object_of(preview),
        undo=": ".join(filter(None, [undo, preview.until])),
        facts=tuple(map(_fact, preview.facts)),
        views=_views(preview.before, preview.after),
        differences=differences(before, preview) if before is not None else (),
        no_preview=row.no_preview,
        required=row.preview_required,
    )


def _fact(fact: Fact) -> ShownFact:
    moves = f"may change by {margin(fact)}" if fact.tolerance else ""
    return ShownFact(label_of(fact), said(fact), "; ".join(filter(None, [fact.note, moves])))


def _views(before: View | None, after: View | None) -> tuple[Shown, ...]:
    if before is not None and after is not None and "table" not in (before.kind, after.kind):
        changed = change.between(("Before", "After"), before.text, after.text)
        if changed is not None and not changed.more:
            return (changed,)
    named = (("Before", before), ("After", after))
    return tuple(_view(name, view) for name, view in named if view is not None)


def _view(name: str, view: View) -> Shown:
    if view.kind == "table":
        rows = tuple(tuple(None if cell is None else str(cell) for cell in row) for row in view.rows)
        return table.Table(name, view.columns, rows, 0, len(rows), cut=False)
    if view.kind == "sql":
        pieces = tuple((kind, visible(text, keep="\n\t")) for kind, text in sql.tokens(view.text))
        return sql.Sql(name, pieces, 0, ())
    return Text(name, view.text)
