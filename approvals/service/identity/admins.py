"""Who administers: people with the role, and whoever has the command line of the service's own machine.

Every act that only they may do asks `require_admin` in its own transaction, whichever way it was asked for: on a page,
in Slack, by a command. So a role that was just taken away does not act any more.
"""

from dataclasses import dataclass

from approvals.errors import Forbidden
from approvals.service.audit.actor import Actor
from approvals.service.identity import users
from approvals.service.identity.users import Person
from approvals.service.storage.database import Reader
from approvals.service.storage.tables import User


@dataclass(frozen=True)
class Operator:
    """Somebody at the command line, by their name on that machine. They could read the database and its key anyway."""

    login: str

    @property
    def name(self) -> str:
        return f"the operator {self.login}"

    @property
    def actor(self) -> Actor:
        return Actor(f"cli:{self.login}")


Admin = Person | Operator


def require_admin(reader: Reader, by: Admin) -> Actor:
    """Name them for the record. Raises Forbidden for a person who is no admin, or is none any more."""
    if isinstance(by, Person) and not (is_admin(users.find(reader, by.id)) and "admin" in by.roles):
        raise Forbidden("Only admins may do this.", hint="Ask an admin.")
    return by.actor


def is_admin(user: User | None) -> bool:
    """Whether an account administers now."""
    return user is not None and user.disabled_at is None and "admin" in user.roles.split()
