"""What people read of a preview: its facts in words, and what changed between two of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from approvals.protocol.previews import Fact, Preview, View, preview_hash

REVERSIBLE = {"yes": "Can be undone", "no": "Cannot be undone", "by_hand": "Can be undone by hand"}
_LABELS = ("Effect", "Object", "Can it be undone", "Before", "After")
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}
_WHOLE = {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"}
_WHOLE |= {"RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"}
_THOUSANDTHS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was; empty where there was or is none."""

    label: str
    was: str
    now: str


def differences(before: Preview, after: Preview) -> tuple[Difference, ...]:
    """In what two previews of the same call differ, for people."""
    pairs = [*zip(_LABELS, _texts(before), _texts(after), strict=True), *_facts(before, after)]
    found = tuple(Difference(label, was, now) for label, was, now in pairs if was != now)
    if found or preview_hash(before) == preview_hash(after):
        return found
    return (Difference("Computed from", before.basis, after.basis),)


def changed_words(before: Preview, after: Preview) -> str:
    """In what an effect is another than the one that was approved, in one sentence."""
    first, *more = differences(before, after)
    rest = f", and {len(more)} more" if more else ""
    return f"its effect is another by now ({first.label}: {first.was or 'nothing'} → {first.now or 'nothing'}{rest})"


def _texts(preview: Preview) -> tuple[str, ...]:
    undo = " ".join(filter(None, [REVERSIBLE.get(preview.reversible or ""), preview.until]))
    views = (plain_view(preview.before), plain_view(preview.after))
    return preview.effect, object_of(preview), undo, *views


def _facts(before: Preview, after: Preview) -> Iterator[tuple[str, str, str]]:
    old, new = ({fact.name: fact for fact in preview.facts} for preview in (before, after))
    for name in {**old, **new}:
        was, now = old.get(name), new.get(name)
        yield label_of(now or old[name]), _noted(was), _noted(now)


def _noted(fact: Fact | None) -> str:
    if fact is None:
        return ""
    return f"{said(fact)} ({fact.note})" if fact.note else said(fact)


def plain_view(view: View | None) -> str:
    """A piece of the world as plain text, a table's cells between bars."""
    if view is None:
        return ""
    lines = [view.columns, *view.rows] if view.kind == "table" else []
    return "\n".join(" | ".join(map(str, line)) for line in lines) or view.text


def object_of(preview: Preview) -> str:
    """What it is done to: its name, and its id where that says more."""
    if preview.object and preview.object_id and preview.object_id not in preview.object:
        return f"{preview.object} ({preview.object_id})"
    return preview.object or preview.object_id


def label_of(fact: Fact) -> str:
    """What a fact is called."""
    return fact.label or fact.name.replace("_", " ").replace(".", " ").capitalize()


def said(fact: Fact) -> str:
    """A fact's value in words: money with its currency, numbers with their unit."""
    if isinstance(fact.value, bool):
        return "yes" if fact.value else "no"
    if isinstance(fact.value, tuple):
        return ", ".join(fact.value) or "none"
    if isinstance(fact.value, str):
        return fact.value
    if fact.currency is not None and isinstance(fact.value, int):
        return money(fact.value, fact.currency)
    return f"{fact.value:,} {fact.unit}".rstrip()


def margin(fact: Fact) -> str:
    """How much a fact may still change, in words; nothing where it may not."""
    if not fact.tolerance:
        return ""
    value = int(fact.tolerance) if float(fact.tolerance).is_integer() else fact.tolerance
    return said(fact.model_copy(update={"value": value}))


def money(amount: int, currency: str) -> str:
    """An amount in the smallest unit of an ISO 4217 currency, as people write it."""
    places = 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2
    whole, part = divmod(abs(amount), 10**places)
    figure = f"{whole:,}" + (f".{part:0{places}}" if places else "")
    sign = "-" if amount < 0 else ""
    return f"{sign}{_SIGNS[currency]}{figure}" if currency in _SIGNS else f"{sign}{figure} {currency}"
