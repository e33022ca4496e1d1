"""What people may do, as admins say: roles and groups; who is let in again; who is signed out everywhere."""

import re
from collections.abc import Iterable

from sqlalchemy import bindparam, select, update

from approvals.errors import Invalid, NotFound
from approvals.service.audit.kinds import Kind
from approvals.service.identity import credentials, sessions, tokens, users, vote_changes
from approvals.service.identity.admins import Admin, require_admin
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Watch
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import (
    Agent,
    AgentOwner,
    Credential,
    User,
    table_of,
)

PAGE = 50
MAX_CLAIMED = 100
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@:+-]{0,62}")
MAX_GROUPS = 50

_users = table_of(User)
_owners = table_of(AgentOwner)
_agents = table_of(Agent)

_AFTER = Statement(select(_users).where(_users.c.id > bindparam("after")).order_by(_users.c.id).limit(PAGE), User)
_SET = {
    column: Statement(update(_users).where(_users.c.id == bindparam("of")).values({column: bindparam("to")}))
    for column in ("roles", "groups", "disabled_at")
}
_LOCK = Statement(select(_users.c.id).where(_users.c.id == bindparam("id")).with_for_update())
_OWNED = Statement(
    select(_agents.c.id, _agents.c.name)
    .join(_owners, _owners.c.agent_id == _agents.c.id)
    .where(_owners.c.user_id == bindparam("user_id"))
    .order_by(_agents.c.name)
    .limit(PAGE)
)


def set_roles(tx: Transaction, user: User, roles: str, by: Admin) -> None:
    """Set somebody's roles, and end the tokens that need others. Raises Invalid for an unknown role, NotPossible
    when this would leave no admin."""
    actor = require_admin(tx, by)
    users.check_roles(roles)
    wanted = " ".join(role for role in users.ROLES if role in roles.split())
    if "admin" not in wanted.split():
        users.check_an_admin_remains(tx, user.id)
    watches = Watch(tx, User, id=user.id), Watch(tx, Credential, user_id=user.id)
    before = _now(tx, user).roles
    tx.execute(_SET["roles"], of=user.id, to=wanted)
    ended = tokens.end_beyond(tx, user.id, wanted)
    facts = {"roles": wanted, "before": before, "tokens": ended}
    vote_changes.begin(tx, user.id)
    tx.record(Kind.USER_ROLES_SET, actor, f"user:{user.id}", *watches, **facts)


def set_groups(tx: Transaction, user: User, groups: Iterable[str], by: Admin) -> None:
    """Raises Invalid for what cannot name a group, and for too many."""
    actor = require_admin(tx, by)
    wanted = " ".join(sorted(set(groups)))
    check_groups(wanted.split())
    watch = Watch(tx, User, id=user.id)
    before = _now(tx, user).groups
    tx.execute(_SET["groups"], of=user.id, to=wanted)
    vote_changes.begin(tx, user.id)
    tx.record(Kind.USER_GROUPS_SET, actor, f"user:{user.id}", watch, groups=wanted, before=before)


def disable(tx: Transaction, user_id: str, by: Admin) -> None:
    """Disable an account: its sessions and tokens end, its votes no longer count at a claim. Raises NotPossible
    for the last admin."""
    actor = require_admin(tx, by)
    users.check_an_admin_remains(tx, user_id)
    watches = Watch(tx, User, id=user_id), Watch(tx, Credential, user_id=user_id)
    tx.execute(_SET["disabled_at"], of=user_id, to=tx.now)
    sessions.end_all(tx, user_id)
    credentials.revoke_all(tx, "user", user_id)
    vote_changes.begin(tx, user_id)
    tx.record(Kind.USER_DISABLED, actor, f"user:{user_id}", *watches)


def enable(tx: Transaction, user: User, by: Admin) -> None:
    """Let a disabled account in again; its old sessions and tokens stay ended."""
    actor = require_admin(tx, by)
    watch = Watch(tx, User, id=user.id)
    tx.execute(_SET["disabled_at"], of=user.id, to=None)
    vote_changes.begin(tx, user.id)
    tx.record(Kind.USER_ENABLED, actor, f"user:{user.id}", watch)


def sign_out_everywhere(tx: Transaction, user: User, by: Admin) -> None:
    """End all of a person's sessions and personal tokens."""
    actor = require_admin(tx, by)
    watch = Watch(tx, Credential, user_id=user.id)
    ended_sessions = sessions.end_all(tx, user.id)
    ended = credentials.revoke_all(tx, "user", user.id)
    facts = {"sessions": ended_sessions, "tokens": ended}
    tx.record(Kind.USER_SIGNED_OUT_EVERYWHERE, actor, f"user:{user.id}", watch, **facts)


def _now(tx: Transaction, user: User) -> User:
    tx.lock(_LOCK, id=user.id)
    found = users.find(tx, user.id)
    if found is None:
        raise NotFound("There is no such user.", hint="List them: approvals user list")
    return found


def page(reader: Reader, after: str = "") -> list[User]:
    """Up to PAGE people, oldest first."""
    return reader.all(_AFTER, after=after)


def agents_of(reader: Reader, user_id: str) -> list[Row]:
    """The agents that a person answers for."""
    return reader.all(_OWNED, user_id=user_id)


def groups_of(user: User) -> frozenset[str]:
    """All of a person's groups: those that admins gave, and those that the identity provider claims."""
    return frozenset({*user.groups.split(), *user.claimed_groups.splitlines()})


def check_groups(groups: list[str]) -> None:
    """Raises Invalid."""
    if len(groups) > MAX_GROUPS:
        raise Invalid(f"{len(groups)} groups are too many.", hint=f"At most {MAX_GROUPS}.")
    for group in groups:
        if not is_group(group):
            raise Invalid(
                f"{group[:80]!r} cannot name a group.",
                hint="1 to 63 of letters, digits and . _ / @ : + -; a letter or digit first.",
            )


def is_group(name: str) -> bool:
    return _GROUP.fullmatch(name) is not None


def is_claimed_group(name: str) -> bool:
    """Whether it can be the name of a group at an identity provider, where blanks are usual."""
    return 0 < len(name) <= MAX_CLAIMED and name.isprintable() and name == name.strip()
