"""Claim, lease, outcome: `approved → executing → …`, by the gate that holds the claim."""

from approvals.instant import Instant
from approvals.protocol.fields import Identifier
from approvals.protocol.messages import Claim, Claimed, Lease, Leased, Outcome, RequestStatus
from approvals.protocol.previews import stored
from approvals.service.requests.claims import LEASE_SECONDS, START_WITHIN, decided_by_people
from approvals.service.service import Service
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.tables.rows import RequestRun
from approvals_web.api.documented import problems
from approvals_web.http.deps import Installation, TheService
from approvals_web.http.routers import ApiRouter

router = ApiRouter("executions", problems(404, 409, 426))


@router.put("/requests/{request_id}/claim")
async def claim(request_id: Identifier, body: Claim, installation: Installation, service: TheService) -> Claimed:
    """Take the permission, once. Repeating a claim_id repeats the answer."""
    await service.write(lambda tx: service.claims.claim(tx, installation, request_id, body))
    row, now, tolerant = await service.read(lambda reader: _claimed(service, reader, request_id))
    return Claimed.model_construct(
        request=service.statuses.of(row, now),
        sealed_arguments=row.sealed_arguments if body.exact else None,
        preview=stored(row.preview),
        tolerant=tolerant,
        start_within=START_WITHIN,
        lease_seconds=LEASE_SECONDS,
    )


def _claimed(service: Service, reader: Reader, request_id: str) -> tuple[RequestRun, Instant, bool]:
    row = service.statuses.row(reader, request_id)
    return row, reader.now, bool(row.preview) and decided_by_people(reader, request_id)


@router.put("/requests/{request_id}/lease")
async def renew_lease(request_id: Identifier, body: Lease, installation: Installation, service: TheService) -> Leased:
    """The tool is still running."""
    await service.write(lambda tx: service.claims.renew(tx, installation, request_id, body.claim_id))
    return Leased(lease_seconds=LEASE_SECONDS)


@router.put("/requests/{request_id}/outcome")
async def report_outcome(
    request_id: Identifier, body: Outcome, installation: Installation, service: TheService
) -> RequestStatus:
    """What came of it. A late one settles `unknown`."""

    def report(tx: Transaction) -> RequestStatus:
        service.claims.report(tx, installation, request_id, body)
        return service.statuses.read(tx, request_id)

    return await service.write(report)
