"""Standing grants: listed, revoked, allowed at all."""

from approvals.instant import written
from approvals.service import grants
from approvals.service.identity import servers
from approvals_web import standing_grants
from approvals_web.operator.messages.grants import AllowGrants, ListedGrant, ListGrants, RevokeGrant
from approvals_web.operator.operation import Operation, answers

PAGE = 200


@answers(ListGrants)
def listing(op: Operation, asked: ListGrants) -> list[ListedGrant]:
    rows = grants.page(op.tx, limit=PAGE) if asked.every else grants.live(op.tx, limit=PAGE)
    return [
        ListedGrant(row.id, row.state, row.left, written(row.ends_at), row.by, row.sentence)
        for row in standing_grants.shown(op.tx, rows)
    ]


@answers(RevokeGrant)
def revoke(op: Operation, asked: RevokeGrant) -> None:
    op.service.grant_revocations.revoke(op.tx, asked.grant_id, op.by)


@answers(AllowGrants)
def allow(op: Operation, asked: AllowGrants) -> None:
    servers.allow_grants(
        op.tx, op.by, servers.installation_named(op.tx, asked.name, asked.label), allowed=asked.allowed
    )
