"""How long a key lives, as people write it."""

import re

from approvals.errors import Invalid

NEVER = "never"
_SPAN = re.compile(r"([0-9]{1,5})([dhm])", re.ASCII)
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60}
LONGEST = 3_660 * 86_400


def seconds(text: str) -> int | None:
    """From `30d`, `12h`, `15m`, or `never` (None). Raises Invalid."""
    if text == NEVER:
        return None
    match = _SPAN.fullmatch(text)
    life = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < life <= LONGEST:
        raise Invalid(f"{text!r:.40} is no time that a key can live.", hint="For example 30d, 12h, 15m, or never.")
    return life
