"""What an operator may do about standing grants from the command line (`approvals_web.operator.socket`)."""

from collections.abc import Callable
from typing import Any

from approvals.instant import to_datetime
from approvals.service import grants
from approvals.service.identity import servers
from approvals.service.service import Service
from approvals.service.storage.database import Transaction
from approvals_web import standing_grants

PAGE = 200


def grant_list(s: Service, tx: Transaction, actor: str, every: bool) -> Any:
    rows = standing_grants.shown(tx, grants.page(tx, limit=PAGE) if every else grants.live(tx, limit=PAGE))
    return [
        {
            "id": row.id,
            "state": row.state,
            "left": row.left,
            "ends": to_datetime(row.ends_at).isoformat(timespec="seconds"),
            "by": row.by,
            "terms": row.sentence,
        }
        for row in rows
    ]


def grant_revoke(s: Service, tx: Transaction, actor: str, grant_id: str) -> Any:
    s.grant_revocations.by_operator(tx, grant_id, actor)
    return grant_id


def server_grants(s: Service, tx: Transaction, actor: str, name: str, label: str, allowed: bool) -> Any:
    servers.allow_grants(tx, actor, servers.installation_named(tx, name, label), allowed=allowed)
    return name


COMMANDS: dict[str, Callable[..., Any]] = {
    "grant list": grant_list,
    "grant revoke": grant_revoke,
    "server grants": server_grants,
}
