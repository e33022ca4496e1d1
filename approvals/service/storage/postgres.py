"""PostgreSQL through psycopg 3: any number of serving processes.

Transactions (`postgres_transaction.py`) are READ COMMITTED and run in a few threads; one that meets a lock or a
constraint at the wrong moment is run again.
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
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import conninfo_to_dict

from approvals.errors import Unavailable
from approvals.instant import Clock, DatabaseClock
from approvals.service.storage.database import HIGHEST, Database, Reader, Work
from approvals.service.storage.postgres_errors import CROSSED, is_broken, is_full, unavailable, words
from approvals.service.storage.postgres_transaction import (
    CHANNEL,
    NOW,
    PATIENCE,
    Connected,
    PostgresReader,
    PostgresTransaction,
)
from approvals.service.storage.room import Room

logger = logging.getLogger("approvals")
logging.getLogger("psycopg").setLevel(logging.ERROR)  # what it warns of is handled here: transactions run again
T = TypeVar("T")

THREADS = 8
TRIES = 6
LISTEN_PAUSE = 5.0
"""Seconds between two attempts to listen again, at most; and how long a listener may hear nothing before it asks."""

_SCHEMA = "SELECT version_num FROM alembic_version"


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
        self._room = Room(self.clock)
        self._guests = threading.Semaphore(THREADS)
        """Other threads that read, those of pages: they take as many connections again, at most."""
        self._origin = secrets.token_hex(4)

    @property
    def is_full(self) -> bool:
        return self._room.is_gone

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
            raise unavailable(error) from error

    def _look(self, work: Callable[[Reader], T]) -> T:
        return self._try(lambda connection: work(PostgresReader(connection, self.clock.now())))

    def schema(self) -> str | None:
        try:
            found = self._try(lambda connection: connection.execute(_SCHEMA).fetchone())
        except psycopg.errors.UndefinedTable:
            return None
        except psycopg.Error as error:
            raise unavailable(error) from error
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
                logger.warning("the database cannot be listened to: %s", words(error))
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 — jitter
            pause = min(LISTEN_PAUSE, pause * 2)

    def connect(self) -> Connected:
        """A connection in autocommit mode; the clock learns its time. Raises psycopg.OperationalError."""
        connection = Connection.connect(self.url, **self._options())
        try:
            asked = self.clock.asked()
            now = connection.execute(f"SELECT {NOW}").fetchone()
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
        try:
            done = self._try(lambda connection: self._once(connection, work))
        except Unavailable as error:
            if is_full(error.__cause__):
                self._room.refused()
            raise
        self._room.found()
        return done

    def _once(self, connection: Connected, work: Work[T]) -> tuple[T, list[Callable[[], None]]]:
        committing = False
        try:
            with connection.pipeline() as pipeline:
                transaction = PostgresTransaction(connection, pipeline, self.clock, self.effects)
                result = work(transaction)
                committing = True
                transaction.commit(self._origin)
        except psycopg.OperationalError as error:
            if committing and (connection.closed or is_broken(error)):
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
                crossed = error.sqlstate in CROSSED
                broken = is_broken(error)
                if not crossed and not broken and not isinstance(error, psycopg.OperationalError):
                    raise
                if attempt == TRIES or not (crossed or broken):
                    raise unavailable(error) from error
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
                raise unavailable(error) from error
        try:
            yield connection
        except psycopg.Error as error:
            if is_broken(error):
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


def _check_durable(connection: Connected) -> None:
    value = connection.execute("SHOW fsync").fetchone()
    if value is not None and value[0] == "off":
        logger.warning("PostgreSQL runs with fsync=off: a crash of its machine loses acknowledged decisions")
