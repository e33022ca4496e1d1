"""The name that a person types before they approve what is critical: proof that they read which object it is about."""

import re

from approvals.errors import Invalid
from approvals.protocol.canonical import decode, is_redacted
from approvals.protocol.previews import Preview
from approvals.service.text import mixes_scripts, visible

LONGEST = 60
_PLAIN_FIELD = re.compile(r"\{([A-Za-z_][\w.]*)\}")
"""A field of a summary without a format: those with one are amounts."""


def to_type(risk: str, template: str | None, tool: str, arguments: object, preview: Preview | None = None) -> str:
    """What must be typed; nothing below critical. It is the preview's object, else the first argument that the accepted
    template names plainly, if it can be typed (a whole number, or one line of at most LONGEST ordinary characters);
    else the tool's name."""
    if risk != "critical":
        return ""
    if preview is not None and (named := _typeable(preview.object) or _typeable(preview.object_id)):
        return named
    values = (_value(path, arguments) for path in _PLAIN_FIELD.findall(template or ""))
    return next(filter(None, values), tool)


def check(expected: str, typed: str) -> None:
    """Raises Invalid unless it was typed. Spaces around it do not matter."""
    if expected and typed.strip() != expected:
        raise Invalid(f"That doesn't match. Type {expected} to approve.", hint="Look which object it is about.")


def _value(path: str, arguments: object) -> str:
    value = arguments
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) and not is_redacted(value) else None
    value = decode(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if len(str(value)) <= LONGEST else ""
    return _typeable(value) if isinstance(value, str) else ""


def _typeable(value: str) -> str:
    if value != value.strip() or len(value) > LONGEST:
        return ""
    return "" if visible(value) != value or mixes_scripts(value) else value
