"""PostgreSQL through psycopg 3: any number of serving processes.

Transactions are READ COMMITTED and run in a few threads. Statements are pipelined, so what need not be read (and the
commit) shares round trips. What must not happen twice is held by a row lock or a constraint; a transaction that meets
one at the wrong moment is run again. `now` is the database's (`clock_timestamp()`), read again after every wait.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString, TypeVar, cast

import psycopg
from psycopg import AsyncConnection, Connection, Cursor, Pipeline
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.dialects.postgresql.psycopg import dialect

from approvals.errors import Unavailable
from approvals.instant import Clock, DatabaseClock, Instant
from approvals.service.storage.database import HIGHEST, Database, Effects, Reader, Transaction, Work
from approvals.service.storage.statements import Row, Statement

logger = logging.getLogger("approvals")
logging.getLogger("psycopg").setLevel(logging.ERROR)  # what it warns of is handled here: transactions run again
R = TypeVar("R")
T = TypeVar("T")
Connected = Connection[tuple[Any, ...]]

DIALECT = dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
CHANNEL = "approvals"
THREADS = 8
TRIES = 6
LISTEN_PAUSE = 5.0
"""Seconds between two attempts to listen again, at most; and how long a listener may hear nothing before it asks."""
PATIENCE = "10s"
"""A process that stops in the middle of a transaction holds its locks no longer than this."""

_NOW = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
_BEGIN = (
    f"SELECT {_NOW}, set_config('lock_timeout', '{PATIENCE}', true),"
    " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
    " WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true),"
    f" set_config('statement_timeout', '{PATIENCE}', true),"
    f" set_config('idle_in_transaction_session_timeout', '{PATIENCE}', true)"
)
_BEGIN_17 = f"{_BEGIN}, set_config('transaction_timeout', '{PATIENCE}', true)"
"""From PostgreSQL 17 on: also between a write and the COMMIT that follows it, where no other timer runs."""
_ANNOUNCE = "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, word) FROM unnest(%s::text[]) AS word"
_SCHEMA = "SELECT version_num FROM alembic_version"
_CROSSED = {"23505", "40001", "40P01"}
"""Somebody else was at the same thing: unique violation, serialization failure, deadlock. Another look decides."""


class PostgresReader(Reader):
    """Queries on one connection."""

    def __init__(self, connection: Connected, now: Instant) -> None:
        self._connection = connection
        self.now = now

    def all(self, statement: Statement[R], **parameters: Any) -> list[R]:
        cursor = self._send(statement, parameters)
        values = self._fetched(cursor)
        names = statement.compiled(DIALECT).names(cursor.description)
        return cast(list[R], [Row(zip(names, row, strict=True)) for row in values])

    def one(self, statement: Statement[R], **parameters: Any) -> R | None:
        rows = self.all(statement, **parameters)
        return rows[0] if rows else None

    def _send(self, statement: Statement[Any], parameters: dict[str, Any]) -> Cursor[tuple[Any, ...]]:
        compiled = statement.compiled(DIALECT)
        values = _without_nul(compiled.bind(parameters))
        return self._connection.execute(compiled.sql.encode(), values, prepare=False if statement.varies else None)

    def _fetched(self, cursor: Cursor[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return cursor.fetchall()


class PostgresTransaction(PostgresReader, Transaction):
    """A transaction in a pipeline: statements are sent together until something has to be read.

    Each read ends with a Sync: only then is the server waiting for the next statement, so that PATIENCE runs. After a
    mere Flush it would wait for the rest of the pipeline, with the locks held, for as long as the connection lasts.
    """

    def __init__(self, connection: Connected, pipeline: Pipeline, clock: Clock, effects: Effects | None) -> None:
        self.after_commit = []
        self.effects = effects
        self._pipeline = pipeline
        self._clock = clock
        self._held = False
        self._earliest: Instant = 0
        self._announced: dict[str, None] = {}
        self._connection = connection
        self._clock_says: Cursor[tuple[Any, ...]] | None = None
        self._asked = self._now = 0
        connection.execute("BEGIN")
        self._ask(_begin(connection.info.server_version))

    @property
    def now(self) -> Instant:
        """Read when it is first asked for, mostly in one round trip with something else."""
        if self._clock_says is not None:
            if self._clock_says.pgresult is None:
                self._pipeline.sync()
            row = self._clock_says.fetchone()
            assert row is not None  # noqa: S101 — a SELECT without FROM has a row
            self._clock_says = None
            self._now = max(self._earliest, self._clock.told(row[0], self._asked))
        return self._now

    @now.setter
    def now(self, instant: Instant) -> None:
        """As far as another process was, by what it recorded: this one's clock goes on from there, too."""
        self._clock_says, self._now, self._earliest = None, instant, instant
        self._clock.not_below(instant)

    def _ask(self, query: LiteralString) -> None:
        self._asked = self._clock.asked()
        self._clock_says = self._connection.execute(query)

    def execute(self, statement: Statement[Any], **parameters: Any) -> None:
        self._send(statement, parameters)

    def update(self, statement: Statement[Any], **parameters: Any) -> int:
        cursor = self._send(statement, parameters)
        self._pipeline.sync()
        return cursor.rowcount

    def lock(self, statement: Statement[Any], **parameters: Any) -> None:
        self._send(statement, parameters)
        self._held = True

    def try_lock(self, task: str) -> bool:
        cursor = self._connection.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", (f"{CHANNEL} {task}",))
        self._pipeline.sync()
        got = cursor.fetchone()
        return bool(got and got[0])

    def notify(self, message: str) -> None:
        self._announced[message] = None

    def commit(self, origin: str) -> None:
        """Raises psycopg.Error for anything that went wrong since the last read.

        What is announced follows the COMMIT in the same round trip, and waits for no disk: NOTIFY inside of the
        transaction would let no other one commit until this one is on the disk. A word that is lost costs a poll.
        """
        done = self._connection.execute("COMMIT")
        if self._announced:
            words = [f"{origin} {message}" for message in self._announced]
            self._connection.execute(_ANNOUNCE, (CHANNEL, words))
        try:
            self._pipeline.sync()
        except psycopg.Error as error:
            if done.statusmessage != "COMMIT":
                raise
            logger.warning("other processes could not be told of a change: %s", _words(error))
        if done.statusmessage != "COMMIT":
            raise psycopg.OperationalError("the transaction was rolled back")

    def _fetched(self, cursor: Cursor[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        if self._held:
            self._held = False
            self._ask(f"SELECT {_NOW}")  # in the same round trip, after the wait
        self._pipeline.sync()
        return cursor.fetchall()


class Postgres(Database):
    """One PostgreSQL database. `direct_url` reaches it without a pooler between, for LISTEN."""

    shared = True

    def __init__(self, url: str, clock: Clock | None = None, *, direct_url: str = "") -> None:
        self.clock = clock or DatabaseClock()
        self.url = url
        self.name = _name(url)
        self._direct_url = direct_url or url
        self._prepare_after = None if direct_url else 2  # a pooler in transaction mode loses prepared statements
        self._free: deque[Connected] = deque()
        self._threads: ThreadPoolExecutor | None = None
        self.on_retry = lambda: None
        self._guests = threading.Semaphore(THREADS)
        """Other threads that read, those of pages: they take as many connections again, at most."""
        self._origin = secrets.token_hex(4)

    def start(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="approvals-database")
        self._try(self._learn_highest)
        self._try(_check_durable)

    def stop(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()
        self._close_free()

    async def write(self, work: Work[T]) -> T:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool(), self._transact, work)
        future.add_done_callback(_run_hooks)  # also when nobody waits for the result any more
        result, _ = await asyncio.shield(future)
        return result

    async def read(self, work: Callable[[Reader], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool(), self._look, work)

    def write_now(self, work: Work[T]) -> T:
        result, hooks = self._transact(work)
        for hook in hooks:
            hook()
        return result

    def read_now(self, work: Callable[[Reader], T]) -> T:
        with self._guests:
            return self._look(work)

    def as_of_now(self, work: Callable[[Reader], T]) -> T:
        try:
            with contextlib.closing(self.connect()) as connection:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                connection.execute("SET LOCAL statement_timeout = 0")
                return work(PostgresReader(connection, self.clock.now()))
        except psycopg.OperationalError as error:
            raise _unavailable(error) from error

    def _look(self, work: Callable[[Reader], T]) -> T:
        return self._try(lambda connection: work(PostgresReader(connection, self.clock.now())))

    def schema(self) -> str | None:
        try:
            found = self._try(lambda connection: connection.execute(_SCHEMA).fetchone())
        except psycopg.errors.UndefinedTable:
            return None
        except psycopg.Error as error:
            raise _unavailable(error) from error
        return None if found is None else str(found[0])

    async def listen(self, hear: Callable[[str], None], missed: Callable[[], None]) -> None:
        pause = 0.1
        while True:
            try:
                async with await AsyncConnection.connect(self._direct_url, **self._options()) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    missed()
                    pause = 0.1
                    await self._hear(connection, hear)
            except (psycopg.Error, OSError) as error:
                logger.warning("the database cannot be listened to: %s", _words(error))
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 — jitter
            pause = min(LISTEN_PAUSE, pause * 2)

    def connect(self) -> Connected:
        """A connection in autocommit mode; the clock learns its time. Raises psycopg.OperationalError."""
        connection = Connection.connect(self.url, **self._options())
        try:
            asked = self.clock.asked()
            now = connection.execute(f"SELECT {_NOW}").fetchone()
            self.clock.told(now[0] if now else 0, asked)
            if self._prepare_after is not None:  # a pooler would hand the setting to somebody else
                connection.execute(f"SET statement_timeout = '{PATIENCE}'")  # transactions have their own
        except BaseException:
            connection.close()  # it broke at its first words: nobody else knows it yet
            raise
        return connection

    async def _hear(self, connection: AsyncConnection[tuple[Any, ...]], hear: Callable[[str], None]) -> None:
        while True:
            async for notification in connection.notifies(timeout=LISTEN_PAUSE):
                origin, _, message = notification.payload.partition(" ")
                if origin != self._origin:
                    hear(message)
            await connection.execute("SELECT 1")  # is it still there?

    def _options(self) -> dict[str, Any]:
        return {
            "autocommit": True,
            "prepare_threshold": self._prepare_after,
            "connect_timeout": 5,
            "tcp_user_timeout": 10_000,
            "application_name": CHANNEL,
        }

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            raise Unavailable("The database is not open.", hint="The service is starting or stopping: try again.")
        return self._threads

    def _transact(self, work: Work[T]) -> tuple[T, list[Callable[[], None]]]:
        return self._try(lambda connection: self._once(connection, work))

    def _once(self, connection: Connected, work: Work[T]) -> tuple[T, list[Callable[[], None]]]:
        committing = False
        try:
            with connection.pipeline() as pipeline:
                transaction = PostgresTransaction(connection, pipeline, self.clock, self.effects)
                result = work(transaction)
                committing = True
                transaction.commit(self._origin)
        except psycopg.OperationalError as error:
            if committing and (connection.closed or _is_broken(error)):
                raise Unavailable(
                    "The database went away at the moment of writing.", hint="Look whether it was done; try again."
                ) from error
            raise
        finally:
            _roll_back(connection)
        return result, transaction.after_commit

    def _try(self, act: Callable[[Connected], T]) -> T:
        """With a connection; again when somebody else was at the same thing, or a connection had gone stale."""
        for attempt in range(1, TRIES + 1):
            try:
                with self._connection() as connection:
                    return act(connection)
            except psycopg.Error as error:
                crossed = error.sqlstate in _CROSSED
                broken = _is_broken(error)
                if not crossed and not broken and not isinstance(error, psycopg.OperationalError):
                    raise
                if attempt == TRIES or not (crossed or broken):
                    raise _unavailable(error) from error
                self.on_retry()
        raise AssertionError("the last attempt returns or raises")

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Connected]:
        try:
            connection = self._free.pop()
        except IndexError:
            try:
                connection = self.connect()
            except psycopg.OperationalError as error:
                raise _unavailable(error) from error
        try:
            yield connection
        except psycopg.Error as error:
            if _is_broken(error):
                connection.close()
            raise
        finally:
            if connection.closed:
                self._close_free()  # what broke one has likely broken the others
            elif self._threads is None:
                connection.close()  # a command's: nobody will stop this database
            else:
                self._free.append(connection)

    def _close_free(self) -> None:
        with contextlib.suppress(IndexError):  # other threads take from it, too
            while True:
                self._free.pop().close()

    def _learn_highest(self, connection: Connected) -> None:
        with contextlib.suppress(psycopg.errors.UndefinedTable):  # no schema yet
            highest = connection.execute(HIGHEST).fetchone()
            self.clock.not_below(highest[0] or 0 if highest else 0)


def _name(url: str) -> str:
    """Host and database: the rest of a URL may be a password."""
    try:
        known = conninfo_to_dict(url)
    except psycopg.Error:
        return "PostgreSQL"
    return f"{known.get('dbname') or 'postgres'} at {known.get('host') or 'localhost'}"


def _begin(version: int) -> LiteralString:
    return _BEGIN_17 if version >= 170_000 else _BEGIN


def _run_hooks(future: "asyncio.Future[tuple[Any, list[Callable[[], None]]]]") -> None:
    if not future.cancelled() and future.exception() is None:
        for hook in future.result()[1]:
            hook()


def _roll_back(connection: Connected) -> None:
    """Leave nothing open; a connection that cannot even do that is closed."""
    try:
        if not connection.closed:
            connection.rollback()
    except psycopg.Error:
        connection.close()


def _without_nul(parameters: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL's text cannot hold U+0000: its picture stands for it. What digests cover is escaped JSON already."""
    return {
        name: value.replace("\0", "\N{SYMBOL FOR NULL}") if isinstance(value, str) and "\0" in value else value
        for name, value in parameters.items()
    }


def _is_broken(error: psycopg.Error) -> bool:
    """Whether the connection, rather than the statement, failed: it ended, the server is going down, or is by now a
    copy that only reads (25006)."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(("08", "57P")) or error.sqlstate in {"25P03", "25P04", "25006"}


def _unavailable(error: psycopg.Error) -> Unavailable:
    return Unavailable(f"The database cannot be used: {_words(error)}.", hint="Try again when it is back.")


def _words(error: BaseException) -> str:
    """What happened, without where: connection errors name hosts and users."""
    return f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()


def _check_durable(connection: Connected) -> None:
    value = connection.execute("SHOW fsync").fetchone()
    if value is not None and value[0] == "off":
        logger.warning("PostgreSQL runs with fsync=off: a crash of its machine loses acknowledged decisions")
