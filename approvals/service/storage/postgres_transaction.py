"""Transactions of PostgreSQL: pipelined, so what need not be read (and the commit) shares round trips.

What must not happen twice is held by a row lock or a constraint. `now` is the database's (`clock_timestamp()`), read
again after every wait.
"""

import logging
from collections.abc import Mapping
from typing import Any, LiteralString, TypeVar, cast

import psycopg
from psycopg import Connection, Cursor, Pipeline
from sqlalchemy.dialects.postgresql.psycopg import dialect

from approvals.instant import Clock, Instant
from approvals.service.storage.database import Effects, Reader, Transaction
from approvals.service.storage.postgres_errors import words
from approvals.service.storage.statements import Row, Statement

logger = logging.getLogger("approvals")
R = TypeVar("R")
Connected = Connection[tuple[Any, ...]]

DIALECT = dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
CHANNEL = "approvals"
PATIENCE = "10s"
"""A process that stops in the middle of a transaction holds its locks no longer than this."""

NOW = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
_BEGIN = (
    f"SELECT {NOW}, set_config('lock_timeout', '{PATIENCE}', true),"
    " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
    " WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true),"
    f" set_config('statement_timeout', '{PATIENCE}', true),"
    f" set_config('idle_in_transaction_session_timeout', '{PATIENCE}', true)"
)
_BEGIN_17 = f"{_BEGIN}, set_config('transaction_timeout', '{PATIENCE}', true)"
"""From PostgreSQL 17 on: also between a write and the COMMIT that follows it, where no other timer runs."""
_ANNOUNCE = "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, word) FROM unnest(%s::text[]) AS word"


class PostgresReader(Reader):
    """Queries on one connection."""

    def __init__(self, connection: Connected, now: Instant) -> None:
        self._connection = connection
        self.now = now

    def all(self, statement: Statement[R], **parameters: object) -> list[R]:
        cursor = self._send(statement, parameters)
        values = self._fetched(cursor)
        names = statement.compiled(DIALECT).names(cursor.description)
        return cast(list[R], [Row(zip(names, row, strict=True)) for row in values])

    def one(self, statement: Statement[R], **parameters: object) -> R | None:
        rows = self.all(statement, **parameters)
        return rows[0] if rows else None

    def _send(self, statement: Statement[object], parameters: dict[str, object]) -> Cursor[tuple[Any, ...]]:
        compiled = statement.compiled(DIALECT)
        values = _without_nul(compiled.bind(parameters))
        return self._connection.execute(compiled.sql.encode(), values, prepare=False if statement.varies else None)

    def _fetched(self, cursor: Cursor[tuple[Any, ...]]) -> list[tuple[object, ...]]:
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

    def execute(self, statement: Statement[object], **parameters: object) -> None:
        self._send(statement, parameters)

    def update(self, statement: Statement[object], **parameters: object) -> int:
        cursor = self._send(statement, parameters)
        self._pipeline.sync()
        return cursor.rowcount

    def lock(self, statement: Statement[object], **parameters: object) -> None:
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
            messages = [f"{origin} {message}" for message in self._announced]
            self._connection.execute(_ANNOUNCE, (CHANNEL, messages))
        try:
            self._pipeline.sync()
        except psycopg.Error as error:
            if done.statusmessage != "COMMIT":
                raise
            logger.warning("other processes could not be told of a change: %s", words(error))
        if done.statusmessage != "COMMIT":
            raise psycopg.OperationalError("the transaction was rolled back")

    def _fetched(self, cursor: Cursor[tuple[Any, ...]]) -> list[tuple[object, ...]]:
        if self._held:
            self._held = False
            self._ask(f"SELECT {NOW}")  # in the same round trip, after the wait
        self._pipeline.sync()
        return cursor.fetchall()


def _begin(version: int) -> LiteralString:
    return _BEGIN_17 if version >= 170_000 else _BEGIN


def _without_nul(parameters: Mapping[str, object]) -> dict[str, object]:
    """PostgreSQL's text cannot hold U+0000: its picture stands for it. What digests cover is escaped JSON already."""
    return {
        name: value.replace("\0", "\N{SYMBOL FOR NULL}") if isinstance(value, str) and "\0" in value else value
        for name, value in parameters.items()
    }
