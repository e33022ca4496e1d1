"""The gated write: what it would do, doing it, and finding out what came of it."""

from collections import OrderedDict
from functools import partial
from uuid import uuid4

import anyio.to_thread

from approvals import Preview, Stale, current_preview, current_request_id
from approvals.gate.running import Lost
from approvals.protocol.canonical import JsonObject
from approvals_server.approved_effect import approved_basis
from approvals_server.postgres import marker, preview
from approvals_server.postgres.changes import Change, total
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.plan import written
from approvals_server.postgres.role import Role
from approvals_server.postgres.statement import classified
from approvals_server.postgres.trial import Trials
from approvals_server.postgres.write import Check, Earlier, TooMany, Unsure, Written, write
from approvals_server.retries import Away

LOOK_SECONDS = 3.0
REMEMBERED = 200
MOST_TRIED = 10_000
"""Rows that the planner expects of what is tried."""


class Writer:
    """The write role's, in one process."""

    def __init__(self, role: Role, *, exact: bool = False) -> None:
        self._role = role
        self._trials = Trials(role) if exact else None
        self._counted: OrderedDict[str, tuple[Change, ...]] = OrderedDict()
        """What came of statements that were rolled back because it was more than approved."""
        self._foreseen: OrderedDict[str, tuple[Change, ...]] = OrderedDict()
        """What was found of statements at the last look: the gate looks just before it runs one."""

    async def preview(self, sql: str) -> Preview:
        """What it would do now. Raises Away, Refused."""
        statement = await anyio.to_thread.run_sync(classified, sql)  # of a long one, it takes its time
        async with self._role.reading(LOOK_SECONDS) as connection:
            plan = await written(connection, sql)
        if self._trials is not None and total(plan.changes) <= MOST_TRIED:
            return preview.exact(statement, await self._trials.effect(sql))
        known = self._counted.get(sql)
        _remember(self._foreseen, sql, known or plan.changes)
        return preview.counted(statement, known) if known else preview.expected(statement, plan.changes)

    async def write(self, sql: str) -> Written:
        """Do it, within what was approved. Raises Stale, Lost, Away, Refused."""
        if (request_id := current_request_id()) and _approved_rows() is None:
            raise Refused("Nobody saw what it would change: the look at it had failed. Call it again.")
        request_id = request_id or str(uuid4())
        try:
            done = await write(self._role, sql, request_id, _approved_rows(), self._check(), self._foreseen.get(sql))
        except TooMany as error:
            _remember(self._counted, sql, error.changes)
            _remember(self._foreseen, sql, error.changes)
            raise Stale(str(error)) from error
        except Earlier as error:
            return _earlier(error.found)
        except Unsure as error:
            return await self._looked_up(request_id, error)
        self._counted.pop(sql, None)
        return done

    async def verify(self, request_id: str, arguments: JsonObject) -> tuple[str, str] | None:
        """What came of a request whose process is gone."""
        found = await marker.settled(self._role, request_id)
        if found is None:
            return None
        if not found.ran:
            return "not_executed", "it left no marker, and can leave none any more"
        return "succeeded", f"{found.rows or 0:,} rows, committed at {found.at}"

    async def _looked_up(self, request_id: str, error: Exception) -> Written:
        """The connection broke at the commit: ask the marker."""
        try:
            found = await marker.settled(self._role, request_id)
        except (Away, Refused):
            found = None
        if found is None:
            raise Lost from error
        return _earlier(found)

    def _check(self) -> Check | None:
        """Of what was found by a trial."""
        basis = approved_basis()
        return partial(self._trials.check, basis) if self._trials is not None and basis else None


def _remember(kept: OrderedDict[str, tuple[Change, ...]], sql: str, changes: tuple[Change, ...]) -> None:
    kept[sql] = changes
    kept.move_to_end(sql)
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _approved_rows() -> int | None:
    foreseen = current_preview()
    rows = next((fact.value for fact in foreseen.facts if fact.name == "rows"), None) if foreseen else None
    return rows if isinstance(rows, int) else None


def _earlier(found: marker.Marker) -> Written:
    """Of a write that has left its mark."""
    if not found.ran:
        raise Refused("This write was settled as not run, and does not run any more.")
    return Written(command="committed", rows=found.rows or 0, changes=[], columns=[], returned=[])
