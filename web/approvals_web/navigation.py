"""The pages that the head of every page leads to, by role."""

from approvals.people import Person

EVERYBODY = frozenset({"admin", "reviewer", "auditor", "viewer"})

_PAGES = (
    ("/", "Queue", EVERYBODY),
    ("/history", "History", EVERYBODY),
    ("/grants", "Grants", EVERYBODY),
    ("/policy", "Policy", EVERYBODY),
    ("/servers", "Servers", EVERYBODY),
    ("/rollout", "Rollout", EVERYBODY),
    ("/agents", "Agents", EVERYBODY),
    ("/users", "Users", frozenset({"admin", "auditor"})),
    ("/audit", "Audit", EVERYBODY),
    ("/notices", "Notices", frozenset({"admin"})),
    ("/outbox", "Outbox", frozenset({"admin", "auditor"})),
    ("/freeze", "Freeze", EVERYBODY),
)


def navigation(person: Person) -> list[tuple[str, str]]:
    """Addresses and names, in order."""
    return [(address, name) for address, name, roles in _PAGES if not roles.isdisjoint(person.roles)]
