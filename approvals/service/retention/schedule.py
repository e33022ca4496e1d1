"""What is kept how long: one table. Facts (who, when, verdict, digest, rule) are in none of its rows: they stay."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from approvals.errors import Invalid

HOUR = 3600
DAY = 24 * HOUR
NEVER = "never"


@dataclass(frozen=True)
class Kind:
    """One kind of what is kept. `name` is None where nobody can set how long."""

    name: str | None
    what: str
    kept: str
    then: str
    seconds: int = 0
    least: int = HOUR


KINDS = (
    Kind(
        None,
        "exact arguments, sealed by the gate",
        "until the request has ended",
        "erased by the move that ends it",
    ),
    Kind(
        None,
        "exact result, sealed by the gate",
        "while it may be replayed (`replay_window` of the rule, 10 minutes by default)",
        "erased",
    ),
    Kind(
        "calls",
        "records of calls that needed no approval: arguments and errors",
        "90 days",
        "erased, and the audit record says so",
        90 * DAY,
    ),
    Kind(
        "contents",
        "contents of ended requests: arguments, summary, the agent's reason, result, error, comments and notes",
        "365 days after the end",
        "erased, and the card and the audit record say so",
        365 * DAY,
        least=DAY,
    ),
    Kind(
        "sessions",
        "ended web sessions, spent and expired sign-in links",
        "30 days after their end",
        "their rows are deleted",
        30 * DAY,
    ),
    Kind(
        "deliveries",
        "what notifiers were told: that a message went out, through which, when, with which error",
        "30 days after it arrived or was given up",
        "their rows are deleted",
        30 * DAY,
        least=DAY,
    ),
    Kind(
        None,
        "facts: who, when, verdict, state, digest, rule, tool definition, policy text",
        "for ever",
        "nothing",
    ),
)
_DEFAULTS = {kind.name: kind.seconds for kind in KINDS if kind.name is not None}
_LEAST = {kind.name: kind.least for kind in KINDS if kind.name is not None}
_SPAN = re.compile(r"([0-9]{1,6})([dh])")
_FORM = "For example: APPROVALS_RETENTION=calls=90d,contents=365d,sessions=never (d for days, h for hours)."


@dataclass(frozen=True)
class Retention:
    """Seconds by kind; a kind that is None is kept for ever."""

    seconds: Mapping[str, int | None] = field(default_factory=lambda: dict(_DEFAULTS))

    @classmethod
    def parse(cls, text: str) -> "Retention":
        """From `calls=90d,contents=never`; what is not named keeps its default. Raises Invalid."""
        given: dict[str, int | None] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, span = (piece.strip() for piece in part.partition("="))
            if not equals or name not in _DEFAULTS:
                known = ", ".join(_DEFAULTS)
                raise Invalid(f"APPROVALS_RETENTION has {part!r:.60}; the kinds are {known}.", hint=_FORM)
            if name in given:
                raise Invalid(f"APPROVALS_RETENTION names {name} twice.", hint=_FORM)
            given[name] = _seconds(name, span)
        return cls(_DEFAULTS | given)

    def before(self, kind: str, now: int) -> int | None:
        """The instant (microseconds) up to which this kind is too old at `now`; None when it is kept for ever."""
        seconds = self.seconds[kind]
        return None if seconds is None else now - seconds * 1_000_000


def _seconds(name: str, span: str) -> int | None:
    if span == NEVER:
        return None
    match = _SPAN.fullmatch(span)
    if match is None:
        raise Invalid(f"APPROVALS_RETENTION keeps {name} for {span!r:.40}, which is no time.", hint=_FORM)
    seconds = int(match[1]) * (DAY if match[2] == "d" else HOUR)
    if seconds < _LEAST[name]:
        raise Invalid(f"APPROVALS_RETENTION keeps {name} for {span}; {_LEAST[name] // HOUR}h is the least.", hint=_FORM)
    return seconds
