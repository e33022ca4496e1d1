"""Who an identity provider says somebody is, and the account that this makes or renews.

Issuer and subject are the identity. An e-mail address is neither: it never links to an account. A verified one is what
rules call its person, and follows what the provider says, unless somebody else is, or ever was, called so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select, update

from approvals import ids
from approvals.errors import Forbidden
from approvals.service.audit.kinds import Kind
from approvals.service.identity import handles, tokens, users, vote_changes
from approvals.service.storage.database import Transaction
from approvals.service.storage.row_changes import Touched, Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Credential, Handle, User, table_of

NEWCOMER = "viewer"
"""The role of somebody new, where no mapping from groups to roles says more."""

_users = table_of(User)
_BY_IDENTITY = Statement(
    select(_users)
    .where(_users.c.issuer == bindparam("issuer"), _users.c.subject == bindparam("subject"))
    .with_for_update(),
    User,
)
_RENEW = Statement(
    update(_users)
    .where(_users.c.id == bindparam("of"))
    .values({name: bindparam(name) for name in ("name", "email", "claimed_groups", "roles")})
)
_CALL = Statement(update(_users).where(_users.c.id == bindparam("of")).values(handle=bindparam("handle")))


@dataclass(frozen=True)
class Identity:
    """As a validated ID token says it."""

    issuer: str
    subject: str
    name: str
    email: str = ""
    """Only when verified; lower-case."""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class SsoPolicy:
    """Whom the operator lets in, and as what."""

    roles: Mapping[str, str] = field(default_factory=dict)
    """Roles by claimed group. With any, they alone give the roles of these people, anew at each sign-in; without, an
    admin gives them."""
    newcomers: bool = True
    """Whether somebody without an account gets one."""

    def roles_of(self, groups: tuple[str, ...], present: str) -> str:
        """Somebody's roles now. Pure."""
        if not self.roles:
            return present
        given = {role for group in groups for role in self.roles.get(group, "").split()}
        return " ".join(role for role in users.ROLES if role in given)


def admit(tx: Transaction, who: Identity, policy: SsoPolicy) -> User | Forbidden:
    """The account of somebody who proved who they are, as of now. Forbidden when they may not come in: returned,
    because what the claims took from them stays taken."""
    user = tx.one(_BY_IDENTITY, issuer=who.issuer, subject=who.subject)
    roles = policy.roles_of(who.groups, user.roles if user is not None else NEWCOMER)
    if user is None:
        if not policy.newcomers or not roles:
            return _kept_out(who)
        return _add(tx, who, roles)
    _renew(tx, user, who, roles)
    return _kept_out(who) if not roles else users.find(tx, user.id) or _kept_out(who)


def _add(tx: Transaction, who: Identity, roles: str) -> User:
    user = tx.insert(
        User,
        id=ids.new(tx.now),
        issuer=who.issuer,
        subject=who.subject,
        name=who.name,
        handle=None,
        email=who.email,
        claimed_groups="\n".join(who.groups),
        roles=roles,
        created_at=tx.now,
        disabled_at=None,
    )
    touched = Touched(User, None, user)
    facts = {"subject": who.name, "issuer": who.issuer, "roles": roles, "groups": ", ".join(who.groups)}
    tx.record(Kind.USER_ADDED, f"oidc:{who.issuer}", f"user:{user.id}", touched, **facts)
    _follow(tx, user, who)
    return users.find(tx, user.id) or user


def _renew(tx: Transaction, user: User, who: Identity, roles: str) -> None:
    groups, actor, subject = "\n".join(who.groups), f"oidc:{who.issuer}", f"user:{user.id}"
    watches = Watch(tx, User, id=user.id), Watch(tx, Credential, user_id=user.id)
    tx.execute(_RENEW, of=user.id, name=who.name, email=who.email, claimed_groups=groups, roles=roles)
    ended = tokens.end_beyond(tx, user.id, roles) if roles != user.roles else 0
    touched = [row for watch in watches for row in watch.touched()]
    if roles != user.roles or groups != user.claimed_groups:
        vote_changes.begin(tx, user.id)
    if roles != user.roles:
        told = {"roles": roles, "before": user.roles, "tokens": ended}
        tx.record(Kind.USER_ROLES_SET, actor, subject, *touched, **told)
        touched = []
    if groups != user.claimed_groups:
        before = ", ".join(user.claimed_groups.splitlines())
        told = {"groups": ", ".join(who.groups), "before": before}
        tx.record(Kind.USER_GROUPS_SET, actor, subject, *touched, **told)
        touched = []
    if touched:
        tx.record(Kind.USER_RENEWED, actor, subject, *touched)
    _follow(tx, user, who)


def _follow(tx: Transaction, user: User, who: Identity) -> None:
    """Rules call them by their verified address of now. What they were called before stays theirs."""
    watches = Watch(tx, User, id=user.id), Watch(tx, Handle, user_id=user.id)
    if who.email in ("", user.handle) or not handles.take(tx, user.id, who.email):
        return
    tx.execute(_CALL, of=user.id, handle=who.email)
    facts = {"handle": who.email, "before": user.handle or ""}
    tx.record(Kind.USER_HANDLE_SET, f"oidc:{who.issuer}", f"user:{user.id}", *watches, **facts)


def _kept_out(who: Identity) -> Forbidden:
    return Forbidden(
        f"{who.name} may not sign in here.",
        hint="Ask an admin which group of your identity provider you need to be in.",
    )
