"""The one writer of a serving process: transactions run on the event loop, their commits in a thread.

Statements are cheap and the fsync is not. While one commit is on its way to the disk, further work queues up and shares
the next one, so a crowd pays for one fsync together and a single caller waits for nobody. An error in shared work rolls
all of it back and runs each on its own: nobody pays for another's mistake.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from approvals.errors import Unavailable
from approvals.service.storage.sqlite_errors import is_full

TOGETHER = 64
"""Pieces of work that share one commit, at most."""
BUSY_PAUSE = 0.002
BUSY_PATIENCE = 10.0

Hook = Callable[[], None]
Body = Callable[[sqlite3.Connection], tuple[Any, list[Hook]]]
"""Runs inside a transaction; what it returns, and what to do once that is durable."""


@dataclass
class Job:
    """One piece of work, and who waits for it."""

    body: Body
    done: asyncio.Future[Any]
    result: Any = None
    hooks: tuple[Hook, ...] | list[Hook] = ()


class Writer:
    """Event loop only. Another process may hold the write lock for a while: it is asked again, without blocking."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._connection.execute("PRAGMA busy_timeout = 0")
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Job] = deque()
        self._apart = 0
        self._active = False
        self._commits: SimpleQueue[list[Job] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._commit_forever, name="approvals-commit", daemon=True)
        self._thread.start()

    async def run(self, body: Body) -> Any:
        """Run `body` in a transaction; its result, once durable. Cancelling the wait does not undo the work."""
        job = Job(body, self._loop.create_future())
        self._queue.append(job)
        self._pump()
        return await job.done

    def close(self) -> None:
        """Finish the commit under way, then close the connection."""
        self._commits.put(None)
        self._thread.join()
        self._connection.close()

    def _pump(self) -> None:
        if self._queue and not self._active:
            self._active = True
            self._begin(self._loop.time() + BUSY_PATIENCE)

    def _begin(self, until: float) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error) and self._loop.time() < until:
                self._loop.call_later(BUSY_PAUSE, self._begin, until)
            elif is_full(error):
                self._finish(self._take(), error)
            else:
                self._finish(self._take(), Unavailable(f"The database cannot be written: {error}.", hint="Try again."))
        else:
            self._run(self._take())

    def _take(self) -> list[Job]:
        """The next jobs to share a commit; one alone while a failed crowd is run apart."""
        size = 1 if self._apart else min(TOGETHER, len(self._queue))
        self._apart = max(0, self._apart - 1)
        return [self._queue.popleft() for _ in range(size)]

    def _run(self, jobs: list[Job]) -> None:
        try:
            for job in jobs:
                job.result, job.hooks = job.body(self._connection)
        except BaseException as error:
            self._roll_back()
            if len(jobs) == 1:
                self._finish(jobs, error)
            else:
                self._queue.extendleft(reversed(jobs))
                self._apart = len(jobs)
                self._finish([], None)
        else:
            self._commits.put(jobs)

    def _commit_forever(self) -> None:
        while (jobs := self._commits.get()) is not None:
            error: BaseException | None = None
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as failed:
                error = failed
                self._roll_back()
            with contextlib.suppress(RuntimeError):  # the loop ended meanwhile: nobody is left to tell
                self._loop.call_soon_threadsafe(self._finish, jobs, error)

    def _finish(self, jobs: list[Job], error: BaseException | None) -> None:
        """Tell those who wait, then go on: first whoever the commit wakes, then whoever asked for it."""
        self._active = False
        for job in jobs:
            if error is None:
                for hook in job.hooks:
                    hook()
            if job.done.done():
                continue
            if error is None:
                job.done.set_result(job.result)
            else:
                job.done.set_exception(error)
        self._pump()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
