"""A preview without secrets: its texts wherever they stand in it, and numbers that a declared secret is in."""

from approvals.protocol import redaction
from approvals.protocol.canonical import JsonObject
from approvals.protocol.previews import Preview
from approvals.protocol.secret_text import Declared

_NO_WORDS = frozenset({"name", "kind", "currency", "reversible", "tolerance"})
"""Fields that hold one of few words, or a number that means nothing alone."""
_MOST = {"effect": 300, "value": 500, "label": 60, "unit": 20, "text": 16_000}
"""Characters, as `approvals.protocol.previews` takes them; of all others _LINE."""
_LINE = 200
_COINCIDENCE = 6
"""Digits below which a number that is a declared secret, too, is shown: 42 is many things."""


def masked_preview(preview: Preview, declared: Declared) -> tuple[JsonObject, int]:
    """The fields of a preview, masked, and how many characters that hides."""
    return _object(preview.model_dump(mode="json", exclude_defaults=True), declared)


def _object(fields: JsonObject, declared: Declared) -> tuple[JsonObject, int]:
    done = {name: _field(name, value, declared) for name, value in fields.items()}
    told = {name: value for name, (value, _) in done.items()}
    if isinstance(told.get("value"), str) and not isinstance(fields["value"], str):  # no number any more
        told = {name: value for name, value in told.items() if name not in ("currency", "tolerance")}
    return told, sum(hidden for _, hidden in done.values())


def _field(name: str, value: object, declared: Declared) -> tuple[object, int]:
    if name in _NO_WORDS or value is None or isinstance(value, bool):
        return value, 0
    if isinstance(value, dict):
        return _object(value, declared)
    if isinstance(value, list):
        done = [_field("words" if name == "value" else name, item, declared) for item in value]
        return [item for item, _ in done], sum(hidden for _, hidden in done)
    if isinstance(value, int | float) and len(str(value)) < _COINCIDENCE:
        return value, 0
    told, hidden = redaction.told(str(value), _MOST.get(name, _LINE), declared)
    return (told, hidden) if hidden or isinstance(value, str) else (value, 0)
