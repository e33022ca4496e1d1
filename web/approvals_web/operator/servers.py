"""MCP servers: their installations and keys, and definitions that wait for a person."""

from approvals.errors import Invalid
from approvals.instant import written
from approvals.protocol.registration import Assurance
from approvals.service.identity import credentials, key_lifetimes, servers
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables import Installation
from approvals.service.text import visible
from approvals.service.tools import listing as tool_listing
from approvals.service.tools.registry import place_of
from approvals_web.operator.messages.servers import (
    AddServer,
    ListedInstallation,
    ListedOffer,
    ListOffers,
    ListServers,
    RejectOffer,
    RevokeServer,
    RotateServer,
)
from approvals_web.operator.operation import Operation, answers

MOST = 500
"""Of each place."""


@answers(AddServer)
def add(op: Operation, asked: AddServer) -> str:
    known = {item.value: item for item in Assurance}
    if asked.assurance not in known:
        raise Invalid(f"{asked.assurance!r} is no asked.assurance.", hint="enforced or cooperative")
    life = key_lifetimes.seconds(asked.expires)
    return servers.add_server(
        op.tx, op.by, asked.name, label=asked.label, assurance=known[asked.assurance], trusted=asked.trusted, life=life
    )


@answers(ListServers)
def listing(op: Operation, asked: ListServers) -> list[ListedInstallation]:
    return [_listed(op.tx, row) for row in servers.installations(op.tx)]


@answers(RotateServer)
def rotate(op: Operation, asked: RotateServer) -> str:
    return servers.rotate(op.tx, op.by, "installation", servers.installation_named(op.tx, asked.name, asked.label))


@answers(RevokeServer)
def revoke(op: Operation, asked: RevokeServer) -> int:
    return servers.revoke(op.tx, op.by, "installation", servers.installation_named(op.tx, asked.name, asked.label))


@answers(ListOffers)
def offers(op: Operation, asked: ListOffers) -> list[ListedOffer]:
    labels = {row.id: row.label for row in servers.installations(op.tx)}
    rows, _ = tool_listing.shares(op.tx, MOST, offered=True)
    return [
        ListedOffer(
            server=row.server,
            tool=visible(row.name),
            label=labels.get(row.installation_id, "(enforced ones)"),
            since=written(row.offered_at),
            loosens=visible("; ".join(row.loosens.splitlines())),
            hash=row.offered_hash,
        )
        for row in rows
    ]


@answers(RejectOffer)
def reject(op: Operation, asked: RejectOffer) -> None:
    at = "" if asked.label is None else place_of(servers.installation_named(op.tx, asked.name, asked.label))
    op.service.offers.reject(op.tx, asked.name, asked.tool, asked.tool_hash, op.by, at)


def _listed(tx: Transaction, row: Installation) -> ListedInstallation:
    keys = credentials.live(tx, "installation", row.id)
    return ListedInstallation(
        server=row.server,
        label=row.label,
        assurance=row.assurance,
        keys=len(keys),
        last_used=written(max((key.last_used_at for key in keys if key.last_used_at), default=None)),
        since=written(row.created_at),
        state="disabled" if row.disabled_at else "live",
    )
