"""What an operator may do about people from the command line, beside inviting and disabling them."""

from collections.abc import Callable
from typing import Any

from approvals.instant import to_datetime
from approvals.service.identity import sign_in_links, users
from approvals.service.identity.roles import enable, set_groups, set_roles, sign_out_everywhere
from approvals.service.service import Service
from approvals.service.storage.database import Transaction


def user_roles(s: Service, tx: Transaction, actor: str, name: str, roles: str) -> Any:
    set_roles(tx, users.require_user(tx, name), roles, actor)
    return name


def user_groups(s: Service, tx: Transaction, actor: str, name: str, groups: list[str]) -> Any:
    set_groups(tx, users.require_user(tx, name), groups, actor)
    return name


def user_enable(s: Service, tx: Transaction, actor: str, name: str) -> Any:
    enable(tx, users.require_user(tx, name), actor)
    return name


def user_sign_out(s: Service, tx: Transaction, actor: str, name: str) -> Any:
    sign_out_everywhere(tx, users.require_user(tx, name), actor)
    return name


def user_invitations(s: Service, tx: Transaction, actor: str) -> Any:
    return [
        {
            "name": row.name,
            "roles": row.roles,
            "by": row.made_by,
            "until": to_datetime(row.expires_at).isoformat(timespec="seconds"),
            "counts": "yes" if sign_in_links.counts(tx, row) else "no: whoever made it is no admin any more",
        }
        for row in sign_in_links.invitations(tx)
    ]


def user_uninvite(s: Service, tx: Transaction, actor: str, name: str) -> Any:
    sign_in_links.revoke(tx, actor, name)
    return name


COMMANDS: dict[str, Callable[..., Any]] = {
    "user roles": user_roles,
    "user groups": user_groups,
    "user enable": user_enable,
    "user sign-out": user_sign_out,
    "user invitations": user_invitations,
    "user uninvite": user_uninvite,
}
