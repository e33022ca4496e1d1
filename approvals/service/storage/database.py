"""Transactions: plain synchronous functions of a `Transaction`; async begins outside.

Two databases keep the same promises: SQLite (`approvals.service.storage.sqlite`, one serving process) and PostgreSQL
(`postgres`, any number of replicas). A statement that changes a request locks its row first, so that both
run such transactions one after the other; everything else rests on constraints.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import bindparam, insert
from sqlmodel import SQLModel

from approvals.instant import Clock, Instant
from approvals.service.storage.channels import WAKE
from approvals.service.storage.row_changes import Touched, Watch
from approvals.service.storage.statements import Row, Statement, table_of
from approvals.service.storage.url import POSTGRES, path_of

M = TypeVar("M", bound=SQLModel)
R = TypeVar("R")
T = TypeVar("T")


class Reader(ABC):
    """Queries, as of `now`."""

    now: Instant

    @abstractmethod
    def all(self, statement: Statement[R], **parameters: object) -> list[R]: ...

    @abstractmethod
    def one(self, statement: Statement[R], **parameters: object) -> R | None:
        """The first row, or None."""

    def as_stored(self) -> AbstractContextManager[None]:
        """Meanwhile text that is none of ours is read, too, where a database lets somebody put it in."""
        return nullcontext()


class Log(Protocol):
    """The record (`approvals.service.audit.log.AuditLog`)."""

    def append(
        self, tx: "Transaction", kind: StrEnum, actor: str, subject: str, /, *touched: Touched | Watch, **facts: object
    ) -> None: ...


@dataclass(frozen=True)
class Effects:
    """What transactions do beside changing rows; the service gives it to its database."""

    log: Log
    hear: Callable[[str], None]
    """Tells this process what the others are notified of (`approvals.service.realtime.replicas.Replicas.hear`)."""
    tell: Callable[["Transaction", str, str], None]
    """Leaves a message for every notifier (`approvals.service.notifications.outbox.Outbox.tell`)."""


class Transaction(Reader):
    """A writing transaction. Whoever runs it commits; nothing inside does."""

    after_commit: list[Callable[[], None]]
    effects: Effects | None
    """None of a database without a service: nothing can be recorded there."""

    def record(self, kind: StrEnum, actor: str, subject: str, /, *touched: Touched | Watch, **facts: object) -> None:
        """Put on record that `actor` did `kind` to `subject`, and the state in which that left what it `touched`."""
        self._effects().log.append(self, kind, actor, subject, *touched, **facts)

    def wake(self, request_id: str) -> None:
        """Wake whoever waits for this request, in every process, once it is durable."""
        self.signal(f"{WAKE} {request_id}")

    def signal(self, message: str) -> None:
        """Tell every process over this database, this one too, once it is durable."""
        self.after_commit.append(partial(self._effects().hear, message))
        self.notify(message)

    def tell(self, verb: str, request_id: str) -> None:
        """Have every notifier speak of a request, once it is durable."""
        self._effects().tell(self, verb, request_id)

    def _effects(self) -> Effects:
        if self.effects is None:
            raise RuntimeError("This database belongs to no service: what is done in it would not be on record.")
        return self.effects

    @abstractmethod
    def execute(self, statement: Statement[object], **parameters: object) -> None:
        """Run a statement whose count of rows does not matter."""

    @abstractmethod
    def update(self, statement: Statement[object], **parameters: object) -> int:
        """Run an UPDATE or DELETE; the number of rows it met."""

    @abstractmethod
    def lock(self, statement: Statement[object], **parameters: object) -> None:
        """Lock what this statement names until the transaction ends; `now` is read again afterwards. SQLite has one
        writer, so nothing is left to lock."""

    @abstractmethod
    def try_lock(self, task: str) -> bool:
        """Lock a task that one process at a time should do, or say False at once."""

    @abstractmethod
    def notify(self, message: str) -> None:
        """Tell the other processes over this database, once it is durable."""

    def insert(self, table: type[M], **values: object) -> M:
        """Insert one row, model defaults filled in; as it is then, but for a number that the database gave it."""
        statement, defaults = _insert(table, frozenset(values))
        row = Row(defaults | values)
        self.execute(statement, **row)
        return cast(M, row)


@cache
def _insert(table: type[SQLModel], given: frozenset[str]) -> tuple[Statement[Row], dict[str, object]]:
    fields = table.model_fields
    numbered = table_of(table).autoincrement_column
    left_out = {numbered.name} - given if numbered is not None else set()
    defaults = {name: field.default for name, field in fields.items() if not field.is_required()}
    columns: dict[str, Any] = {name: bindparam(name) for name in fields if name not in left_out}
    values = {name: value for name, value in defaults.items() if name in columns}
    return Statement(insert(table_of(table)).values(columns)), values


HIGHEST = (
    "SELECT max(at) FROM (SELECT max(at) AS at FROM (SELECT at FROM audit_event ORDER BY id DESC LIMIT 1000) AS latest"
    " UNION ALL SELECT max(changed_at) FROM request UNION ALL SELECT max(last_seen_at) FROM gate_session) AS recorded"
)
"""The highest recorded instant, from which time goes on when a process starts. Not the last event's: processes number
their events in another order than they make them."""

Work = Callable[[Transaction], T]


class Database(ABC):
    """`write` and `read` are for the event loop, `write_now` and `read_now` for threads and commands."""

    clock: Clock
    name: str
    """By which people know it; without a password."""
    shared: bool
    """Whether other processes serve it, too."""
    effects: Effects | None = None
    on_retry: Callable[[], None]
    """Called when a transaction is run again."""

    @property
    @abstractmethod
    def is_full(self) -> bool:
        """Whether there is no room to write in: reads go on, and every write fails."""

    @abstractmethod
    def start(self) -> None:
        """Start on this event loop."""

    @abstractmethod
    def stop(self) -> None:
        """Finish what is under way, then close."""

    @abstractmethod
    async def write(self, work: Work[T]) -> T:
        """Run `work` in one durable transaction, then what it left in `after_commit`. It may be run more than once, so
        it must do nothing but through its transaction. Raises Unavailable when the database cannot be used."""

    @abstractmethod
    async def read(self, work: Callable[[Reader], T]) -> T:
        """Run a short, indexed read. Raises Unavailable."""

    @abstractmethod
    def write_now(self, work: Work[T]) -> T:
        """As `write`, blocking."""

    @abstractmethod
    def read_now(self, work: Callable[[Reader], T]) -> T:
        """As `read`, blocking."""

    @abstractmethod
    def schema(self) -> str | None:
        """The version of its schema; None while it has no tables of this product. Blocking. Raises Unavailable when
        there is no such database, or it cannot be used."""

    @abstractmethod
    def as_of_now(self, work: Callable[[Reader], T]) -> T:
        """As `read_now`, all of it as of one instant, however long it takes."""

    @abstractmethod
    async def listen(self, hear: Callable[[str], None], missed: Callable[[], None]) -> None:
        """Hear what other processes announce, forever; `missed` is called when something may have been lost."""


def database_at(url: str, clock: Clock | None = None, *, direct_url: str = "") -> Database:
    """The database of a URL: `sqlite:///path` (four slashes for an absolute path) or `postgresql://…`. `direct_url`
    goes past a pooler. Raises Invalid for any other."""
    if url.startswith(POSTGRES):
        from approvals.service.storage.postgres import Postgres

        return Postgres(url, clock, direct_url=direct_url)
    from approvals.service.storage.sqlite import Sqlite

    return Sqlite(path_of(url), clock)
