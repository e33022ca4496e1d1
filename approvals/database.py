"""Transactions: plain synchronous functions of a `Transaction`, run by one writer; async begins outside.

SQLite only, for now: WAL, synchronous=FULL, one process that serves. Reads have connections of their own
(`query_only`), lent for the moment; they are short, indexed look-ups, so they run where they are called.
"""

import contextlib
import fcntl
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Executable, insert
from sqlalchemy.dialects import sqlite
from sqlmodel import SQLModel

from approvals.errors import Invalid, Unavailable
from approvals.instant import Clock, Instant
from approvals.writer import Writer

T = TypeVar("T")


class Row(dict[str, Any]):
    """A row whose columns are attributes."""

    def __getattr__(self, column: str) -> Any:
        try:
            return self[column]
        except KeyError:
            raise AttributeError(column) from None


class Statement:
    """A SQLAlchemy Core statement, compiled once; parameters are its named bind parameters."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._names: tuple[str, ...] | None = None

    @cached_property
    def sql(self) -> str:
        dialect = sqlite.dialect(paramstyle="named")
        compiled = self._statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self._literals = {key: value for key, value in compiled.params.items() if value is not None}
        return str(compiled)

    def names(self, cursor: sqlite3.Cursor) -> tuple[str, ...]:
        """Its columns, the same each time it is run."""
        if self._names is None:
            self._names = tuple(column[0] for column in cursor.description)
        return self._names

    def bind(self, given: dict[str, Any]) -> dict[str, Any]:
        """The parameters, with the statement's own literals filled in."""
        return self._literals | given


class Reader:
    """Queries on one DB-API connection, as of `now`."""

    def __init__(self, connection: sqlite3.Connection, now: Instant) -> None:
        self._connection = connection
        self.now = now

    def all(self, statement: Statement, **parameters: Any) -> list[Row]:
        cursor = self._connection.execute(statement.sql, statement.bind(parameters))
        names = statement.names(cursor)
        return [Row(zip(names, values, strict=True)) for values in cursor]

    def one(self, statement: Statement, **parameters: Any) -> Row | None:
        """The first row, or None."""
        cursor = self._connection.execute(statement.sql, statement.bind(parameters))
        values = cursor.fetchone()
        return None if values is None else Row(zip(statement.names(cursor), values, strict=True))


class Transaction(Reader):
    """A writing transaction. Whoever runs it commits; nothing inside does."""

    def __init__(self, connection: sqlite3.Connection, now: Instant) -> None:
        super().__init__(connection, now)
        self.after_commit: list[Callable[[], None]] = []

    def change(self, statement: Statement, **parameters: Any) -> int:
        """Run an UPDATE or DELETE; the number of rows it met."""
        sql = statement.sql
        return self._connection.execute(sql, statement.bind(parameters)).rowcount

    def insert(self, table: type[SQLModel], **values: Any) -> int:
        """Insert one row, model defaults filled in; the row id that the database gave it."""
        statement, defaults = _insert(table)
        cursor = self._connection.execute(statement.sql, defaults | values)
        return cursor.lastrowid or 0


@cache
def _insert(table: type[SQLModel]) -> tuple[Statement, dict[str, Any]]:
    fields = table.model_fields
    defaults = {name: field.default for name, field in fields.items() if not field.is_required()}
    return Statement(insert(table.__table__)), defaults  # type: ignore[attr-defined]


Work = Callable[[Transaction], T]


class Database:
    """One SQLite file. `write` is for the event loop, `write_now` for commands."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.path = path_of(url)
        self.clock = clock or Clock()
        self._readers: deque[sqlite3.Connection] = deque()
        """Those not in use; as many as ever read at once."""
        self._writer: Writer | None = None

    def start(self) -> None:
        """Start the writer on this event loop. Raises what opening the file raises."""
        connection = self.connect()
        self._learn_highest(connection)
        self._writer = Writer(connection)

    def stop(self) -> None:
        """Finish the commit under way, then close."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        while self._readers:
            self._readers.pop().close()

    async def write(self, work: Work[T]) -> T:
        """Run `work` in one durable transaction, then what it left in `after_commit`. It may be run twice, so it must
        do nothing but through its transaction. Raises Unavailable when nothing was started."""
        if self._writer is None:
            raise Unavailable("The database is not open.", hint="The service is starting or stopping: try again.")
        result: T = await self._writer.run(lambda connection: self._apply(connection, work))
        return result

    def write_now(self, work: Work[T]) -> T:
        """Run `work` in one durable transaction, on a connection of its own."""
        connection = self.connect()
        try:
            self._learn_highest(connection)
            result, hooks = self._transact(connection, work)
        finally:
            connection.close()
        for hook in hooks:
            hook()
        return result

    def read(self, work: Callable[[Reader], T]) -> T:
        """Run a short read where it is called."""
        connection = self._reader()
        try:
            return work(Reader(connection, self.clock.now()))
        finally:
            self._readers.append(connection)

    def connect(self) -> sqlite3.Connection:
        """A connection with this product's pragmas, in autocommit mode."""
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=10, cached_statements=512
        )
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    @contextlib.contextmanager
    def only_process(self) -> Iterator[None]:
        """Hold the one-process lock. Raises Unavailable when another process serves this file."""
        lock = self.path.with_name(self.path.name + ".lock")
        with lock.open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Unavailable(
                    f"Another process already serves {self.path}.",
                    hint="Stop it first, or give this one another APPROVALS_DATABASE_URL.",
                ) from None
            yield

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._readers.pop()
        except IndexError:
            connection = self.connect()
            connection.execute("PRAGMA query_only = ON")
            return connection

    def _apply(self, connection: sqlite3.Connection, work: Work[T]) -> tuple[T, list[Callable[[], None]]]:
        transaction = Transaction(connection, self.clock.now())
        return work(transaction), transaction.after_commit

    def _transact(self, connection: sqlite3.Connection, work: Work[T]) -> tuple[T, list[Callable[[], None]]]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            done = self._apply(connection, work)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return done

    def _learn_highest(self, connection: sqlite3.Connection) -> None:
        with contextlib.suppress(sqlite3.OperationalError):  # no schema yet
            (highest,) = connection.execute("SELECT at FROM audit_event ORDER BY id DESC LIMIT 1").fetchone() or (0,)
            self.clock.not_below(highest)


def path_of(url: str) -> Path:
    """The file of a `sqlite:///path` URL (four slashes for an absolute path). Raises Invalid for other databases."""
    if not url.startswith("sqlite:///") or url == "sqlite:///":
        raise Invalid(
            f"APPROVALS_DATABASE_URL is {url.split('@')[-1]!r}, which this version cannot use.",
            hint="Use sqlite:///approvals.db, or sqlite:////absolute/path.db.",
        )
    return Path(url.removeprefix("sqlite:///"))
