"""Whom a command speaks to: the service that runs over its database, or, while none answers, the database itself."""

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from approvals_web.operator.client import NOBODY, over, socket_beside
from approvals_web.operator.messages.ask import Ask
from approvals_web.operator.messages.requests import Address
from approvals_web.settings import Settings

if TYPE_CHECKING:  # the service's parts take a second to import, and a command to a running service needs none
    from approvals.service.service import Service

R = TypeVar("R")


class Reach(Protocol):
    """What takes commands."""

    @property
    def words(self) -> str:
        """Names it, so that a command run in the wrong folder is noticed."""

    @property
    def public_url(self) -> str:
        """Where people and gates reach the service. Raises Invalid when that is no address."""

    def ask(self, asked: Ask[R]) -> R:
        """Have it done. Raises ApprovalsError."""


@dataclass(frozen=True)
class Running:
    """A serving process, over its socket: it knows at once."""

    path: str
    database: str
    public_url: str

    @property
    def words(self) -> str:
        return f"Service: {self.public_url} (database {self.database})"

    def ask(self, asked: Ask[R]) -> R:
        return over(self.path, asked)


@dataclass(frozen=True)
class Alone:
    """The database: no service answers for it, or services and commands reach it over the network."""

    service: "Service"

    @property
    def words(self) -> str:
        database = self.service.database
        return f"Database: {database.name}{'' if database.shared else ' (no running service answers for it)'}"

    @property
    def public_url(self) -> str:
        from approvals_web.operator.requests import address_of

        return address_of(self.service)

    def ask(self, asked: Ask[R]) -> R:
        from approvals_web.operator.dispatch import carry_out
        from approvals_web.operator.operation import Operation
        from approvals_web.operator.socket import operator_of

        database, by = self.service.database, operator_of(os.getuid())
        database.write_now(self.service.check_key)
        answer = database.write_now(lambda tx: carry_out(Operation(self.service, tx, by), asked))
        self.service.link_now()
        return answer


def reach(settings: Settings) -> Reach:
    """Whatever takes commands for the database of these settings. Raises ApprovalsError when nothing does."""
    file = settings.file
    if file is not None and (path := socket_beside(file)):
        with contextlib.suppress(*NOBODY):
            return Running(path, str(file.absolute()), over(path, Address()))
    return Alone(opened(settings))


def opened(settings: Settings) -> "Service":
    """The service's parts over a database that is there, without serving. Raises ApprovalsError when it is not, has
    another schema, or belongs to another key."""
    from approvals.service.audit import address
    from approvals.service.service import Service
    from approvals.service.storage import schema_version

    database = settings.database()
    schema_version.check(database)
    kept = database.read_now(address.kept)
    keyring = settings.keyring()
    known = address.known(kept, keyring.audit)
    service = Service(database, keyring, settings.public_url or known or settings.url())
    database.read_now(service.compare_key)
    return service
