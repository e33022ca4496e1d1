"""A role's way into the database: each question has a connection and a transaction of its own."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from approvals_server.postgres.errors import Refused, worded
from approvals_server.postgres.statement import SCHEMA
from approvals_server.retries import Away

logger = logging.getLogger("approvals_server.postgres")

CONNECT_SECONDS = 5
READ_SECONDS = 10.0
WRITE_SECONDS = 30.0
LOCK_SECONDS = 2.0
PARAMETERS = "08P01"
"""Of a statement that has parameters, of which there are none."""
OVERTAKEN = "40001"
"""On a replica: what a read needs is being removed by the primary."""
GRACE = 2.0
"""Seconds after which a statement is given up that does not heed the database's own time-out."""
_LIMITS = """SELECT set_config('statement_timeout', %(all)s, true), set_config('lock_timeout', %(lock)s, true),
    set_config('idle_in_transaction_session_timeout', %(all)s, true), set_config('search_path', %(path)s, true)"""

Connection = AsyncConnection[TupleRow]


@dataclass(frozen=True)
class Role:
    """Who asks, by a connection string that nobody else sees."""

    url: str = field(repr=False)
    read_seconds: float = READ_SECONDS

    @contextlib.asynccontextmanager
    async def reading(self, seconds: float | None = None) -> AsyncIterator[Connection]:
        """A transaction in which nothing can be written, and which is rolled back in any case. Raises Away, Refused."""
        async with self._transaction(seconds or self.read_seconds, read_only=True) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def writing(self, seconds: float = WRITE_SECONDS) -> AsyncIterator[Connection]:
        """A transaction that is rolled back unless it is committed. Raises Away, Refused."""
        async with self._transaction(seconds, read_only=False) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def _transaction(self, seconds: float, *, read_only: bool) -> AsyncIterator[Connection]:
        connection = await self._connected()
        try:
            async with _in_words(seconds, read_only=read_only), asyncio.timeout(seconds + GRACE):
                await connection.set_read_only(read_only)
                limits = {"all": _milliseconds(seconds), "lock": _milliseconds(LOCK_SECONDS), "path": SCHEMA}
                await connection.execute(_LIMITS, limits)  # takes a snapshot: no statement after it can turn to writing
                yield connection
        finally:
            await connection.close()  # and the database rolls back

    async def _connected(self) -> Connection:
        try:
            return await AsyncConnection.connect(
                self.url, connect_timeout=CONNECT_SECONDS, application_name="approvals-postgres"
            )
        except (psycopg.ProgrammingError, UnicodeError):
            raise Refused("The address is none that can be read: write postgresql://ROLE:PASSWORD@HOST/DB.") from None
        except psycopg.Error as error:  # its words have the address: for the operator's eyes
            logger.warning("the database cannot be reached: %s", type(error).__name__)
            logger.debug("%s", error)
            raise Away("The database cannot be reached now.") from None


@contextlib.asynccontextmanager
async def _in_words(seconds: float, *, read_only: bool) -> AsyncIterator[None]:
    try:
        yield
    except psycopg.Error as error:
        if broke(error):
            logger.warning("the connection to the database broke: %s", type(error).__name__)
            raise Away("The connection to the database broke.") from None
        if read_only and error.sqlstate == OVERTAKEN:
            raise Away("The database broke the read off, to keep up with its primary.") from None
        raise Refused(worded(error, seconds), error.sqlstate or "") from None
    except TimeoutError:
        raise Refused(f"It took longer than {seconds:g} seconds, and was stopped.", "57014") from None


def broke(error: psycopg.Error) -> bool:
    """Whether the connection is gone: the database gave no answer, or was shut down."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate[:2] in {"08", "57"} and error.sqlstate not in {"57014", PARAMETERS}


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
