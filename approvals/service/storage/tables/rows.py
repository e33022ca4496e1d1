"""Rows of several tables together, for the type checker: each is a `Row` when it runs."""

from typing import TYPE_CHECKING

from approvals.service.storage.statements import Row
from approvals.service.storage.tables.requests import Request

if TYPE_CHECKING:

    class RequestRow(Request):
        """A request with the lease of its execution, if there is one."""

        lease_until: int | None

    class RequestRun(RequestRow):
        """A request with all of its execution that is shown."""

        claim_id: str | None
        claimed_at: int | None
        result: str | None
        error: str | None
        sealed_result: str | None
        finished_at: int | None

    class FoundRequest(RequestRun):
        """A request among those that were searched, with its place in their order."""

        place: int | str

else:
    RequestRow = RequestRun = FoundRequest = Row
