"""Claim, lease, outcome: `approved → executing → …`, by the gate that holds the claim."""

from approvals.errors import ApprovalsError
from approvals.protocol.message_fields import Identifier
from approvals.protocol.messages import Claim, Claimed, Lease, Leased, Outcome, RequestStatus
from approvals.protocol.previews import stored
from approvals.service.requests.claims import LEASE_SECONDS, START_WITHIN, decided_by_people
from approvals.service.service import Service
from approvals.service.storage.database import Reader, Transaction
from approvals_web.api.documented import problems
from approvals_web.http.deps import Installation, TheService
from approvals_web.http.routers import ApiRouter

router = ApiRouter("executions", problems(404, 409, 426))


@router.put("/requests/{request_id}/claim")
async def claim(request_id: Identifier, body: Claim, installation: Installation, service: TheService) -> Claimed:
    """Take the permission, once. Repeating a claim_id repeats the answer."""

    def claimed(tx: Transaction) -> Claimed | ApprovalsError:
        refusal = service.claims.claim(tx, installation, request_id, body)
        return refusal or _claimed(service, tx, request_id, exact=body.exact)

    answer: Claimed = await service.write(claimed)
    return answer


def _claimed(service: Service, reader: Reader, request_id: str, *, exact: bool) -> Claimed:
    row = service.statuses.row(reader, request_id)
    return Claimed.model_construct(
        request=service.statuses.of(row, reader.now),
        sealed_arguments=row.sealed_arguments if exact else None,
        preview=stored(row.preview),
        tolerant=bool(row.preview) and decided_by_people(reader, request_id),
        start_within=START_WITHIN,
        lease_seconds=LEASE_SECONDS,
    )


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
