"""What the chain says of who could review when, and of what was frozen when: as it is walked."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from approvals.instant import SECOND, Instant
from approvals.service.audit.log import ROWS
from approvals.service.storage.statements import Row
from approvals.service.storage.tables import DecisionRow

CROSSING = 60 * SECOND
"""A change of roles and a decision may be under way at once, and be written in either order."""
NEVER = 2**62


@dataclass
class Spell:
    """From one event to another."""

    begun: int
    ended: int = NEVER
    ended_at: Instant = NEVER


@dataclass
class History:
    """Hears every event, in the order of the chain."""

    roles: dict[str, "Standing"] = field(default_factory=dict)
    """Of each person: their roles, and whether they are let in."""
    reviewing: dict[str, list[Spell]] = field(default_factory=lambda: defaultdict(list))
    freezes: dict[str, list[Spell]] = field(default_factory=lambda: defaultdict(list))
    ways_in: set[tuple[str, str]] = field(default_factory=set)
    """People, with each session, token and link to Slack that was ever theirs."""

    def heed(self, event: Row) -> None:
        """Take the next event."""
        if event.subject.startswith("user:"):
            ways = (row for row in json.loads(event.body or "{}").get(ROWS, {}) if row.startswith(WAYS_IN))
            self.ways_in.update((event.subject, way) for way in ways)
        if event.kind in PEOPLE:
            before = self.roles.get(event.subject, ("", True))
            roles, let_in = PEOPLE[event.kind](json.loads(event.body or "{}"), *before)
            self.roles[event.subject] = roles, let_in
            _turn(self.reviewing[event.subject], event, on=let_in and "reviewer" in roles.split())
        elif event.kind in FREEZES:
            _turn(self.freezes[event.subject], event, on=FREEZES[event.kind])

    def let_in(self, vote: DecisionRow) -> bool:
        """Whether a vote came by a way in that its person had: one that is not on record was put in for a moment."""
        way = f"{WAYS[vote.channel]} {vote.session_id.removeprefix('slack:')}"
        return not vote.session_id or (f"user:{vote.user_id}", way) in self.ways_in

    def could_review(self, actor: str, event: int, at: Instant) -> bool:
        """Whether a person was a reviewer when this event was written."""
        return any(
            spell.begun < event and (spell.ended > event or spell.ended_at >= at - CROSSING)
            for spell in self.reviewing.get(actor, ())
        )

    def frozen(self, event: int, server: str, agent_id: str | None) -> bool:
        """Whether anything stopped the writes of an agent to a server then."""
        subjects = ("freeze:all", f"freeze:server:{server}", f"freeze:agent:{agent_id}")
        return any(spell.begun < event < spell.ended for subject in subjects for spell in self.freezes.get(subject, ()))


Standing = tuple[str, bool]
PEOPLE: Mapping[str, Callable[[Mapping[str, Any], str, bool], Standing]] = {
    "user.added": lambda facts, roles, let_in: (facts["roles"], True),
    "user.roles_set": lambda facts, roles, let_in: (facts["roles"], let_in),
    "user.disabled": lambda facts, roles, let_in: (roles, False),
    "user.enabled": lambda facts, roles, let_in: (roles, True),
}
"""By kind: a person's roles, and whether they are let in, after it."""
WAYS = {"web": "web_session", "api": "credential", "slack": "slack_link"}
"""By channel: what a vote's session names."""
WAYS_IN = tuple(WAYS.values())
FREEZES = {"freeze.made": True, "freeze.lifted": False}


def _turn(spells: list[Spell], event: Row, *, on: bool) -> None:
    running = bool(spells) and spells[-1].ended == NEVER
    if on and not running:
        spells.append(Spell(event.id))
    elif not on and running:
        spells[-1].ended, spells[-1].ended_at = event.id, event.at
