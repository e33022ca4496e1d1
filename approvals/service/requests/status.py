"""A request as those who wait for it see it."""

from pydantic import TypeAdapter
from sqlalchemy import bindparam

from approvals.errors import NotFound
from approvals.instant import SECOND, seconds_until
from approvals.protocol.canonical import hash_of
from approvals.protocol.edits import Change, Edited
from approvals.protocol.messages import RequestStatus
from approvals.protocol.states import State, due
from approvals.service.requests.transitions import BECAUSE, deadlines, seen_state
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Request
from approvals.service.storage.tables.handles import WITH_EXECUTION, requests
from approvals.service.storage.tables.rows import RequestRun

_ROW = Statement(WITH_EXECUTION.where(requests.c.id == bindparam("id")), RequestRun)

_CHANGES = TypeAdapter(tuple[Change, ...])


class Statuses:
    """Renders statuses with links to this service."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url.rstrip("/")

    def review_url(self, request_id: str) -> str:
        return f"{self._public_url}/requests/{request_id}"

    def read(self, reader: Reader, request_id: str, *, replayed: bool = False) -> RequestStatus:
        """The present status. Raises NotFound."""
        return self.of(self.row(reader, request_id), reader.now, replayed=replayed)

    def row(self, reader: Reader, request_id: str) -> RequestRun:
        """The request's row, joined with its execution. Raises NotFound."""
        row = self.find(reader, request_id)
        if row is None:
            raise NotFound("There is no such request.", hint="Check the id.")
        return row

    def find(self, reader: Reader, request_id: str) -> RequestRun | None:
        """As `row`; None when there is no such request."""
        return reader.one(_ROW, id=request_id)

    def of(self, row: RequestRun, now: int, *, replayed: bool = False) -> RequestStatus:
        """From a row joined with its execution, as of `now`: what time has moved shows as moved. The values are ours,
        so they are not validated again."""
        state = seen_state(row, now)
        move = due(State(row.state), deadlines(row), now)
        runs_out = {State.PENDING: row.expires_at, State.APPROVED: row.execute_by}.get(state)
        return RequestStatus.model_construct(
            id=row.id,
            server=row.server,
            tool=row.tool,
            tool_hash=row.tool_hash,
            state=state,
            digest=row.digest,
            content_version=row.content_version,
            summary=row.summary,
            review_url=self.review_url(row.id),
            rule=row.rule,
            expires_in=None if runs_out is None else seconds_until(runs_out, now),
            decided_by=row.decided_by,
            comment=row.comment,
            edited=Edited.model_validate_json(row.edited) if row.edited else None,
            suggestion=_CHANGES.validate_json(row.suggestion) if row.suggestion else (),
            ended_because=row.ended_because if move is None else BECAUSE[move],
            ask_again_in=ask_again_in(row, now),
            finished_ago=None if row.ended_at is None else max(0, now - row.ended_at) / SECOND,
            replayed=replayed,
            replaces=row.replaces,
            preview_hash=hash_of(row.preview.encode()) if row.preview else None,
            sealed_result=row.sealed_result,
            result=row.result,
            error=row.error,
            erased=row.erased_at is not None,
        )


def ask_again_in(row: Request, now: int) -> float | None:
    """After a denial: seconds until the same call is filed anew; None in any other state."""
    if row.state != State.DENIED or row.ended_at is None:
        return None
    return 0.0 if row.may_ask_again else seconds_until(row.ended_at + row.cool_down * SECOND, now)
