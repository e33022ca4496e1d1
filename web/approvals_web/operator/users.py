"""People: invited, listed, given roles and groups, kept out."""

from approvals.instant import written
from approvals.service.identity import roles, sign_in_links, users
from approvals_web.operator.messages.users import (
    DisableUser,
    EnableUser,
    Invite,
    ListedInvitation,
    ListedUser,
    ListInvitations,
    ListUsers,
    SetRoles,
    SetUserGroups,
    SignOut,
    Uninvite,
)
from approvals_web.operator.operation import Operation, answers
from approvals_web.operator.requests import address_of


@answers(ListUsers)
def listing(op: Operation, asked: ListUsers) -> list[ListedUser]:
    return [
        ListedUser(
            handle=row.handle or row.id,
            name=row.name,
            roles=row.roles,
            groups=row.groups,
            claimed_groups=", ".join(row.claimed_groups.splitlines()),
            since=written(row.created_at),
            state="disabled" if row.disabled_at else "live",
        )
        for row in users.everyone(op.tx)
    ]


@answers(Invite)
def invite(op: Operation, asked: Invite) -> str:
    users.check_roles(asked.roles)
    user = users.by_sign_in_name(op.tx, asked.name)
    if user is None:
        return _link(op, sign_in_links.invite(op.tx, op.by, asked.name, asked.roles))
    return _link(op, sign_in_links.make(op.tx, op.by, "sign_in", user_id=user.id))


def first_link(op: Operation, demo: bool) -> str | None:
    """Make the one-time link that `serve` prints: for the first account, or on demand for the first admin."""
    if not users.count(op.tx):
        return _link(op, sign_in_links.make(op.tx, op.by, "setup", roles=users.FIRST_ROLES))
    admins = [row for row in users.everyone(op.tx) if row.disabled_at is None and "admin" in row.roles.split()]
    if not demo or not admins:
        return None
    return _link(op, sign_in_links.make(op.tx, op.by, "sign_in", user_id=admins[0].id))


@answers(DisableUser)
def disable(op: Operation, asked: DisableUser) -> None:
    roles.disable(op.tx, users.require_user(op.tx, asked.name).id, op.by)


@answers(EnableUser)
def enable(op: Operation, asked: EnableUser) -> None:
    roles.enable(op.tx, users.require_user(op.tx, asked.name), op.by)


@answers(SetRoles)
def set_roles(op: Operation, asked: SetRoles) -> None:
    roles.set_roles(op.tx, users.require_user(op.tx, asked.name), asked.roles, op.by)


@answers(SetUserGroups)
def set_groups(op: Operation, asked: SetUserGroups) -> None:
    roles.set_groups(op.tx, users.require_user(op.tx, asked.name), asked.groups, op.by)


@answers(SignOut)
def sign_out(op: Operation, asked: SignOut) -> None:
    roles.sign_out_everywhere(op.tx, users.require_user(op.tx, asked.name), op.by)


@answers(ListInvitations)
def invitations(op: Operation, asked: ListInvitations) -> list[ListedInvitation]:
    return [
        ListedInvitation(
            name=row.name,
            roles=row.roles,
            by=row.made_by,
            until=written(row.expires_at),
            counts="yes" if sign_in_links.counts(op.tx, row) else "no: whoever made it is no admin any more",
        )
        for row in sign_in_links.invitations(op.tx)
    ]


@answers(Uninvite)
def uninvite(op: Operation, asked: Uninvite) -> None:
    sign_in_links.revoke(op.tx, op.by, asked.name)


def _link(op: Operation, token: str) -> str:
    """Raises Invalid where links would lead nowhere."""
    return f"{address_of(op.service)}/setup?t={token}"
