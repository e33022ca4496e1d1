"""People."""

from dataclasses import dataclass

from approvals_web.operator.messages.ask import Ask


@dataclass(frozen=True)
class ListedUser:
    """An account, as `approvals user list` shows it."""

    handle: str
    name: str
    roles: str
    groups: str
    claimed_groups: str
    since: str
    state: str


@dataclass(frozen=True)
class ListedInvitation:
    """An invitation that nobody has used yet."""

    name: str
    roles: str
    by: str
    until: str
    counts: str


@dataclass(frozen=True)
class ListUsers(Ask[list[ListedUser]]):
    """Every account."""


@dataclass(frozen=True)
class Invite(Ask[str]):
    """A link for a new account, or for an existing one to sign in with."""

    name: str
    roles: str


@dataclass(frozen=True)
class DisableUser(Ask[None]):
    """Somebody kept out."""

    name: str


@dataclass(frozen=True)
class EnableUser(Ask[None]):
    """Somebody let in again."""

    name: str


@dataclass(frozen=True)
class SetRoles(Ask[None]):
    """What somebody may do."""

    name: str
    roles: str


@dataclass(frozen=True)
class SetUserGroups(Ask[None]):
    """The groups that somebody is in."""

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class SignOut(Ask[None]):
    """Somebody's sessions and personal tokens, all ended."""

    name: str


@dataclass(frozen=True)
class ListInvitations(Ask[list[ListedInvitation]]):
    """Invitations that nobody has used yet."""


@dataclass(frozen=True)
class Uninvite(Ask[None]):
    """Every open invitation for a name, taken back."""

    name: str
