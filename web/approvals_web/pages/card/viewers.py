"""Who has which card open. In memory of this process, by the pages' own refreshes; nothing depends on it."""

from collections import OrderedDict

from approvals.instant import SECOND, Instant
from approvals.service.identity.users import Person

GONE_SECONDS = 75
"""An open card refreshes every 30 s; who misses two is gone."""
MOST = 5000
"""People at cards that are remembered; the longest silent are forgotten first."""


class Viewers:
    """Event loop only."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], tuple[str, Instant]] = OrderedDict()

    def look(self, request_id: str, person: Person, now: Instant) -> list[str]:
        """Note that a person has a card before them; the names of the others who do."""
        self._seen[request_id, person.id] = (person.name, now)
        self._seen.move_to_end((request_id, person.id))
        while self._seen and (
            len(self._seen) > MOST or next(iter(self._seen.values()))[1] < now - GONE_SECONDS * SECOND
        ):
            self._seen.popitem(last=False)
        return sorted(name for (at, who), (name, _) in self._seen.items() if at == request_id and who != person.id)
