"""What an operator may do about definitions that wait for a person, from the command line."""

from collections.abc import Callable
from typing import Any

from approvals.instant import to_datetime
from approvals.service.identity.servers import installation_named, installations
from approvals.service.service import Service
from approvals.service.storage.database import Transaction
from approvals.service.text import visible
from approvals.service.tools import listing
from approvals.service.tools.registry import place_of

MOST = 500
"""Of each place."""


def server_offers(s: Service, tx: Transaction, actor: str) -> Any:
    labels = {row.id: row.label for row in installations(tx)}
    rows, _ = listing.shares(tx, MOST, offered=True)
    return [
        {
            "server": row.server,
            "tool": visible(row.name),
            "label": labels.get(row.installation_id, "(enforced ones)"),
            "since": to_datetime(row.offered_at).isoformat(timespec="seconds"),
            "loosens": visible("; ".join(row.loosens.splitlines())),
            "hash": row.offered_hash,
        }
        for row in rows
    ]


def server_reject(
    s: Service, tx: Transaction, actor: str, name: str, tool: str, tool_hash: str, label: str | None
) -> Any:
    at = "" if label is None else place_of(installation_named(tx, name, label))
    s.offers.reject(tx, name, tool, tool_hash, actor, at)


COMMANDS: dict[str, Callable[..., Any]] = {"server offers": server_offers, "server reject": server_reject}
