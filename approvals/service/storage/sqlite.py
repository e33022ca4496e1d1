"""SQLite: WAL, synchronous=FULL, one process that serves.

Reads have connections of their own (`query_only`), lent for the moment; they are short, indexed look-ups, so they run
where they are called.
"""

import contextlib
import fcntl
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from sqlalchemy.dialects.sqlite import dialect

from approvals import private_file
from approvals.errors import Unavailable
from approvals.instant import Clock, Instant
from approvals.service.storage.database import HIGHEST, Database, Effects, Reader, Transaction, Work
from approvals.service.storage.room import Room, is_left
from approvals.service.storage.sqlite_errors import full, is_full, unusable
from approvals.service.storage.sqlite_writer import Writer
from approvals.service.storage.statements import Row, Statement

R = TypeVar("R")
T = TypeVar("T")
DIALECT = dialect(paramstyle="named")


AS_STORED = partial(str, encoding="utf-8", errors="surrogateescape")
"""Reads text that may be none, where somebody else may have put it in."""


class SqliteReader(Reader):
    """Queries on one connection."""

    def __init__(self, connection: sqlite3.Connection, now: Instant) -> None:
        self._connection = connection
        self.now = now

    def all(self, statement: Statement[R], **parameters: object) -> list[R]:
        compiled = statement.compiled(DIALECT)
        cursor = self._connection.execute(compiled.sql, compiled.bind(parameters))
        names = compiled.names(cursor.description)
        return cast(list[R], [Row(zip(names, values, strict=True)) for values in cursor])

    def one(self, statement: Statement[R], **parameters: object) -> R | None:
        compiled = statement.compiled(DIALECT)
        cursor = self._connection.execute(compiled.sql, compiled.bind(parameters))
        values = cursor.fetchone()
        return None if values is None else cast(R, Row(zip(compiled.names(cursor.description), values, strict=True)))

    @contextlib.contextmanager
    def as_stored(self) -> Iterator[None]:
        usual, self._connection.text_factory = self._connection.text_factory, AS_STORED
        try:
            yield
        finally:
            self._connection.text_factory = usual


class SqliteTransaction(SqliteReader, Transaction):
    """A transaction of the one writer."""

    def __init__(self, connection: sqlite3.Connection, now: Instant, effects: Effects | None) -> None:
        super().__init__(connection, now)
        self.after_commit = []
        self.effects = effects

    def execute(self, statement: Statement[object], **parameters: object) -> None:
        self.update(statement, **parameters)

    def update(self, statement: Statement[object], **parameters: object) -> int:
        compiled = statement.compiled(DIALECT)
        return self._connection.execute(compiled.sql, compiled.bind(parameters)).rowcount

    def lock(self, statement: Statement[object], **parameters: object) -> None:
        return

    def try_lock(self, task: str) -> bool:
        return True

    def notify(self, message: str) -> None:
        return


class Sqlite(Database):
    """One SQLite file."""

    shared = False

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.path = path
        self.name = str(path.absolute())
        self.clock = clock or Clock()
        self._readers: deque[sqlite3.Connection] = deque()
        """Those not in use; as many as ever read at once."""
        self._writer: Writer | None = None
        self.on_retry = lambda: None  # its transactions run one after the other
        self._room = Room(self.clock)

    @property
    def is_full(self) -> bool:
        return self._room.is_gone or not is_left(self.path.absolute().parent)

    def start(self) -> None:
        connection = self.connect()
        self._learn_highest(connection)
        self._writer = Writer(connection)

    def stop(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        while self._readers:
            self._readers.pop().close()

    async def write(self, work: Work[T]) -> T:
        if self._writer is None:
            raise Unavailable("The database is not open.", hint="The service is starting or stopping: try again.")
        with self._meeting_the_disk():
            result: T = await self._writer.run(lambda connection: self._apply(connection, work))
        return result

    async def read(self, work: Callable[[Reader], T]) -> T:
        return self.read_now(work)

    def write_now(self, work: Work[T]) -> T:
        with contextlib.closing(self.connect()) as connection, self._telling():
            self._learn_highest(connection)
            result, hooks = self._transact(connection, work)
        for hook in hooks:
            hook()
        return result

    def read_now(self, work: Callable[[Reader], T]) -> T:
        connection = self._reader()
        try:
            return work(SqliteReader(connection, self.clock.now()))
        except sqlite3.DatabaseError as error:
            self._tell(error)
            raise
        finally:
            self._readers.append(connection)

    def schema(self) -> str | None:
        with contextlib.closing(self._open()) as connection, self._telling():
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
                return None
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return None if found is None else str(found[0])

    def as_of_now(self, work: Callable[[Reader], T]) -> T:
        connection = self.connect()
        try:
            connection.text_factory = AS_STORED
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            return work(SqliteReader(connection, self.clock.now()))
        finally:
            connection.close()

    async def listen(self, hear: Callable[[str], None], missed: Callable[[], None]) -> None:
        return

    def connect(self) -> sqlite3.Connection:
        """A connection with this product's pragmas, in autocommit mode. Raises Unavailable."""
        connection = self._open()
        try:
            with self._telling():
                for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                    connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self) -> sqlite3.Connection:
        """Open the file. Makes no database: migrations do. Raises Unavailable."""
        if not self.path.exists():
            raise Unavailable(
                f"There is no database {self.name}.",
                hint="Go to the folder that the service runs in, or name its database with --database-url or"
                " APPROVALS_DATABASE_URL. A new one is made by `approvals serve` and `approvals migrate` alone.",
            )
        with self._telling():
            return sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=10,
                cached_statements=512,
            )

    @contextlib.contextmanager
    def only_process(self) -> Iterator[None]:
        """Hold the one-process lock. Raises Unavailable when another process serves this file."""
        with private_file.opened(self.path.with_name(self.path.name + ".lock")) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Unavailable(
                    f"Another process already serves {self.path}.",
                    hint="Stop it first, or give this one another APPROVALS_DATABASE_URL.",
                ) from None
            yield

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            self._tell(error)
            raise

    @contextlib.contextmanager
    def _meeting_the_disk(self) -> Iterator[None]:
        """Raises Unavailable where there is no room; remembers either way."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if is_full(error):
                self._tell(error)
            raise
        self._room.found()

    def _tell(self, error: sqlite3.DatabaseError) -> None:
        """Raises Unavailable for what SQLite has against the file itself."""
        if is_full(error):
            self._room.refused()
            raise full(self.path) from error
        if type(error) in {sqlite3.DatabaseError, sqlite3.OperationalError}:
            raise unusable(self.path, str(error)) from error

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._readers.pop()
        except IndexError:
            connection = self.connect()
            connection.execute("PRAGMA query_only = ON")
            return connection

    def _apply(self, connection: sqlite3.Connection, work: Work[T]) -> tuple[T, list[Callable[[], None]]]:
        transaction = SqliteTransaction(connection, self.clock.now(), self.effects)
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
            (highest,) = connection.execute(HIGHEST).fetchone()
            self.clock.not_below(highest or 0)
