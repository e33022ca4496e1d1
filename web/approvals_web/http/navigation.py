"""The pages that the head of every page leads to, by role."""

from typing import NamedTuple

from approvals.service.identity.users import Person

EVERYBODY = frozenset({"admin", "reviewer", "auditor", "viewer"})
OVERSEERS = frozenset({"admin", "auditor"})

Links = list[tuple[str, str]]

_OFTEN = (
    ("/", "Queue", EVERYBODY),
    ("/history", "History", EVERYBODY),
    ("/agents", "Agents", EVERYBODY),
    ("/servers", "Servers", EVERYBODY),
    ("/policy", "Policy", EVERYBODY),
    ("/figures", "Insights", EVERYBODY),
)
_SELDOM = (
    ("/grants", "Temporary permissions", EVERYBODY),
    ("/rollout", "Enforcement", EVERYBODY),
    ("/freeze", "Emergency stop", EVERYBODY),
    ("/users", "Users", OVERSEERS),
    ("/audit", "Audit log", EVERYBODY),
    ("/notices", "Security log", frozenset({"admin"})),
    ("/outbox", "Notifications", OVERSEERS),
)


class Navigation(NamedTuple):
    """Addresses and names, in order."""

    often: Links
    seldom: Links
    """Behind “More”."""

    @property
    def every(self) -> Links:
        """Where there is room for one menu only."""
        return [*self.often, *self.seldom]


def navigation(person: Person) -> Navigation:
    """What this person may open."""
    return Navigation(_of(_OFTEN, person), _of(_SELDOM, person))


def _of(pages: tuple[tuple[str, str, frozenset[str]], ...], person: Person) -> Links:
    return [(address, name) for address, name, roles in pages if not roles.isdisjoint(person.roles)]
